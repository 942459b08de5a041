//go:build linux

package load

import (
	"math"
	"slices"
	"testing"

	"switchyard/cmd/yardbench/histogram"
	"switchyard/cmd/yardbench/message"
)

// sendersOf returns the senders of a plan, which begin at 1000.
func sendersOf(t *testing.T, p Plan) ([]*sender, *message.Wire, *histogram.Histogram) {
	t.Helper()
	w, err := message.NewWire(message.PDU, p.Size)
	if err != nil {
		t.Fatal(err)
	}
	late := new(histogram.Histogram)
	var all []*sender
	for i := range p.Senders {
		s := newSender(&p, &w, i, late)
		s.begin(1000, 1000, p.Senders)
		all = append(all, s)
	}
	return all, &w, late
}

// dues returns when the messages in b were due.
func dues(t *testing.T, w *message.Wire, b []byte) (all []int64) {
	t.Helper()
	for i := uint32(0); len(b) > 0; i++ {
		m, state := w.Read(b[:w.Size()])
		if state != message.Sound || m.Seq != i {
			t.Fatalf("message %d is %+v, state %d", i, m, state)
		}
		all = append(all, m.Due)
		b = b[w.Size():]
	}
	return all
}

// However late a message is made, it carries the time at which it was due.
func TestDueInEqualSteps(t *testing.T) {
	all, w, late := sendersOf(t, Plan{Senders: 4, Size: 100, Rate: 4e6}) // one message each microsecond
	var got []int64
	for _, s := range all {
		got = append(got, dues(t, w, s.appendDue(nil, 11_999, maxUnsent))...)
	}
	slices.Sort(got)
	want := []int64{1000, 1250, 1500, 1750, 2000}
	if len(got) != 44 || !slices.Equal(got[:5], want) || got[43] != 11_750 {
		t.Errorf("%d messages were due at %v, want 44 at %v and so on", len(got), got, want)
	}
	if late.Count() != 44 || late.Max() != 10_999 {
		t.Errorf("%d were late by up to %v, want 44 by up to 10.999µs", late.Count(), late.Max())
	}
}

// A message that does not fit keeps the time at which it was due.
func TestDueInParts(t *testing.T) {
	all, w, _ := sendersOf(t, Plan{Senders: 1, Size: 100, Rate: 1e6})
	s := all[0]
	var b []byte
	for range 5 {
		b = s.appendDue(b, 10_500, len(b)+150)
	}
	want := []int64{1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000}
	if got := dues(t, w, b); !slices.Equal(got, want) {
		t.Errorf("due at %v, want %v", got, want)
	}
}

// Of independent events, the standard deviation of the intervals equals their mean.
func TestDueAtRandom(t *testing.T) {
	all, w, _ := sendersOf(t, Plan{Senders: 2, Size: 100, Rate: 2e6, Random: true})
	var firsts []int64
	for _, s := range all {
		got := dues(t, w, s.appendDue(nil, 20e6, math.MaxInt))
		firsts = append(firsts, got[0])
		sum, squares := 0.0, 0.0
		for i, due := range got[1:] {
			step := float64(due - got[i])
			sum += step
			squares += step * step
		}
		n := float64(len(got) - 1)
		mean := sum / n
		if deviation := math.Sqrt(squares/n - mean*mean); math.Abs(mean-1000) > 30 || math.Abs(deviation-1000) > 40 {
			t.Errorf("sender %d: steps of %.0f ns with a deviation of %.0f, want 1000 and 1000", s.number, mean, deviation)
		}
	}
	if firsts[0] == firsts[1] {
		t.Error("two senders send at the same times")
	}
}

func TestAgenda(t *testing.T) {
	var a agenda
	var done []int
	enter := func(at int64, n int) { a.at(at, func(int64) { done = append(done, n) }) }
	enter(20, 3)
	enter(10, 1)
	enter(20, 4)
	enter(10, 2)
	a.at(15, func(now int64) { enter(now, 10); enter(99, 11) })
	if a.next() != 10 {
		t.Errorf("the next is at %d, want 10", a.next())
	}
	a.do(9)
	a.do(20)
	if want := []int{1, 2, 3, 4, 10}; !slices.Equal(done, want) || a.next() != 99 {
		t.Errorf("done were %v, want %v; the next is at %d, want 99", done, want, a.next())
	}
	a.do(99)
	if a.next() != math.MaxInt64 {
		t.Errorf("an empty agenda has something at %d", a.next())
	}
}
