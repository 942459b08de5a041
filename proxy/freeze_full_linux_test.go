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
	limits := testLimits()
	limits.Timeout = 0 // the traffic may be over long before the last handover
	talkAcrossHandovers(t, newLine(t, limits), 6000, 100)
}
