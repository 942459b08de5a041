package logsample

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// flushed returns the calls of more by Flush.
func flushed(l *Lines) (got []string) {
	l.Flush(func(name string, n int) { got = append(got, fmt.Sprint(name, " ", n)) })
	return got
}

func TestBurst(t *testing.T) {
	var l Lines
	for i := range Burst + 3 {
		if got, want := l.Admit("flood", 2), i < Burst; got != want {
			t.Errorf("line %d: Admit = %v, want %v", i, got, want)
		}
	}
	if !l.Admit("other", 1) {
		t.Error("a flood of one kind suppresses another kind")
	}
	if got, want := flushed(&l), []string{"flood 6"}; !slices.Equal(got, want) {
		t.Errorf("left out %q, want %q", got, want)
	}
	if !l.Admit("flood", 2) {
		t.Error("nothing is admitted after the period")
	}
	if got := flushed(&l); got != nil {
		t.Errorf("left out %q in a period of one line", got)
	}
}

func TestFlushIsInOrder(t *testing.T) {
	var l Lines
	names := []string{"c", "a", "e", "b", "d"}
	for _, name := range names {
		for range Burst + 1 {
			l.Admit(name, 1)
		}
	}
	if got, want := flushed(&l), []string{"a 1", "b 1", "c 1", "d 1", "e 1"}; !slices.Equal(got, want) {
		t.Errorf("left out %q, want %q", got, want)
	}
}

// Under concurrent calls, each event is either written or counted, once.
func TestNothingGetsLost(t *testing.T) {
	const askers, each = 4, 1000
	var l Lines
	var written, left atomic.Int64
	count := func(_ string, n int) { left.Add(int64(n)) }
	var asking sync.WaitGroup
	for range askers {
		asking.Go(func() {
			for i := range each {
				if l.Admit("flood", 1) {
					written.Add(1)
				}
				if i%100 == 0 {
					l.Flush(count)
				}
			}
		})
	}
	asking.Wait()
	l.Flush(count)
	if got := written.Load() + left.Load(); got != askers*each {
		t.Errorf("%d written and %d left out, want %d together", written.Load(), left.Load(), askers*each)
	}
	if written.Load() < Burst {
		t.Errorf("%d written", written.Load())
	}
}
