package jetstream

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/proxy/order"
)

// Records that were missed count as read again, and those that wait as behind.
func TestCounts(t *testing.T) {
	b := startFake(t)
	times := short
	times.idle = time.Hour // so nothing else shows the gap
	l := begun(t, b, times)
	if got := l.Counts(); got != (order.LogCounts{}) {
		t.Errorf("at the start: %+v", got)
	}
	b.mu.Lock()
	b.lose = func(number uint64) bool { return number < 50 }
	b.mu.Unlock()
	want := []string{}
	for n := 1; n <= 50; n++ {
		b.append(fmt.Sprint(n))
		want = append(want, fmt.Sprint(n))
	}
	awaitCounts(t, l, func(c order.LogCounts) bool { return c.Behind > 40 }) // nobody receives them
	reads(t, l, 1, want...)
	awaitCounts(t, l, func(c order.LogCounts) bool { return c.Behind == 0 && c.ReadAgain == 49 && c.Reconnects == 0 })

	b.cut()
	b.append("after the cut")
	awaitCounts(t, l, func(c order.LogCounts) bool { return c.Reconnects == 1 })
}

// Neither the counts nor the records that have come wait for one that a full socket does not take.
func TestReadWhileTheBusTakesNothing(t *testing.T) {
	b := startFake(t)
	times := short
	times.idle = time.Hour // the reader asks for nothing
	l := begun(t, b, times)
	var want []string
	for n := 1; n <= 50; n++ {
		b.append(fmt.Sprint(n))
		want = append(want, fmt.Sprint(n))
	}
	awaitCounts(t, l, func(c order.LogCounts) bool { return c.Behind == 49 }) // the reader has one
	b.mu.Lock()                                                               // the bus reads nothing
	var appending atomic.Int64
	over := make(chan struct{})
	go func() {
		defer close(over)
		for record := make([]byte, 256<<10); l.Append(record) == nil; {
			appending.Add(1)
		}
	}()
	for same, before := 0, int64(0); same < 50; time.Sleep(time.Millisecond) {
		if now := appending.Load(); now != before {
			same, before = 0, now
		} else if now > 0 {
			same++
		}
	}
	reads(t, l, 1, want...)
	for range 1000 {
		l.Counts()
		runtime.Gosched()
	}
	select {
	case <-over:
		t.Error("the records or the counts came only when the record was given up")
	default:
	}
	b.mu.Unlock()
	l.Close()
	<-over
}

// awaitCounts waits until the counts are as wanted.
func awaitCounts(t *testing.T, l *Log, wanted func(order.LogCounts) bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !wanted(l.Counts()); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain; got %+v", l.Counts())
		}
	}
}
