package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A tenant can be frozen, so that its connections can move to another process. While it is
// frozen, nothing is read, handled or written, and no session ends:
//
//	Freeze   began ──▶ all goroutines stopped ──▶ last writes ──▶ all rights to write taken
//	Thaw     rights given back ──▶ over ──▶ goroutines continue where they stopped
//
// All goroutines that read, handle or make something due pass the tenant's gate wherever they hold
// nothing: between two sessions of the loop, before a read, before a turn, and in the pauses of a
// throttle. There they stop. What they have read and not handled stays in input.pdus and
// input.unhandled. Goroutines that wait for a socket are woken by its deadline.
//
// Not frozen are the writers of TLS connections, because crypto/tls cannot give up a write, and
// sessions that have left the hub. Neither makes anything due to another session.

const (
	// lastWrites is for how long a freeze lets peers take what is due to them, if that is more
	// than mostDue. It ends earlier when none of them has taken anything for uselessTime.
	lastWrites  = 500 * time.Millisecond
	uselessTime = 100 * time.Millisecond
	// mostDue is how much may be due to a session that moves, in bytes, besides the rest of a
	// PDU that is half written.
	mostDue = 1 << 20
	// freezePoll is how often a freeze looks whether writers have stopped.
	freezePoll = 100 * time.Microsecond
)

// Freeze stops the tenant, and returns when it stands still. If ctx is done before that, the
// tenant continues, and the error says what did not stop. No connection must be on its way to Serve
// from a listener, because Serve waits until Thaw.
func (t *Tenant) Freeze(ctx context.Context) error {
	t.freezing.Lock()
	defer t.freezing.Unlock()
	f := t.gate.freeze.Load()
	switch {
	case t.isStopping():
		return ErrStopping
	case isClosed(f.began):
		return errors.New("the tenant is frozen already")
	}
	close(f.began)
	err := t.stopReaders(ctx)
	if err == nil {
		t.lastWrites(ctx)
		close(f.writes)
		err = t.stopWriters(ctx)
	}
	if err != nil {
		t.thaw()
	}
	return err
}

// stopReaders stops everything that could make something due.
func (t *Tenant) stopReaders(ctx context.Context) error {
	t.mu.Lock()
	loop := t.loop
	t.mu.Unlock()
	loop.wake()
	for _, s := range *t.sessions.Load() {
		loop.interrupt(s)
	}
	if err := t.gate.await(ctx); err != nil {
		if names := t.notStopped(); names != "" {
			return fmt.Errorf("%s did not stop: %w", names, err)
		}
	}
	return nil
}

// notStopped names the goroutines that have not stopped; "" if all have.
func (t *Tenant) notStopped() string {
	var names []string
	if t.gate.inside[tenantWork].Load() > 0 {
		names = append(names, "the tick, a flush or a new connection")
	}
	if t.gate.inside[loopWork].Load() > 0 {
		names = append(names, "the loop")
	}
	if n := t.gate.inside[sessionWork].Load(); n > 0 {
		names = append(names, fmt.Sprintf("the goroutines of %d sessions", n))
	}
	return strings.Join(names, ", ")
}

// lastWrites writes what is due as far as the sockets take it, and waits a little for the peers
// to which too much is due. Those are not paced meanwhile: a msg_server that processes too much at
// once is back sooner than one whose session ends.
func (t *Tenant) lastWrites(ctx context.Context) {
	t.flush.pass() // no other goroutine has the turn now, or it waits to begin it
	ctx, cancel := context.WithTimeout(ctx, lastWrites)
	defer cancel()
	behind, lag, progress := slices.Clone(*t.sessions.Load()), uint64(0), time.Now()
	await(ctx, func() bool {
		before := lag
		if behind, lag = tooFarBehind(behind); lag != before {
			progress = time.Now()
		}
		return len(behind) == 0 || time.Since(progress) > uselessTime
	})
}

// tooFarBehind returns those of the sessions that could move if less were due to them, and how
// many bytes they are behind.
func tooFarBehind(sessions []*session) (behind []*session, lag uint64) {
	behind = slices.DeleteFunc(sessions, func(s *session) bool {
		return s.raw == nil || s.hasLeft() || s.output.broken.Load() || s.tooMuchDue() == 0
	})
	for _, s := range behind {
		lag += s.seat.Lag()
	}
	return behind, lag
}

// tooMuchDue returns how many bytes have to be written before the session can move.
func (s *session) tooMuchDue() uint64 { return max(mostDue, s.seat.Lag()) - mostDue }

// stopWriters takes the right to write of every session that may move.
func (t *Tenant) stopWriters(ctx context.Context) error {
	writing := slices.Clone(*t.sessions.Load())
	if await(ctx, func() bool {
		writing = slices.DeleteFunc(writing, t.stopWriter)
		return len(writing) == 0
	}) {
		return nil
	}
	return fmt.Errorf("writes to %d sessions, one of which is %d, did not stop: %w", len(writing), writing[0].seat.Session(), context.Cause(ctx))
}

// stopWriter takes the right to write to the session, or makes the goroutine stop that has it.
func (t *Tenant) stopWriter(s *session) (stopped bool) {
	if s.raw == nil || s.hasLeft() {
		return true // nobody waits for it
	}
	if !s.output.right.TryLock() {
		s.conn.SetWriteDeadline(time.Now()) // catchUp has it; again at each poll, in case it sets a deadline of its own
		return false
	}
	s.conn.SetWriteDeadline(time.Time{})
	t.frozen = append(t.frozen, s)
	return true
}

// hasLeft reports whether the session has left the hub.
func (s *session) hasLeft() bool { return isClosed(s.output.leaving) }

// Thaw ends a freeze, if there is one: the tenant continues as if it had stood still. It counts
// like a stall of the process, see tickOnce.
func (t *Tenant) Thaw() {
	t.freezing.Lock()
	defer t.freezing.Unlock()
	if t.gate.isShut() {
		t.thaw()
	}
}

// thaw ends the freeze that has begun. The gate gets the next freeze before this one is over, as those that
// wake look at the gate again. Called under freezing.
func (t *Tenant) thaw() {
	for _, s := range t.frozen {
		s.output.right.Unlock()
	}
	t.frozen = nil
	f := t.gate.freeze.Load()
	t.gate.renew()
	close(f.over)
	t.gate.enter()
	t.flush.request() // for the goroutines that have given up writing
	t.gate.leave(tenantWork)
}

// await polls until done, and returns false if ctx is done before that.
func await(ctx context.Context, done func() bool) bool {
	poll := time.NewTicker(freezePoll)
	defer poll.Stop()
	for !done() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
