package jetstream

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"switchyard/proxy/order"
)

// Records that were missed count as read again, and those that wait as behind.
func TestCounts(t *testing.T) {
	b := startFake(t)
	times := short
	times.quiet = time.Hour // so nothing else shows the gap
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

// awaitCounts waits until the counts are as wanted.
func awaitCounts(t *testing.T, l *Log, wanted func(order.LogCounts) bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !wanted(l.Counts()); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain; got %+v", l.Counts())
		}
	}
}
