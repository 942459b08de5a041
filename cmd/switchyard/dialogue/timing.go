package dialogue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"switchyard/pdu"
)

// tick is how often a server, like the original, checks its timers.
const tick = time.Second

// leastSlack is how much our times may differ from the server's on an idle machine.
const leastSlack = 100 * time.Millisecond

// Timing checks the timers of a server, with four connections: one sends nothing, one sends
// heartbeats, one sends a PDU byte by byte, and one broadcasts for a part of the time. The
// server must send a heartbeat when it has sent nothing on a connection for the given time. It
// must close the first connection after the timeout, whatever it sent there; any byte keeps
// the others open. Both may be late by one tick and, on a busy machine, by as much as this
// check was delayed itself. The check takes the timeout, a heartbeat and a second: 36 s with
// the original's 5 s and 30 s.
func Timing(ctx context.Context, addr string, heartbeat, timeout time.Duration) error {
	r := timers{heartbeat, timeout, leastSlack}
	s := newSession(lone(addr))
	defer s.close()
	var watched []watch
	for _, name := range []string{"idle", "beating", "dribbling", "talking"} {
		opened := time.Now()
		p, err := s.open(ctx, name)
		if err != nil {
			return err
		}
		watched = append(watched, watch{name: name, opened: opened, silent: name == "idle", peer: p})
	}
	if err := s.keepOpen(ctx, &r); err != nil {
		return fmt.Errorf("keep the connections busy: %w", err)
	}
	var faults []error
	for _, w := range watched {
		s.mu.Lock()
		w.seen, w.closed, w.until = slices.Clone(w.peer.arrivals), w.peer.ended, time.Now()
		s.mu.Unlock()
		if err := w.check(r); err != nil {
			faults = append(faults, fmt.Errorf("connection %s: %w", w.name, err))
		}
	}
	return errors.Join(faults...)
}

// timers are the times that a server must keep.
type timers struct {
	heartbeat time.Duration // sent once nothing else was for so long
	timeout   time.Duration // after which a peer that sends nothing is closed
	slack     time.Duration // by which our times may be off
}

// late returns by how much the server may be late.
func (r timers) late() time.Duration { return tick + r.slack }

// keepOpen sends what keeps all connections but the idle one open, until that one must have
// been closed. It increases the slack by its own delays.
func (s *session) keepOpen(ctx context.Context, r *timers) error {
	var (
		beating, dribbling, talking = s.byName["beating"], s.byName["dribbling"], s.byName["talking"]

		broadcast = pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, []byte("time"))
		endless   = pdu.Header{Length: 1 << 20, Version: 1, Command: pdu.CID_MSG_DATA_ACK}.Append(nil)

		start, period, turn = time.Now(), r.heartbeat / 10, time.Now()
	)
	beat := time.NewTicker(period)
	defer beat.Stop()
	for n := 0; time.Since(start) < r.timeout+r.late()+r.heartbeat; n++ {
		if n%10 == 0 {
			dribbling.send(endless[:1])
			endless = append(endless[1:], 0)
		}
		if n%4 == 0 {
			beating.send(heartbeat)
			talking.send(heartbeat)
		}
		if t := time.Since(start); n%2 == 0 && r.timeout*2/5 < t && t < r.timeout*4/5 {
			talking.send(broadcast)
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		r.slack = max(r.slack, leastSlack+time.Since(turn)-period)
		turn = time.Now()
	}
	return nil
}

// A watch is what was observed on one connection.
type watch struct {
	name   string
	silent bool // it sent nothing
	peer   *peer

	opened time.Time
	seen   []arrival
	closed time.Time // by the server, or zero
	until  time.Time // end of the observation
}

func (w watch) check(r timers) error {
	return errors.Join(w.checkHeartbeats(r), w.checkEnd(r))
}

// checkHeartbeats reports the first heartbeat that arrived too early, or the first gap in which
// one is missing.
func (w watch) checkHeartbeats(r timers) error {
	before, last := arrival{at: w.opened}, arrival{at: w.opened}
	for _, a := range append(w.seen, arrival{at: w.end()}) {
		gap := a.at.Sub(last.at).Round(time.Millisecond)
		switch {
		case a.heartbeat && gap < r.heartbeat-r.slack && !w.crossed(r, before, last, a):
			return fmt.Errorf("heartbeat at %v, only %v after what was sent before it, want %v", w.age(a.at), gap, r.heartbeat)
		case gap > r.heartbeat+r.late():
			return fmt.Errorf("nothing was sent from %v to %v, want a heartbeat after %v to %v", w.age(last.at), w.age(a.at), r.heartbeat, r.heartbeat+r.late())
		}
		before, last = last, a
	}
	return nil
}

// crossed reports whether the heartbeat was due just when another PDU was sent. The server may
// send such a heartbeat, because it decided to before it handled the other PDU:
//
//	before ──────────── heartbeat time ───────────▶ last, a broadcast
//	                                                 beat, less than slack after it
func (w watch) crossed(r timers, before, last, beat arrival) bool {
	return !last.heartbeat && beat.at.Sub(last.at) < r.slack && beat.at.Sub(before.at) >= r.heartbeat-r.slack
}

// end returns when the connection ended, or the observation.
func (w watch) end() time.Time {
	if w.closed.IsZero() {
		return w.until
	}
	return w.closed
}

// checkEnd reports a silent connection that was not closed in time, and any other that was
// closed.
func (w watch) checkEnd(r timers) error {
	switch {
	case !w.silent && !w.closed.IsZero():
		return fmt.Errorf("closed at %v, though it was sending", w.age(w.closed))
	case !w.silent:
		return nil
	case w.closed.IsZero():
		return fmt.Errorf("still open at %v, want it closed at %v", w.age(w.until), r.timeout)
	}
	lived := w.closed.Sub(w.opened)
	if lived < r.timeout-r.slack || lived > r.timeout+r.late() {
		return fmt.Errorf("closed at %v, want %v to %v", w.age(w.closed), r.timeout, r.timeout+r.late())
	}
	return nil
}

// age returns the age of the connection at a time.
func (w watch) age(t time.Time) time.Duration { return t.Sub(w.opened).Round(time.Millisecond) }
