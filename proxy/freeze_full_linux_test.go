//go:build full

package proxy

import (
	"runtime"
	"testing"
)

func TestFreezeAThousandTimes(t *testing.T) { freezeUnderTraffic(t, 250) }

// A tenant that is handed over again and again keeps no goroutines and no descriptors of the
// tenants before.
func TestHandoversLeaveNothing(t *testing.T) {
	l := newLine(t, testLimits())
	for range 20 {
		dial(t, l.addr)
	}
	l.handOver()
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for range 500 {
		l.handOver()
	}
	eventually(t, "as many goroutines and descriptors as before", func() bool {
		return runtime.NumGoroutine() <= goroutines && descriptors(t) <= files
	})
}

func TestTrafficAcrossManyHandovers(t *testing.T) {
	talkAcrossHandovers(t, newLine(t, testLimits()), 20_000, 300)
}
