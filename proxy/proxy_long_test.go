//go:build full || race

package proxy

import (
	"strings"
	"testing"
	"time"
)

// A write deadline from a time when the peer was slow does not limit later writes.
func TestCaughtUpIsForgotten(t *testing.T) {
	t.Parallel()
	l := patient(testLimits())
	tenant, addr, _ := serve(t, l)
	a, slow := dial(t, addr), dial(t, addr)
	big := message(others, 1, strings.Repeat("x", 1<<20-100))
	const n = 8 // more than the sockets' buffers hold
	for range n {
		a.say(big)
	}
	l.WriteTimeout = time.Second // for the rest, as the peer reads on from now on
	tenant.SetLimits(l)
	for range n {
		slow.expect(big)
	}
	small := message(others, 2, "later")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < l.WriteTimeout*3/2; <-tick.C {
		a.say(small)
		slow.expect(small)
	}
}
