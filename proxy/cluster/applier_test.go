package cluster

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/logtest"
	"switchyard/proxy/order"
)

// A fakeHub has no peers.
type fakeHub struct {
	applied int
	twice   uint64 // a session that is a msg_server's second one
	apply   func()
}

func (h *fakeHub) Apply(*order.Record) {
	h.applied++
	if h.apply != nil {
		h.apply()
	}
}
func (h *fakeHub) DropHub(uint16)                                     {}
func (h *fakeHub) ExportOrdered(func([]byte) error) error             { return nil }
func (h *fakeHub) ReadOrdered(func() ([]byte, error)) (func(), error) { return func() {}, nil }
func (h *fakeHub) Rejoin(func(*order.Record))                         {}
func (h *fakeHub) TableSum() uint64                                   { return 0 }
func (h *fakeHub) UnderwayBytes() uint64                              { return 0 }
func (h *fakeHub) FindTwice() (session, other uint64)                 { return h.twice, 9 }

func settingsOf(h Hub) Settings {
	return Settings{Number: 1, Hub: h, Ordered: func(f func()) { f() }, Room: func() {}, Policies: func() []uint64 { return nil },
		Entered: func() {}, Window: 1 << 20, Queue: 1 << 20, MemberTimeout: time.Second, Log: slog.New(slog.DiscardHandler)}
}

// Peers that say more as fast as a hub that is alone applies it do not keep it from everything else.
func TestFastSendersAlone(t *testing.T) {
	h := new(fakeHub)
	s := settingsOf(h)
	out := newOutgoing(1, s.Window, s.Queue, s.Room)
	c := newMembership(s, out)
	joined := order.Record{Kind: order.Joined, Session: 1<<40 + 1}
	out.separate()
	h.apply = func() {
		if h.applied < 1000 {
			out.Say(&joined)
		}
	}
	out.Say(&joined)
	c.applyKept()
	if h.applied != 1 {
		t.Errorf("applied %d records at once, of which 1 was said before", h.applied)
	}
	c.unite()
	if n, _, _ := out.outbox.Underway(); h.applied != 2 || n != 1 || c.alone {
		t.Errorf("%d records are applied and %d under way, alone: %v; want 2, the second as the last one said alone, and 1 for all hubs", h.applied, n, c.alone)
	}
}

// The sender is woken for what it can do, and not by each record that is read.
func TestSenderIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutgoing(1, 1<<20, 1<<20, func() {})
		woken := func() bool {
			select {
			case <-o.wake:
				return true
			default:
				return false
			}
		}
		send := func() (records []order.Record) {
			for {
				b, _ := o.next(time.Now())
				if b == nil {
					return records
				}
				r, err := order.Parse(b)
				if err != nil {
					t.Fatal(err)
				}
				records = append(records, r)
			}
		}
		back := func(r *order.Record) { o.do(func(b *order.Outbox) { b.Back(time.Now(), r) }) }
		o.do(func(b *order.Outbox) {
			for range 4 {
				b.Say(&order.Record{Kind: order.Beat})
			}
		})
		if !woken() {
			t.Error("the sender sleeps although there are records to append")
		}
		sent := send()
		o.do(func(b *order.Outbox) { b.Heard(time.Now()) })
		back(&sent[0])
		if woken() {
			t.Error("the sender is woken although there is nothing to append")
		}
		back(&sent[2])
		if !woken() || len(send()) != 3 {
			t.Error("the sender sleeps although a record was lost")
		}
		time.Sleep(time.Second)
		if probe := send(); len(probe) != 1 {
			t.Fatalf("%d records are said again after a second, want 1", len(probe))
		}
		back(&sent[1])
		if !woken() {
			t.Error("the sender sleeps although others than the first may have been lost")
		}
	})
}

// An earlyLog offers a record before Begin has returned.
type earlyLog struct {
	events chan order.Event
	early  chan bool // whether the record was received before that
}

func (l *earlyLog) Append([]byte) error { return nil }
func (l *earlyLog) Begin(context.Context) (last []order.Entry, head order.Position, err error) {
	select {
	case l.events <- order.Event{Kind: order.Reached}:
		l.early <- true
	case <-time.After(time.Second):
		l.early <- false
	}
	return nil, order.Position{Epoch: 1, Sequence: 1}, nil
}
func (l *earlyLog) Continue(context.Context, order.Entry) error { return nil }
func (l *earlyLog) Events() <-chan order.Event                  { return l.events }
func (l *earlyLog) SendState(context.Context, order.Origin, order.Origin, []byte, bool) error {
	return nil
}
func (l *earlyLog) State() <-chan order.StateChunk { return nil }
func (l *earlyLog) Counts() order.LogCounts        { return order.LogCounts{} }
func (l *earlyLog) Close()                         {}

// What is behind the head is handled behind it: the hub's Enter names what it has read.
func TestEventsWaitForBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &earlyLog{events: make(chan order.Event), early: make(chan bool, 1)}
		m := New(l, settingsOf(new(fakeHub)))
		m.Start()
		defer m.Close()
		if <-l.early {
			t.Error("an event was handled before the reading had begun")
		}
		l.events <- order.Event{Kind: order.Reached} // is received now
	})
}

// An awayLog is one whose bus cannot be reached.
type awayLog struct{ earlyLog }

func (*awayLog) Begin(ctx context.Context) ([]order.Entry, order.Position, error) {
	<-ctx.Done()
	return nil, order.Position{}, errors.New("no server of the bus is connected")
}

// A hub that starts without the bus logs why it cannot enter before it continues alone.
func TestLogsWhyItCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := new(logtest.Lines)
		s := settingsOf(new(fakeHub))
		s.Log = slog.New(slog.NewTextHandler(lines, nil))
		m := New(new(awayLog), s)
		m.Start()
		defer m.Close()
		time.Sleep(19 * time.Second)
		synctest.Wait()
		if !lines.Has("the cluster cannot be reached", "no server of the bus is connected") {
			t.Errorf("the log has no cause:\n%s", lines)
		}
	})
}
