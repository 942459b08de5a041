package proxy

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// kernels are the ways in which a peer's kernel reports what the peer has read.
var kernels = map[string]simulatedSocket{
	"at once":      {},
	"lazily":       {lazy: true},
	"over 500 µs":  {roundTrip: 25},
	"lazily, 1 ms": {lazy: true, roundTrip: 50},
}

// starved returns when a goroutine gets to run that is to run at some time, on a machine where
// it gets a fifth of the time.
func starved(seed uint64) func(at int64) int64 {
	random := rand.New(rand.NewPCG(seed, 0))
	from, to := int64(0), int64(0) // when it runs
	return func(at int64) int64 {
		for at >= to {
			from = to + random.Int64N(int64(16*time.Millisecond))
			to = from + random.Int64N(int64(4*time.Millisecond))
		}
		return max(at, from)
	}
}

// A burst does not make a msg_server deaf, whatever the size of the PDUs and of its socket's
// buffer. Neither does what became due while it stood still.
func TestPacerSparesMsgServers(t *testing.T) {
	const atOnce, small, large = 1e9, 256 << 10, 6 << 20
	for name, c := range map[string]struct {
		size, pdus, load, room int
		stands, within         time.Duration
	}{
		"small PDUs":             {66, 100_000, atOnce, small, 0, 1200 * time.Millisecond},
		"small PDUs, large room": {66, 100_000, atOnce, large, 0, 1200 * time.Millisecond},
		"1 KiB":                  {1024, 20_000, atOnce, small, 0, 1200 * time.Millisecond},
		"1 KiB, large room":      {1024, 20_000, atOnce, large, 0, 1200 * time.Millisecond},
		"it stood still":         {1024, 40_000, 20_000 * 1024, large, time.Second, 3 * time.Second},
	} {
		play := func(socket simulatedSocket, paced bool) (took, deaf time.Duration, lifted bool) {
			m := &simulatedMsgServer{size: c.size, busy: int64(c.stands)}
			socket.room = c.room
			s := &simulation{size: c.size, total: c.pdus * c.size, load: perTick(c.load), socket: socket, reads: m.read}
			took = s.run(t, paced)
			return took, m.longest, s.lifted > 0
		}
		if _, deaf, _ := play(simulatedSocket{}, false); deaf < time.Second {
			t.Errorf("%s: deaf for %v without a pace, so the simulation shows nothing", name, deaf)
		}
		for kernel, socket := range kernels {
			if took, deaf, lifted := play(socket, true); deaf > 400*time.Millisecond || took > c.within || lifted {
				t.Errorf("%s, reported %s: deaf for %v, all was read after %v, lifted: %v, want 400ms, %v, false", name, kernel, deaf, took, lifted, c.within)
			}
		}
	}
}

// Neither msg_server nor writer gets the processor when it wants it. Then the msg_server may look
// fast at times, but never long enough for the pace to be lifted.
func TestPacerSparesStarvedMsgServers(t *testing.T) {
	for seed := range uint64(8) {
		m, runs := &simulatedMsgServer{size: 66}, starved(seed)
		s := &simulation{size: 66, total: 100_000 * 66, load: perTick(1e9), socket: simulatedSocket{room: 6 << 20}, starve: starved(seed + 100)}
		s.reads = func(at int64, n int) int {
			if runs(at) > at {
				m.busy += min(int64(simulationTick), max(0, m.busy-at))
				return 0
			}
			return m.read(at, n)
		}
		took := s.run(t, true)
		if s.lifted > 0 || m.longest > time.Second {
			t.Errorf("seed %d: lifted after %v, deaf for %v, took %v", seed, s.lifted, m.longest, took)
		}
	}
}

// A peer that reads faster than a msg_server shows that with a burst, and is paced no more.
func TestPacerLiftsThePace(t *testing.T) {
	for kernel, socket := range kernels {
		for _, size := range []int{66, 200, 1024} {
			socket := socket
			socket.room = 6 << 20
			s := &simulation{size: size, total: 60 << 20, load: perTick(1e9), socket: socket, reads: func(_ int64, n int) int { return n }}
			s.run(t, true)
			if s.lifted == 0 || s.lifted > 50*time.Millisecond {
				t.Errorf("%s, PDUs of %d bytes: lifted after %v, want at most 50ms", kernel, size, s.lifted)
			}
		}
	}
}

// A machine that is too busy for the peer to read in time delays the proof, but does not
// prevent it.
func TestPacerLiftsThePaceOfStarvedPeers(t *testing.T) {
	for seed := range uint64(8) {
		runs := starved(seed)
		s := &simulation{size: 200, total: 100 << 20, load: perTick(1e9), socket: simulatedSocket{room: 6 << 20}, starve: starved(seed + 100)}
		s.reads = func(at int64, n int) int {
			if runs(at) > at {
				return 0
			}
			return n
		}
		took := s.run(t, true)
		if s.lifted == 0 || s.lifted > time.Second {
			t.Errorf("seed %d: lifted after %v of %v, want at most 1s", seed, s.lifted, took)
		}
	}
}

// Over a long distance every peer reads late, but only a msg_server is late with longer flows.
func TestPacerTellsPeersApartAtADistance(t *testing.T) {
	far := simulatedSocket{room: 6 << 20, roundTrip: int(20 * time.Millisecond / simulationTick)}
	s := &simulation{size: 66, total: 60 << 20, load: perTick(1e9), socket: far, reads: func(_ int64, n int) int { return n }}
	if s.run(t, true); s.lifted == 0 || s.lifted > time.Second {
		t.Errorf("lifted after %v, want at most 1s", s.lifted)
	}
	m := &simulatedMsgServer{size: 66}
	s = &simulation{size: 66, total: 100_000 * 66, load: perTick(1e9), socket: far, reads: m.read}
	if s.run(t, true); s.lifted > 0 || m.longest > 400*time.Millisecond {
		t.Errorf("msg_server: lifted after %v, deaf for %v, want never and 400ms", s.lifted, m.longest)
	}
}

// A peer that can take more gets it. Here it gets 300 MB in a second, and reads what its
// socket has each time it comes to it.
func TestPacerLeavesOthersAlone(t *testing.T) {
	for _, peer := range []struct {
		round time.Duration
		room  int
	}{{0, 64 << 10}, {500 * time.Microsecond, 512 << 10}, {time.Millisecond, 6 << 20}} {
		for _, size := range []int{200, 1024, 64 << 10} {
			took, _ := againstNoPace(t, peer.round, simulation{size: size, total: 150 << 20, load: perTick(300e6), socket: simulatedSocket{room: peer.room}})
			if most := took[0] + took[0]/10; took[1] > most {
				t.Errorf("%v, PDUs of %d bytes: took %v, and %v without a pace", peer, size, took[1], took[0])
			}
		}
	}
}

// A peer in a saturated system reads late, because it reads much else as well. It is late like a
// msg_server, but not with longer flows.
func TestPacerLiftsThePaceOfPeersThatReadMuchElse(t *testing.T) {
	took, s := againstNoPace(t, 25*time.Millisecond, simulation{size: 512, total: 300 << 20, load: perTick(40e6), socket: simulatedSocket{room: 6 << 20}})
	if most := took[0] + took[0]/10; took[1] > most || s.lifted == 0 || s.lifted > 4*time.Second {
		t.Errorf("took %v, and %v without a pace; it was lifted after %v, want at most 4s", took[1], took[0], s.lifted)
	}
}

// againstNoPace plays a simulation without a pace and with one, of a peer that reads what its
// socket has once in each round. It returns how long both took.
func againstNoPace(t *testing.T, round time.Duration, what simulation) (took [2]time.Duration, paced *simulation) {
	t.Helper()
	for i, pace := range []bool{false, true} {
		s, last := what, int64(0)
		s.reads = func(at int64, n int) int {
			if at-last < int64(round) {
				return 0
			}
			last = at
			return n
		}
		took[i] = s.run(t, pace)
		paced = &s
	}
	return took, paced
}

// A peer that gets no more than a msg_server can process never meets a pause.
func TestPacerDoesNotPauseBelowThePace(t *testing.T) {
	for _, c := range []struct{ size, perSecond int }{{66, 150_000}, {200, 150_000}, {1024, 80_000}} {
		m := &simulatedMsgServer{size: c.size}
		s := &simulation{size: c.size, total: 20 << 20, load: perTick(c.size * c.perSecond), socket: simulatedSocket{room: 6 << 20}, reads: m.read}
		if s.run(t, true); s.pauses > 0 || s.lifted > 0 {
			t.Errorf("%d PDUs of %d bytes a second: %d pauses, lifted after %v, want none and never", c.perSecond, c.size, s.pauses, s.lifted)
		}
	}
}

// Large PDUs are not paced, and cost nothing. Small ones that follow are paced.
func TestPacerIgnoresLargePDUs(t *testing.T) {
	bytes, pdus := uint64(0), uint64(0)
	socket := &simulatedSocket{room: 1 << 20}
	p := newPacer(func() (uint64, uint64) { return bytes, pdus }, socket, func() {})
	socket.asked = 0
	write := func(n int, size uint64, now int64) {
		bytes, pdus = bytes+uint64(n), pdus+uint64(n)/size
		p.wrote(n, now)
	}
	for now := range int64(100) {
		write(1<<20, 64<<10, now)
		if n, _ := p.allows(now); n != flushBytes {
			t.Fatalf("%d bytes allowed, want %d", n, flushBytes)
		}
	}
	if socket.asked > 0 {
		t.Errorf("asked %d times for the progress, want 0", socket.asked)
	}
	write(1<<20, 64, 100)
	if n, wait := p.allows(100); n > 0 || wait == 0 {
		t.Errorf("%d bytes of small PDUs allowed, want 0", n)
	}
}

// A window that the peer's kernel has narrowed for good does not hold up the peer for good.
func TestPacerForgetsTheWidestWindow(t *testing.T) {
	s := &simulation{size: 1024, total: 200 << 20, load: perTick(20e6), socket: simulatedSocket{room: 6 << 20}}
	s.reads = func(at int64, n int) int {
		if at == int64(time.Second) {
			s.socket.room = 100 << 10
		}
		return n
	}
	if took := s.run(t, true); took > 20*time.Second {
		t.Errorf("took %v, want about as long as the load, 10.5 s", took)
	}
}

// The edge of the window stands still while the peer's kernel has less room than it has offered
// before, although the peer reads. No probes are made then for longer than a slow msg_server would
// need.
func TestPacerGoesOnWhenTheEdgeStandsStill(t *testing.T) {
	s, last := &simulation{size: 512, total: 60 << 20, load: perTick(40e6), socket: simulatedSocket{room: 6 << 20}}, int64(0)
	s.reads = func(at int64, n int) int {
		if at-last < int64(25*time.Millisecond) {
			return 0
		}
		if last = at; at > int64(200*time.Millisecond) {
			s.socket.room = 3 << 20
		}
		return n
	}
	if took := s.run(t, true); took > 4*time.Second {
		t.Errorf("took %v, want little more than the 1.6 s of the load", took)
	}
}

// The longest flow is no shorter for larger PDUs, also where an int has 32 bits.
func TestLongestFlow(t *testing.T) {
	shorter := 0
	for size := 66.0; size < math.MaxInt32; size *= 2 {
		p := &pacer{size: size, trust: fullTrust - 1} // in a trial
		longest := p.longest()
		if longest < shorter {
			t.Fatalf("PDUs of %.0f bytes: a flow of %d bytes, want at least the %d of smaller ones", size, longest, shorter)
		}
		shorter = longest
	}
}

// It is noticed that a kernel does not report the window.
func TestPacerNeedsTheWindow(t *testing.T) {
	if reportsWindow(&simulatedSocket{}) || reportsWindow(silentKernel{}) {
		t.Error("a window is reported")
	}
}
