package dialogue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"switchyard/pdu"
)

// tick is how often a server looks at the clock, as the original does.
const tick = time.Second

// leastSlack is by how much what is seen at our end may be off the server's clock
// when nothing holds either up.
const leastSlack = 100 * time.Millisecond

// Timing checks what a server does by the clock, with four connections: one that
// sends nothing, one that sends heartbeats, one that sends a PDU byte by byte, and
// one that broadcasts for a part of the time. A heartbeat must come once nothing
// was sent on a connection for the given time; after the timeout the first
// connection must be closed, whatever was sent to it; any byte keeps the others open.
// Both may be late by the second between two looks at the clock and, on a busy
// machine, by as much as we were held up ourselves. The check takes the timeout, a
// heartbeat and a second: 36 s with the original's 5 s and 30 s.
func Timing(ctx context.Context, addr string, heartbeat, timeout time.Duration) error {
	r := rhythm{heartbeat, timeout, leastSlack}
	s := newStage(addr)
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
	if err := s.keepTime(ctx, &r); err != nil {
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

// A rhythm is what a server promises by the clock.
type rhythm struct {
	heartbeat time.Duration // sent once nothing else was for so long
	timeout   time.Duration // after which a peer that sends nothing is closed
	slack     time.Duration // by which our reading of the clock may be off
}

// late is by how much the server may miss its times.
func (r rhythm) late() time.Duration { return tick + r.slack }

// keepTime sends what keeps all connections but the idle one open, until the idle
// one should be long closed. It adds to the slack by what it was held up itself.
func (s *stage) keepTime(ctx context.Context, r *rhythm) error {
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

// A watch is what was seen on one connection.
type watch struct {
	name   string
	silent bool // it sent nothing
	peer   *peer

	opened time.Time
	seen   []arrival
	closed time.Time // by the server, or zero
	until  time.Time // when we stopped looking
}

func (w watch) check(r rhythm) error {
	return errors.Join(w.checkHeartbeats(r), w.checkEnd(r))
}

// checkHeartbeats reports the first heartbeat that came too early, or the first gap
// in which one should have come.
func (w watch) checkHeartbeats(r rhythm) error {
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

// crossed tells whether a heartbeat was due when another PDU was about to be sent.
func (w watch) crossed(r rhythm, before, last, beat arrival) bool {
	return !last.heartbeat && beat.at.Sub(last.at) < r.slack && beat.at.Sub(before.at) >= r.heartbeat-r.slack
}

func (w watch) end() time.Time {
	if w.closed.IsZero() {
		return w.until
	}
	return w.closed
}

// checkEnd reports a silent connection that was not closed in time, or another that
// was closed.
func (w watch) checkEnd(r rhythm) error {
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

// age tells a time as the connection's age.
func (w watch) age(t time.Time) time.Duration { return t.Sub(w.opened).Round(time.Millisecond) }
