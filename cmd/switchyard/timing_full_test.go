//go:build full

package main

import (
	"testing"
	"time"

	"switchyard/cmd/switchyard/dialogue"
)

// Heartbeats and timeouts keep the original's bounds, at shorter intervals than its 5
// and 30 s.
func TestTiming(t *testing.T) {
	t.Parallel()
	const heartbeat, timeout = 2 * time.Second, 6 * time.Second
	p := start(t, t.TempDir(), "--set", "peer.heartbeat="+heartbeat.String(), "--set", "peer.timeout="+timeout.String())
	if err := dialogue.Timing(t.Context(), p.address, heartbeat, timeout); err != nil {
		t.Error(err)
	}
}
