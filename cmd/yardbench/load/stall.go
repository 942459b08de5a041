//go:build linux

package load

import (
	"net/netip"
	"time"

	"switchyard/cmd/yardbench/histogram"
	"switchyard/cmd/yardbench/process"
)

// stalling measures a loop whose connections partly stall. It owns the recorder of the others while
// it does: each second, their latencies are taken out of it and become a Span.
type stalling struct {
	conns  []*conn
	phase  int
	phases [3]histogram.Histogram // latency before, during and after the stall
	spans  []Span
	since  int64 // end of the last of spans
}

// A Span holds measurements of about a second.
type Span struct {
	From      time.Duration `json:"from"`       // since the beginning of the measured span
	Latency   Latency       `json:"latency"`    // of connections that do not stall
	Resident  int64         `json:"resident"`   // memory of the hub in bytes, at the end of the span
	Kept      int           `json:"kept"`       // stalled connections that the hub has not closed
	Stalling  bool          `json:"stalling"`   // during the stall
	Delivered uint64        `json:"deliveries"` // to connections that do not stall
}

// spanTime is the length of a Span, unless its phase ends earlier.
const spanTime = time.Second

// schedule adds a Span for each second, and the turns at which the connections stop and continue.
//
//	measured span   0 s ─── 1 s ─── 2 s ─── 3 s ─── 4 s ─── 5 s
//	phase           before          │ during        │ after
//	                                turn: pause     turn: resume
func (s *stalling) schedule(l *loop, from, to int64) {
	p := &l.run.plan.Stall
	s.since = from
	for at := from + int64(spanTime); at < to; at += int64(spanTime) {
		l.todo.at(at, func(now int64) { s.endSpan(l, now) })
	}
	l.todo.at(from+int64(p.After), func(now int64) { s.turn(l, now, true) })
	if p.For > 0 {
		l.todo.at(from+int64(p.After+p.For), func(now int64) { s.turn(l, now, false) })
	}
	l.todo.at(to, func(now int64) { s.endSpan(l, now) })
}

// endSpan completes a Span.
func (s *stalling) endSpan(l *loop, now int64) {
	if now-s.since < int64(spanTime)/10 {
		return // a phase has just begun
	}
	h := &l.rec.Latency
	span := Span{From: time.Duration(s.since - l.rec.From), Latency: latencyOf(h), Kept: s.kept(l), Stalling: s.phase == 1, Delivered: h.Count()}
	for _, pid := range l.run.plan.PIDs { // of one hub
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

// collect adds the recorded latencies to those of the phase.
func (s *stalling) collect(l *loop) {
	s.phases[s.phase].Merge(&l.rec.Latency)
	l.rec.Latency.Reset()
}

// turn pauses or resumes reading of the connections.
func (s *stalling) turn(l *loop, now int64, pause bool) {
	s.endSpan(l, now)
	s.collect(l)
	s.phase++
	clear(l.lowest) // a resumed connection may be the lowest now
	for _, c := range s.conns {
		c.pause = pause
		if c.state == open {
			l.await(c)
		}
	}
}

// kept counts the connections that the hub has not closed.
func (s *stalling) kept(l *loop) int {
	there, err := process.Established(netip.AddrPortFrom(netip.AddrFrom4(l.to[0].Addr), uint16(l.to[0].Port)))
	if err != nil {
		l.fail("measure: %w", err)
	}
	n := 0
	for _, c := range s.conns {
		// Without any connection of the hub, the hub is on another machine.
		if c.state == open && (there[localPort(c.fd)] || len(there) == 0) {
			n++
		}
	}
	return n
}
