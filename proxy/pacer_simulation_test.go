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
	starve func(at int64) int64      // returns when the writer gets to run that is to wake then; nil: then

	pacer  *pacer
	lifted time.Duration // when the peer was paced no more; 0: never
	pauses int
}

const simulationTick = 20 * time.Microsecond

// perTick returns how much of a rate in a second is due in a tick.
func perTick(rate int) int { return rate / int(time.Second/simulationTick) }

// A simulatedSocket holds up to room bytes. What its kernel reports is as old as a round trip.
type simulatedSocket struct {
	silentKernel
	room      int
	lazy      bool // the kernel acknowledges what arrives before the peer reads it, and nothing else
	roundTrip int  // in ticks

	written, read int
	now           progress
	reported      []progress // in each tick of the last round trip
	asked         int        // how often for the progress
}

func (s *simulatedSocket) held() int { return s.written - s.read }

func (s *simulatedSocket) progress() (progress, bool) {
	s.asked++
	at := progress{accepted: uint64(s.room)}
	if len(s.reported) > s.roundTrip {
		at = s.reported[0]
	}
	at.written = uint64(s.written)
	return at, true
}

// report makes the kernel report how far the connection is.
func (s *simulatedSocket) report() {
	edge := max(s.now.accepted, uint64(s.read+s.room)) // a kernel does not take back what it has offered
	s.now = progress{acknowledged: uint64(s.written), accepted: edge}
}

// run returns when the peer has read everything.
func (s *simulation) run(t *testing.T, paced bool) time.Duration {
	t.Helper()
	due, now := 0, int64(0)
	socket := &s.socket
	socket.report()
	s.pacer = newPacer(func() (bytes, pdus uint64) { return uint64(socket.written), uint64(socket.written / s.size) }, socket,
		func() { s.lifted = time.Duration(now) })
	if !paced {
		s.pacer.trust = fullTrust
	}
	for next := int64(0); now < int64(time.Minute); now += int64(simulationTick) {
		due = min(s.total, due+s.load)
		for now >= next && socket.written < due {
			n, wait := s.pacer.allows(now)
			if n == 0 {
				s.pauses++
				if next = now + int64(wait); s.starve != nil {
					next = s.starve(next)
				}
				break
			}
			if n = min(n, due-socket.written, socket.room-socket.held()); n == 0 {
				break
			}
			socket.written += n
			s.pacer.wrote(n, now)
			if socket.lazy {
				socket.report()
			}
		}
		n := s.reads(now, socket.held())
		socket.read += n
		if !socket.lazy {
			socket.report()
		}
		socket.reported = append(socket.reported, socket.now)
		socket.reported = socket.reported[max(0, len(socket.reported)-socket.roundTrip-1):]
		if socket.read == s.total {
			return time.Duration(now)
		}
	}
	t.Fatalf("%d of %d bytes were read within a minute", socket.read, s.total)
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
	d := time.Duration(pdus * (1250 + bytes/2/32)) // it moves 32 bytes in a nanosecond
	m.busy, m.batch, m.longest = at+int64(d), 0, max(m.longest, d)
	return n
}
