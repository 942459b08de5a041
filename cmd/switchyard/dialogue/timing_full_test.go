//go:build full

package dialogue

import (
	"testing"
	"time"
)

func TestTiming(t *testing.T) {
	t.Parallel()
	f := fake{heartbeat: 500 * time.Millisecond, timeout: 2 * time.Second}
	if err := Timing(t.Context(), f.start(t), f.heartbeat, f.timeout); err != nil {
		t.Error(err)
	}
}

// A server with far too frequent heartbeats and no timeout fails on each connection.
func TestTimingFaults(t *testing.T) {
	t.Parallel()
	f := fake{heartbeat: 200 * time.Millisecond, timeout: time.Hour}
	err := Timing(t.Context(), f.start(t), time.Second, time.Second)
	for _, want := range []string{"connection idle: heartbeat at", "connection beating: heartbeat at", "still open at"} {
		check(t, err, want)
	}
}
