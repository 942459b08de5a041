package proxy

import (
	"testing"
	"time"
)

// A simulation writes to a peer in virtual time, as a session's writer does.
type simulation struct {
	size   int                       // of a PDU
	total  int                       // bytes that become due
	load   int                       // of them in a tick
	socket simulatedSocket           // of the peer
	reads  func(at int64, n int) int // returns how much of n bytes the peer reads in the tick at that time
}

const simulationTick = 20 * time.Microsecond

// perTick returns how much of a rate in a second is due in a tick.
func perTick(rate int) int { return rate / int(time.Second/simulationTick) }

// A simulatedSocket holds up to room bytes.
type simulatedSocket struct {
	silentKernel
	room, held int
	stopped    time.Duration
	asked      int  // how often for its window
	unlimited  bool // what it holds unsent
}

func (s *simulatedSocket) limitUnsent(limited bool) { s.unlimited = !limited }

func (s *simulatedSocket) window() (int, time.Duration, bool) {
	s.asked++
	return s.room - s.held, s.stopped, true
}

// run returns when the peer has read everything.
func (s *simulation) run(t *testing.T, paced bool) time.Duration {
	t.Helper()
	due, written, read := 0, 0, 0
	p := newPacer(func() (bytes, pdus uint64) { return uint64(written), uint64(written / s.size) }, &s.socket)
	if !paced {
		p.level = noPace
		p.kernel = silentKernel{}
	}
	waits, next := false, int64(0)
	for at := int64(0); at < int64(time.Minute); at += int64(simulationTick) {
		due = min(s.total, due+s.load)
		for at >= next && written < due {
			if waits {
				p.waited()
			}
			n, wait := p.allows(at)
			if waits = n == 0; waits {
				next = at + int64(wait)
				break
			}
			if n = min(n, due-written, s.socket.room-s.socket.held); n == 0 {
				s.socket.stopped += simulationTick
				break
			}
			written, s.socket.held = written+n, s.socket.held+n
			p.wrote(n, at)
		}
		n := s.reads(at, s.socket.held)
		s.socket.held -= n
		if read += n; read == s.total {
			return time.Duration(at)
		}
	}
	t.Fatalf("%d of %d bytes were read within a minute", read, s.total)
	return 0
}

// A simulatedMsgServer reads until its socket is empty, and then processes what it has read.
// Meanwhile it reads nothing.
type simulatedMsgServer struct {
	size    int
	busy    int64         // until when it processes a batch, or stands still
	batch   int           // bytes that it has read of one
	longest time.Duration // for which it has processed a batch
}

func (m *simulatedMsgServer) read(at int64, n int) int {
	speed := perTick(1e9)
	if at < m.busy {
		return 0
	}
	m.batch += min(n, speed)
	if n > speed {
		return speed
	}
	pdus, bytes := float64(m.batch)/float64(m.size), float64(m.batch)
	d := time.Duration(pdus * (1500 + bytes/2/16)) // it moves 16 bytes in a nanosecond
	m.busy, m.batch, m.longest = at+int64(d), 0, max(m.longest, d)
	return n
}

// A burst does not make a msg_server deaf, whatever the size of the PDUs and of its socket's
// buffer. Neither does what became due while it stood still.
func TestPacerSparesMsgServers(t *testing.T) {
	const atOnce, small, large = 1e9, 256 << 10, 6 << 20
	for name, c := range map[string]struct {
		size, pdus, load, room int
		stands, within         time.Duration
	}{
		"small PDUs":             {66, 100_000, atOnce, small, 0, 1500 * time.Millisecond},
		"small PDUs, large room": {66, 100_000, atOnce, large, 0, 1500 * time.Millisecond},
		"1 KiB":                  {1024, 20_000, atOnce, small, 0, time.Second},
		"1 KiB, large room":      {1024, 20_000, atOnce, large, 0, time.Second},
		"it stood still":         {1024, 80_000, 20_000 * 1024, large, time.Second, 4500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var longest, took [2]time.Duration
			for i, paced := range []bool{false, true} {
				m := &simulatedMsgServer{size: c.size, busy: int64(c.stands)}
				s := &simulation{size: c.size, total: c.pdus * c.size, load: perTick(c.load), socket: simulatedSocket{room: c.room}, reads: m.read}
				took[i] = s.run(t, paced)
				longest[i] = m.longest
			}
			if longest[0] < 3*time.Second {
				t.Errorf("deaf for %v without a pace, so the simulation shows nothing", longest[0])
			}
			if longest[1] > 250*time.Millisecond || took[1] > c.within {
				t.Errorf("deaf for %v, and all was read after %v, want 250ms and %v", longest[1], took[1], c.within)
			}
		})
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
			var took [2]time.Duration
			for i, paced := range []bool{false, true} {
				last := int64(0)
				s := &simulation{size: size, total: 150 << 20, load: perTick(300e6), socket: simulatedSocket{room: peer.room}}
				s.reads = func(at int64, n int) int {
					if at-last < int64(peer.round) {
						return 0
					}
					last = at
					return n
				}
				took[i] = s.run(t, paced)
			}
			if most := took[0] + took[0]/10; took[1] > most {
				t.Errorf("%v, PDUs of %d bytes: took %v, and %v without a pace", peer, size, took[1], took[0])
			}
		}
	}
}

// Large PDUs are not paced, and cost nothing. Small ones that follow are paced again.
func TestPacerIgnoresLargePDUs(t *testing.T) {
	bytes, pdus := uint64(0), uint64(0)
	socket := &simulatedSocket{room: 1 << 20}
	p := newPacer(func() (uint64, uint64) { return bytes, pdus }, socket)
	write := func(n int, size uint64, now int64) {
		bytes, pdus = bytes+uint64(n), pdus+uint64(n)/size
		p.wrote(n, now)
	}
	for now := range int64(100) {
		write(1<<20, 64<<10, now)
		if n, _ := p.allows(now); n != largeBytes {
			t.Fatalf("%d bytes allowed, want %d", n, largeBytes)
		}
	}
	if !socket.unlimited || socket.asked > 0 {
		t.Errorf("unlimited: %v, asked %d times for the window, want true, 0", socket.unlimited, socket.asked)
	}
	write(1<<20, 64, 100)
	if n, wait := p.allows(100); n > 0 || wait == 0 || socket.unlimited {
		t.Errorf("%d bytes of small PDUs allowed, unlimited: %v, want 0, false", n, socket.unlimited)
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
