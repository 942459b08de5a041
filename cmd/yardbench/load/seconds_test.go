//go:build full && linux

package load

import (
	"strings"
	"testing"
	"time"

	"switchyard/cmd/yardbench/check"
)

// These tests need real time: for messages that never arrive, or for a queue to fill.

// Missing messages at the end are found, too.
func TestLostEndIsNoticed(t *testing.T) {
	h := startHub(t, &testHub{deliver: func(to *hubPeer, n int, p []byte) [][]byte {
		if to.number == 5 && n >= 100 {
			return nil
		}
		return [][]byte{p}
	}}, nil)
	plan := paced()
	plan.Drain = time.Second
	res := play(t, h, plan)
	h.mu.Lock()
	defer h.mu.Unlock()
	if want := uint64(h.seen[0] + h.seen[1] + h.seen[2] - 100); res.Faults != (check.Faults{Lost: want}) {
		t.Errorf("found %v, want %d lost", res.Faults, want)
	}
}

// A sender has no more messages in flight than its window: if one receiver gets nothing,
// each sender sends that many and stops.
func TestWindow(t *testing.T) {
	for _, threads := range []int{1, 3} {
		h := startHub(t, &testHub{deliver: func(to *hubPeer, n int, p []byte) [][]byte {
			if to.number == 5 {
				return nil
			}
			return [][]byte{p}
		}}, nil)
		plan := saturating()
		plan.Threads, plan.Window, plan.Batch, plan.Drain = threads, 60, 16, time.Second
		res := play(t, h, plan)
		if want := uint64(3 * 48); res.Faults != (check.Faults{Lost: want}) {
			t.Errorf("%d threads: found %v, want %d lost: 3 senders of 3 batches of 16", threads, res.Faults, want)
		}
	}
}

// A pause of the hub shows in the latency: messages that were due during the pause count
// from when they were due.
func TestLatencyCountsFromWhenDue(t *testing.T) {
	const pause = 200 * time.Millisecond
	h := startHub(t, &testHub{deliver: func(to *hubPeer, n int, p []byte) [][]byte {
		if to.number == 5 && n == 300 {
			time.Sleep(pause) // with the hub's lock
		}
		return [][]byte{p}
	}}, nil)
	plan := paced()
	plan.Warmup, plan.Duration = 0, 600*time.Millisecond
	res := play(t, h, plan)
	requireSound(t, res)
	// In that time a third of all was due, half of it to wait for half of it or more.
	if p75 := time.Duration(res.Latency.P90 * 1e3); p75 < pause/2 {
		t.Errorf("a tenth of all waited for %v or longer, want %v at least", p75, pause/2)
	}
}

func TestStreamsNoticeFaults(t *testing.T) {
	server, client := certificate(t)
	h := startHub(t, &testHub{deliver: func(to *hubPeer, n int, p []byte) [][]byte {
		switch {
		case to.number == 5 && n == 40:
			return nil
		case to.number == 4 && n == 60:
			to.close()
		}
		return [][]byte{p}
	}}, server)
	plan := paced()
	plan.TLS, plan.Drain = client, time.Second
	res := play(t, h, plan)
	if res.Sound() || len(res.Ended) != 1 || !strings.Contains(res.Ended[0], "connection 4") {
		t.Errorf("ended: %q", res.Ended)
	}
	if f := res.Faults; f.Lost < 2 || f != (check.Faults{Lost: f.Lost}) {
		t.Errorf("found %v, want one lost, and what the closed connection missed", f)
	}
}

func TestStreamsWindow(t *testing.T) {
	server, client := certificate(t)
	h := startHub(t, &testHub{deliver: func(to *hubPeer, n int, p []byte) [][]byte {
		if to.number == 5 {
			return nil
		}
		return [][]byte{p}
	}}, server)
	plan := saturating()
	plan.TLS, plan.Window, plan.Batch, plan.Drain = client, 60, 16, time.Second
	plan.Duration = 3 * time.Second // for every sender to fill its window, whatever else the machine does
	if res := play(t, h, plan); res.Faults != (check.Faults{Lost: 3 * 48}) {
		t.Errorf("found %v, want %d lost", res.Faults, 3*48)
	}
}
