package proxy

import (
	"context"
	"runtime"

	"switchyard/proxy/hub"
)

// Depart ends a frozen tenant whose moving sessions another process has taken over. It closes the
// descriptors of their connections, which changes nothing for their peers. It does not call their
// ended functions, because the connections have not ended.
//
// The other sessions are written what was due to them at the freeze, and end for the reason
// hub.Handover. What they have sent and was not handled is refused, because the peers that it may
// concern are in the other process. When ctx is done, they are closed at once. When Depart
// returns, the tenant is closed.
func (t *Tenant) Depart(ctx context.Context, moving []Moving) {
	t.freezing.Lock()
	if t.gate.isShut() {
		t.everySecond.Store(nil)
		t.departed.Store(true)
		if t.order != nil {
			t.order.Depart()
		}
		for i := range moving {
			moving[i].session.depart()
		}
		t.remove(func(s *session) bool { return s.moved })
		for _, s := range *t.sessions.Load() {
			s.askToEnd(hub.Handover)
		}
		t.stop()
		t.thaw()
	}
	t.freezing.Unlock()
	t.Drain(ctx, 0)
	t.Close()
}

// depart ends a session of a frozen tenant in this process alone.
func (s *session) depart() {
	s.moved = true
	s.loop.release(s)
	s.seat.Depart()
	s.conn.Close() // after the loop has removed it from the epoll set: the socket stays open in the other process
	s.tenant.inputs.count(s, inputMemory{})
	s.settle()
	s.tenant.reading.Done()
	close(s.done)
}

// pass stops the session's reader for as long as there is a freeze. If the session then is in
// another process, pass ends the goroutine. Only the reader calls it, outside the loop.
func (s *session) pass() {
	gate := s.tenant.gate
	if gate.pass(sessionWork) && s.moved {
		gate.leave(sessionWork)
		runtime.Goexit()
	}
}
