package order_test

import (
	"testing"
	"time"

	"switchyard/proxy/order"
)

// A sky is a census with the time of the bus, which is hours behind.
type sky struct {
	*testing.T
	*order.Census
	now time.Time
	at  order.Position
}

func newSky(t *testing.T) *sky {
	return &sky{t, order.NewCensus(1, 11), start, order.Position{Epoch: 1, Sequence: 100}}
}

// note reads a record that was taken so long ago.
func (s *sky) note(ago time.Duration, r *order.Record) order.Position {
	s.at.Sequence++
	s.Note(s.now, order.Entry{Position: s.at, At: s.now.Add(-5*time.Hour - ago)}, r)
	return s.at
}

func (s *sky) wantMayFound(want bool, entered order.Position) {
	s.Helper()
	if got := s.MayFound(s.now, entered, 5*time.Second, false); got != want {
		s.Fatalf("may say Found: %v, want %v", got, want)
	}
}

func TestMayFound(t *testing.T) {
	s := newSky(t)
	enter := func(o order.Origin) *order.Record {
		return &order.Record{Kind: order.Enter, Origin: o, Number: 1, Facts: known(uint64(10 + o.Hub))} // 11 is ours
	}
	s.wantMayFound(true, s.at)
	s.note(20*time.Second, say(order.Batch, origin(2, 7), 5))
	s.note(0, &order.Record{Kind: order.Gone, Origin: origin(3, 7), Number: 6, About: origin(3, 7)})
	s.Begin()
	mine := s.note(0, enter(origin(1, 1)))
	s.wantMayFound(true, mine) // 2 is silent, 3 has left
	s.note(0, &order.Record{Kind: order.Gone, Origin: origin(4, 7), Number: 6, About: origin(3, 7)})
	s.wantMayFound(false, mine) // 4 has spoken
	s.now = s.now.Add(10 * time.Second)
	s.wantMayFound(false, mine)
	s.now = s.now.Add(time.Millisecond)
	s.wantMayFound(true, mine)
	s.note(0, enter(origin(5, 7)))
	s.wantMayFound(true, mine) // 5 is behind
	s.note(0, say(order.Beat, origin(5, 7), 2))
	s.wantMayFound(true, mine)
	mine = s.note(0, enter(origin(1, 2)))
	s.wantMayFound(false, mine) // now 5 is in front
	s.note(0, enter(origin(5, 8)))
	s.wantMayFound(true, mine)
	s.note(0, say(order.Batch, origin(2, 7), 6))
	s.wantMayFound(false, mine)
}

// The clocks of the bus's servers may differ by hours, and another server may lead any time.
func TestAloneWhenTheClockIsPutBack(t *testing.T) {
	s := newSky(t)
	s.note(-2*time.Hour, say(order.Batch, origin(2, 7), 5))
	s.note(-2*time.Hour, say(order.Batch, origin(3, 7), 5))
	s.Begin()
	s.note(0, say(order.Batch, origin(2, 7), 6))
	mine := s.note(0, &order.Record{Kind: order.Enter, Origin: origin(1, 1), Number: 1, Facts: known(11)})
	s.wantMayFound(false, mine) // 2 has just spoken
	s.now = s.now.Add(10*time.Second + time.Millisecond)
	s.wantMayFound(true, mine) // 2 and 3 are silent
	s.note(0, say(order.Batch, origin(2, 7), 7))
	s.wantMayFound(false, mine)
	s.note(time.Hour, say(order.Batch, origin(2, 7), 8))
	s.wantMayFound(false, mine)
}

// Two that have asked in vain do not wait for each other: the one with the lower number begins.
func TestAloneUnanswered(t *testing.T) {
	s := newSky(t)
	entering := known(9)
	entering.Entering = true
	s.note(0, &order.Record{Kind: order.Enter, Origin: origin(2, 7), Number: 1, Facts: entering})
	mine := s.note(0, &order.Record{Kind: order.Enter, Origin: origin(1, 1), Number: 1, Facts: known(11)})
	s.wantMayFound(false, mine)
	if !s.MayFound(s.now, mine, 5*time.Second, true) {
		t.Error("hub 1 waits for hub 2, which waits for an answer, too")
	}
	s.note(0, say(order.Beat, origin(2, 7), 2)) // it has the state
	if s.MayFound(s.now, mine, 5*time.Second, true) {
		t.Error("hub 1 does not wait for hub 2, which is a member")
	}
	higher := order.NewCensus(3, 11)
	higher.Note(s.now, order.Entry{Position: mine, At: s.now}, &order.Record{Kind: order.Enter, Origin: origin(2, 7), Number: 1, Facts: entering})
	if higher.MayFound(s.now, order.Position{Epoch: 1, Sequence: 500}, 5*time.Second, true) {
		t.Error("hub 3 does not wait for hub 2")
	}
}

// Another process that has just spoken with our number may live, so nothing begins again.
func TestNotAloneWithARival(t *testing.T) {
	s := newSky(t)
	s.note(0, say(order.Batch, origin(1, 5), 4))
	s.Begin()
	facts := known(11)
	mine := s.note(0, &order.Record{Kind: order.Enter, Origin: origin(1, 9), Number: 1, Facts: facts})
	s.wantMayFound(false, mine)
	s.now = s.now.Add(3*time.Second + 1)
	s.note(0, &order.Record{Kind: order.Beat, Origin: origin(1, 9), Number: 2, Facts: facts})
	s.wantMayFound(true, mine)
	s.note(0, say(order.Batch, origin(1, 5), 5))
	s.wantMayFound(false, mine)
	s.note(0, &order.Record{Kind: order.Gone, Origin: origin(1, 5), Number: 6, About: origin(1, 5)})
	s.wantMayFound(true, mine)
}

// Another process with our number is there if it speaks twice after we have begun to read.
func TestTaken(t *testing.T) {
	s := newSky(t)
	rival := func(kind order.Kind, process uint64) *order.Record {
		return &order.Record{Kind: kind, Origin: origin(1, 5), Number: 4, Facts: known(process)}
	}
	want := func(want bool, entered order.Position) {
		t.Helper()
		if by, got := s.Taken(entered); got != want || got && by.Process != 12 {
			t.Fatalf("taken by %d: %v, want %v", by.Process, got, want)
		}
	}
	s.note(3*time.Second, rival(order.Beat, 12))
	s.Begin()
	want(false, order.Position{})
	s.note(2*time.Second, rival(order.Beat, 12)) // may have been on its way when the process ended
	want(false, order.Position{})
	s.note(1501*time.Millisecond, rival(order.Beat, 12))
	want(false, order.Position{})
	s.note(1500*time.Millisecond, say(order.Batch, origin(1, 5), 5)) // does not tell of which process
	s.note(1500*time.Millisecond, rival(order.Beat, 11))             // ours
	want(false, order.Position{})
	s.note(1500*time.Millisecond, rival(order.Beat, 12))
	want(true, order.Position{})
	mine := s.at
	want(true, mine)

	s = newSky(t)
	s.Begin()
	mine = s.note(3*time.Second, rival(order.Enter, 11))
	theirs := s.note(2*time.Second, rival(order.Enter, 12)) // behind ours: it is the other one that has to go
	s.note(time.Second, rival(order.Beat, 12))
	want(false, mine)
	theirs.Sequence++
	want(true, theirs)
}
