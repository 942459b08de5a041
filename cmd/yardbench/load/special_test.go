//go:build full && linux

package load

import (
	"testing"
	"time"

	"switchyard/cmd/yardbench/message"
)

// stallPlan sends so much that the unread bytes of a stalled connection queue up in the hub.
func stallPlan() Plan {
	return Plan{Connections: 8, Senders: 2, Size: 40_000, Rate: 400, Warmup: 20 * time.Millisecond, Duration: 900 * time.Millisecond,
		Stall: Stall{Connections: 2, After: 200 * time.Millisecond, For: 500 * time.Millisecond}}
}

func TestStall(t *testing.T) {
	peers := map[int]*hubPeer{}
	h := startHub(t, &testHub{deliver: func(to *hubPeer, _ int, p []byte) [][]byte {
		peers[to.number] = to
		return [][]byte{p}
	}}, nil)
	res := play(t, h, stallPlan())
	requireSound(t, res)
	s := res.Stall
	if s.Kept != 2 || s.Connections != 2 || s.Delivered*7 != res.Checked*2 {
		t.Errorf("of %d deliveries: %+v", res.Checked, s)
	}
	if s.Before.Count == 0 || s.During.Count == 0 || s.After.Count == 0 || s.Before.Count+s.During.Count+s.After.Count != res.Latency.Count {
		t.Errorf("latencies before %d, during %d, after %d, in all %d", s.Before.Count, s.During.Count, s.After.Count, res.Latency.Count)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range []int{6, 7} {
		if most := peers[n].most; most < 256<<10 {
			t.Errorf("peer %d stalled, and at most %d bytes waited for it", n, most)
		}
	}
}

// Closing a connection that does not read is not a fault of the hub.
func TestStalledConnectionsMayBeClosed(t *testing.T) {
	for name, resume := range map[string]time.Duration{"for ever": 0, "for a while": 500 * time.Millisecond} {
		h := startHub(t, &testHub{deliver: func(to *hubPeer, _ int, p []byte) [][]byte {
			if to.number >= 6 && len(to.queue) > 256<<10 {
				to.close()
			}
			return [][]byte{p}
		}}, nil)
		plan := stallPlan()
		plan.Stall.For = resume
		res := play(t, h, plan)
		requireSound(t, res)
		if res.Stall.Kept != 0 {
			t.Errorf("%s: %d of the stalled are kept, want none", name, res.Stall.Kept)
		}
		if last := res.Stall.Spans[len(res.Stall.Spans)-1]; last.Kept != 0 {
			t.Errorf("%s: %d were kept until the last span", name, last.Kept)
		}
	}
}

func churnPlan(reset bool) Plan {
	p := paced()
	p.Duration = 400 * time.Millisecond
	p.Short = Short{Rate: 200, Messages: 5, Reset: reset}
	return p
}

func TestChurn(t *testing.T) {
	for _, protocol := range []message.Protocol{message.PDU, message.NATS} {
		h := startHub(t, &testHub{protocol: protocol}, nil)
		res := play(t, h, churnPlan(false))
		requireSound(t, res)
		s := res.Short
		if s.Opened == 0 || s.Due != uint64(s.Opened)*5*6 || s.Delivered != s.Due {
			t.Errorf("%v: %+v", protocol, s)
		}
		h.mu.Lock()
		if h.ended < s.Opened {
			t.Errorf("%v: the hub saw the end of %d connections, want %d at least", protocol, h.ended, s.Opened)
		}
		h.mu.Unlock()
	}
}

func TestChurnWithResets(t *testing.T) {
	h := startHub(t, &testHub{}, nil)
	res := play(t, h, churnPlan(true))
	requireSound(t, res)
	if s := res.Short; s.Opened == 0 || s.Delivered > s.Due || !s.Reset {
		t.Errorf("%+v", s)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended > res.Short.Opened/10 {
		t.Errorf("the hub saw %d connections end without a reset", h.ended)
	}
}

// Losing messages of a connection that ended gracefully is a fault.
func TestChurnNoticesLoss(t *testing.T) {
	h := startHub(t, &testHub{deliver: func(to *hubPeer, _ int, p []byte) [][]byte {
		if sender, _ := senderOf(p); to.number == 3 && sender == message.FirstShort+7 {
			return nil
		}
		return [][]byte{p}
	}}, nil)
	res := play(t, h, churnPlan(false))
	if s := res.Short; res.Sound() || s.Due-s.Delivered != 5 {
		t.Errorf("%d of %d delivered, sound %t; want 5 missing", s.Delivered, s.Due, res.Sound())
	}
}
