//go:build linux

package load

import (
	"net/netip"
	"time"

	"switchyard/cmd/yardbench/histogram"
	"switchyard/cmd/yardbench/process"
)

// stalling is a loop's connections that stall, and how the others fare meanwhile.
type stalling struct {
	conns  []*conn
	phase  int
	phases [3]histogram.Histogram // latency before, while they stall, after
	spans  []Span
	since  int64 // when the last of spans ended
}

// A Span is how things were for about a second.
type Span struct {
	From      time.Duration `json:"from"`       // since the beginning of the measuring
	Latency   Latency       `json:"latency"`    // of connections that do not stall
	Resident  int64         `json:"resident"`   // bytes of the hub at the end
	Kept      int           `json:"kept"`       // connections that stall and have not been closed
	Stalling  bool          `json:"stalling"`   // they stall now
	Delivered uint64        `json:"deliveries"` // to those that do not stall
}

// spanTime is how long a Span is, unless the phase ends before.
const spanTime = time.Second

func (s *stalling) schedule(l *loop, from, to int64) {
	p := &l.run.plan.Stall
	s.since = from
	for at := from + int64(spanTime); at < to; at += int64(spanTime) {
		l.todo.at(at, func(now int64) { s.tell(l, now) })
	}
	l.todo.at(from+int64(p.After), func(now int64) { s.turn(l, now, true) })
	if p.For > 0 {
		l.todo.at(from+int64(p.After+p.For), func(now int64) { s.turn(l, now, false) })
	}
	l.todo.at(to, func(now int64) { s.tell(l, now) })
}

// tell completes a span.
func (s *stalling) tell(l *loop, now int64) {
	if now-s.since < int64(spanTime)/10 {
		return // a phase has just begun
	}
	h := &l.rec.Latency
	span := Span{From: time.Duration(s.since - l.rec.From), Latency: latencyOf(h), Kept: s.kept(l), Stalling: s.phase == 1, Delivered: h.Count()}
	if pid := l.run.plan.PID; pid != 0 {
		m, err := process.MemoryOf(pid)
		if err != nil {
			l.fail("measure: %w", err)
		}
		span.Resident = m.Resident
	}
	s.spans = append(s.spans, span)
	s.collect(l)
	s.since = now
}

// collect moves the latencies recorded to those of the phase.
func (s *stalling) collect(l *loop) {
	s.phases[s.phase].Merge(&l.rec.Latency)
	l.rec.Latency.Reset()
}

// turn has the connections stop reading, or go on.
func (s *stalling) turn(l *loop, now int64, pause bool) {
	s.tell(l, now)
	s.collect(l)
	s.phase++
	clear(l.lowest) // whoever reads again may be the last
	for _, c := range s.conns {
		c.pause = pause
		if c.state == open {
			l.await(c)
		}
	}
}

// kept counts the connections that the hub has not closed.
func (s *stalling) kept(l *loop) int {
	there, err := process.Established(netip.AddrPortFrom(netip.AddrFrom4(l.to.Addr), uint16(l.to.Port)))
	if err != nil {
		l.fail("measure: %w", err)
	}
	n := 0
	for _, c := range s.conns {
		// If no connection of the hub is seen, it is on another machine.
		if c.state == open && (there[localPort(c.fd)] || len(there) == 0) {
			n++
		}
	}
	return n
}
