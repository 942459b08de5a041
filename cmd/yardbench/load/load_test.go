//go:build linux

package load

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"switchyard/cmd/yardbench/check"
	"switchyard/cmd/yardbench/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// saturating and paced return small plans of both kinds.
func saturating() Plan {
	return Plan{Connections: 6, Senders: 3, Size: 200, Window: 64, Batch: 8, Warmup: 20 * time.Millisecond, Duration: 150 * time.Millisecond}
}

func paced() Plan {
	return Plan{Connections: 6, Senders: 3, Size: 200, Rate: 2000, Warmup: 20 * time.Millisecond, Duration: 150 * time.Millisecond}
}

// play plays a plan against a hub.
func play(t *testing.T, h *testHub, p Plan) Result {
	t.Helper()
	p.Addresses, p.Protocol = []string{h.address()}, h.protocol
	res, err := Run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// playEnough plays a plan until the hub has received enough messages and latencies were
// measured: on a busy machine a run may be too short for that. Each try has a new hub and
// takes twice as long.
func playEnough(t *testing.T, enough int, newHub func() *testHub, config *tls.Config, p Plan) (Result, *testHub) {
	t.Helper()
	for ; ; p.Duration *= 2 {
		h := startHub(t, newHub(), config)
		res := play(t, h, p)
		if h.received() >= enough && res.Latency.Count > 0 || p.Duration > 20*time.Second {
			return res, h
		}
	}
}

// A hub without faults is found sound, with every kind of plan.
func TestSound(t *testing.T) {
	large := saturating()
	large.Size, large.Window, large.Batch = 64<<10, 4, 1
	threads := saturating()
	threads.Threads = 3
	pacedThreads := paced()
	pacedThreads.Threads = 2
	random := paced()
	random.Random = true
	allSend := saturating()
	allSend.Senders = allSend.Connections
	smallest := saturating()
	smallest.Size = message.MinSize
	for name, c := range map[string]struct {
		plan     Plan
		protocol message.Protocol
	}{
		"saturating":            {saturating(), message.PDU},
		"saturating NATS":       {saturating(), message.NATS},
		"paced":                 {paced(), message.PDU},
		"paced NATS":            {paced(), message.NATS},
		"random":                {random, message.PDU},
		"large messages":        {large, message.PDU},
		"large messages NATS":   {large, message.NATS},
		"smallest messages":     {smallest, message.PDU},
		"threads":               {threads, message.PDU},
		"threads at a rate":     {pacedThreads, message.PDU},
		"all connections send":  {allSend, message.PDU},
		"two connections, one ": {Plan{Connections: 2, Senders: 1, Size: 100, Window: 1, Batch: 1, Duration: 50 * time.Millisecond}, message.PDU},
	} {
		t.Run(name, func(t *testing.T) {
			res, h := playEnough(t, 1, func() *testHub { return &testHub{protocol: c.protocol} }, nil, c.plan)
			requireSound(t, res)
			if c.plan.Connections-c.plan.Senders >= 2 && res.Order != OneOrder {
				t.Errorf("order is %s, want one", res.Order)
			}
			others := c.plan.Connections - 1
			sent := h.received()
			if res.Checked != uint64(sent*others) {
				t.Errorf("%d deliveries were checked, want %d messages at %d connections", res.Checked, sent, others)
			}
		})
	}
}

// Connections are spread over the hubs of a cluster. Here one hub has two addresses.
func TestConnectionsAreSpread(t *testing.T) {
	server, client := certificate(t)
	for name, c := range map[string]struct{ server, client *tls.Config }{"loops": {}, "streams": {server, client}} {
		t.Run(name, func(t *testing.T) {
			h := startHub(t, new(testHub), c.server)
			second, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if c.server != nil {
				second = tls.NewListener(second, c.server)
			}
			t.Cleanup(func() { second.Close() })
			h.serving.Go(func() { h.accept(second) })
			plan := paced()
			plan.Connections, plan.TLS, plan.Addresses = 7, c.client, []string{h.address(), second.Addr().String()}
			res, err := Run(t.Context(), plan)
			if err != nil || !res.Sound() {
				t.Fatalf("faults %v, ended %v, %v", res.Faults, res.Ended, err)
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if first, second := h.accepted[plan.Addresses[0]], h.accepted[plan.Addresses[1]]; first != 4 || second != 3 {
				t.Errorf("%d and %d connections, want 4 and 3", first, second)
			}
		})
	}
}

// CPU time and memory are those of all hubs together, and those of the bus are apart. Here this
// process is all of them.
func TestMarksAddUp(t *testing.T) {
	self := os.Getpid()
	var one, both mark
	if err := one.measure(&Plan{PIDs: []int{self}}); err != nil {
		t.Fatal(err)
	}
	if err := both.measure(&Plan{PIDs: []int{self, self}, Bus: []int{self}}); err != nil {
		t.Fatal(err)
	}
	if one.bus != 0 || both.bus < one.server || both.server < 2*one.server || both.memory.Peak < 2*one.memory.Peak || both.memory.Resident <= 0 {
		t.Errorf("one hub: %+v; two hubs and a bus: %+v", one, both)
	}
}

func requireSound(t *testing.T, res Result) {
	t.Helper()
	if !res.Sound() || res.Checked == 0 || res.Delivered == 0 || res.Latency.Count == 0 || res.Seconds <= 0 {
		t.Errorf("not sound: %v, ended %v; %d checked, %.0f/s, %d latencies, %f s", res.Faults, res.Ended, res.Checked, res.Delivered, res.Latency.Count, res.Seconds)
	}
}

// Each fault of a hub is found and distinguished from the others. Peer 5 only receives.
func TestFaultsAreNoticed(t *testing.T) {
	only := func(p *hubPeer, n int, at int) bool { return p.number == 5 && n == at }
	var held []byte
	for name, c := range map[string]struct {
		deliver func(to *hubPeer, n int, p []byte) [][]byte
		want    check.Faults
	}{
		"lost": {func(to *hubPeer, n int, p []byte) [][]byte {
			if only(to, n, 40) {
				return nil
			}
			return [][]byte{p}
		}, check.Faults{Lost: 1}},
		"repeated": {func(to *hubPeer, n int, p []byte) [][]byte {
			if only(to, n, 40) {
				return [][]byte{p, p}
			}
			return [][]byte{p}
		}, check.Faults{Duplicated: 1}},
		"swapped": {func(to *hubPeer, n int, p []byte) [][]byte {
			sender, _ := senderOf(p)
			switch {
			case to.number == 5 && n >= 40 && held == nil && sender == 0:
				held = p
				return nil
			case to.number == 5 && len(held) > 0 && sender == 0:
				late := held
				held = []byte{}
				return [][]byte{p, late}
			}
			return [][]byte{p}
		}, check.Faults{Reordered: 1}},
		"damaged": {func(to *hubPeer, n int, p []byte) [][]byte {
			if only(to, n, 40) {
				p = append([]byte(nil), p...)
				p[150]++
			}
			return [][]byte{p}
		}, check.Faults{Damaged: 1}},
		"damaged beyond recognition": {func(to *hubPeer, n int, p []byte) [][]byte {
			if only(to, n, 40) {
				p = append([]byte(nil), p...)
				p[message.KeyOffset+2]++
			}
			return [][]byte{p}
		}, check.Faults{Foreign: 1, Lost: 1}},
	} {
		for _, protocol := range []message.Protocol{message.PDU, message.NATS} {
			t.Run(name+" "+protocol.String(), func(t *testing.T) {
				plan := paced()
				plan.Drain = time.Second
				res, _ := playEnough(t, 100, func() *testHub {
					held = nil
					return &testHub{protocol: protocol, deliver: c.deliver}
				}, nil, plan)
				if res.Faults != c.want || res.Sound() || res.Order != NoOrder {
					t.Errorf("found %v, order %s; want %v", res.Faults, res.Order, c.want)
				}
			})
		}
	}
}

func TestEchoesAreNoticed(t *testing.T) {
	res, _ := playEnough(t, 1, func() *testHub { return &testHub{echo: true} }, nil, paced())
	if f := res.Faults; f.Echoed == 0 || f != (check.Faults{Echoed: f.Echoed}) {
		t.Errorf("found %v, want echoes", f)
	}
}

// Messages of different senders may arrive in different orders at different receivers
// while each sender's own order holds.
func TestManyOrdersAreNoticed(t *testing.T) {
	for _, senders := range []int{3, 6} { // with receivers that send nothing, and without
		var held []byte
		deliver := func(to *hubPeer, n int, p []byte) [][]byte {
			sender, _ := senderOf(p)
			switch {
			case to.number != 5:
			case sender == 0 && held == nil:
				held = p
				return nil
			case sender == 1 && len(held) > 0:
				late := held
				held = []byte{}
				return [][]byte{p, late}
			case sender == 0 && len(held) > 0: // there was nothing in between
				late := held
				held = nil
				return [][]byte{late, p}
			}
			return [][]byte{p}
		}
		plan := paced()
		plan.Senders = senders
		res, _ := playEnough(t, 100, func() *testHub {
			held = nil
			return &testHub{deliver: deliver}
		}, nil, plan)
		if !res.Sound() || res.Order != ManyOrders {
			t.Errorf("%d senders: found %v, order %s; want no fault and many orders", senders, res.Faults, res.Order)
		}
	}
}

func TestClosedConnectionsAreNoticed(t *testing.T) {
	for _, plan := range []Plan{paced(), saturating()} {
		deliver := func(to *hubPeer, n int, p []byte) [][]byte {
			if to.number == 5 && n == 50 {
				to.close()
			}
			return [][]byte{p}
		}
		plan.Drain = time.Second
		res, _ := playEnough(t, 100, func() *testHub { return &testHub{deliver: deliver} }, nil, plan)
		if len(res.Ended) != 1 || !strings.Contains(res.Ended[0], "connection 5") || res.Sound() {
			t.Errorf("ended: %q", res.Ended)
		}
	}
}

func TestRefusedPlans(t *testing.T) {
	good := saturating()
	good.Addresses = []string{"127.0.0.1:1"}
	for name, change := range map[string]func(*Plan){
		"no address":           func(p *Plan) { p.Addresses = nil },
		"one connection":       func(p *Plan) { p.Connections = 1 },
		"no sender":            func(p *Plan) { p.Senders = 0 },
		"too many senders":     func(p *Plan) { p.Senders = 7 },
		"a negative rate":      func(p *Plan) { p.Rate = -1 },
		"a rate of none":       func(p *Plan) { p.Rate = math.NaN() },
		"no window":            func(p *Plan) { p.Window = 0 },
		"a batch too large":    func(p *Plan) { p.Batch = 65 },
		"no duration":          func(p *Plan) { p.Duration = 0 },
		"too many stalled":     func(p *Plan) { p.Stall.Connections = 4 },
		"short, no messages":   func(p *Plan) { p.Short.Rate = 1 },
		"short, with threads":  func(p *Plan) { p.Short = Short{Rate: 1, Messages: 1}; p.Threads = 2 },
		"a stall in a cluster": func(p *Plan) { p.Stall.Connections, p.Addresses = 1, append(p.Addresses, "127.0.0.1:2") },
		"too small":            func(p *Plan) { p.Size = 39 },
		"a wrong address":      func(p *Plan) { p.Addresses = []string{"nowhere"} },
		"nobody there":         func(*Plan) {},
	} {
		plan := good
		change(&plan)
		if _, err := Run(t.Context(), plan); err == nil {
			t.Errorf("%s: a run is possible", name)
		}
	}
}

func TestStoppedRun(t *testing.T) {
	why := errors.New("enough")
	h := startHub(t, &testHub{}, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer time.AfterFunc(100*time.Millisecond, func() { cancel(why) }).Stop()
	plan := saturating()
	plan.Addresses, plan.Duration, plan.Threads = []string{h.address()}, time.Hour, 2
	if _, err := Run(ctx, plan); !errors.Is(err, why) {
		t.Errorf("ended with %v, want %v", err, why)
	}
}

// A hub with another protocol is refused at once.
func TestWrongProtocol(t *testing.T) {
	h := startHub(t, &testHub{protocol: message.NATS}, nil)
	plan := paced()
	plan.Addresses = []string{h.address()}
	if _, err := Run(t.Context(), plan); err == nil || !strings.Contains(err.Error(), "cannot be read on") {
		t.Errorf("ended with %v", err)
	}
}
