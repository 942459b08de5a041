package admission

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// OpenFrozen is like Open, but the listener only begins to accept at Thaw. It keeps counting from
// the state of the listener that it continues.
func OpenFrozen(l net.Listener, o Options, s State, find func(tenant string) Server, log *slog.Logger) *Listener {
	a := &Listener{
		listener: l.(*net.TCPListener), find: find, log: log.With("address", l.Addr().String()), closing: make(chan struct{}), slots: processSlots,
		accepting: make(chan struct{}, 1), rechecking: make(chan struct{}, 1), frozen: true,
		counts: s.counts(), handshakes: make(map[*net.TCPConn]struct{}), open: make(map[*connection]struct{}),
	}
	a.Set(o)
	a.keepSpare()
	a.done.Go(a.acceptLoop)
	a.done.Go(a.recheckLoop)
	return a
}

// takes waits for the element of accepting or rechecking. It returns false if the listener is
// closed.
func (l *Listener) takes(turn chan struct{}) bool {
	select {
	case <-turn:
		return true
	case <-l.closing:
		return false
	}
}

// Freeze stops accepting and checking connections again until Thaw. The socket stays open, and the
// kernel queues connections that arrive. A connection that was accepted before has been handed to
// its tenant when Freeze returns, unless its handshake is in progress, which continues. If ctx is
// done earlier, Freeze returns an error and nothing is frozen.
func (l *Listener) Freeze(ctx context.Context) error {
	l.setFrozen(true)
	select {
	case <-l.accepting:
	case <-ctx.Done():
		l.setFrozen(false)
		return fmt.Errorf("listener %s is still accepting: %w", l.Addr(), context.Cause(ctx))
	}
	select {
	case <-l.rechecking:
		return nil
	case <-ctx.Done():
		l.setFrozen(false)
		l.accepting <- struct{}{}
		return fmt.Errorf("listener %s is still checking its connections again: %w", l.Addr(), context.Cause(ctx))
	}
}

// Thaw continues after Freeze or OpenFrozen. On a listener that is not frozen it has no effect.
func (l *Listener) Thaw() {
	if l.setFrozen(false) {
		l.accepting <- struct{}{}
		l.rechecking <- struct{}{}
	}
}

// setFrozen makes acceptLoop give up its element or lets it wait for connections. It returns
// whether that is a change.
func (l *Listener) setFrozen(frozen bool) (changed bool) {
	l.mu.Lock()
	changed = l.frozen != frozen
	l.frozen = frozen
	l.mu.Unlock()
	l.wakeAt(time.Time{})
	return changed
}

// wakeAt makes acceptLoop return from accepting at t, or at once while the listener freezes. The
// zero time is never.
func (l *Listener) wakeAt(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen {
		t = time.Unix(1, 0)
	}
	l.listener.SetDeadline(t)
}
