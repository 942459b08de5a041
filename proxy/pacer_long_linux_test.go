//go:build full || race

package proxy

import (
	"testing"
	"time"

	"switchyard/proxy/hub"
)

// A session ends although its peer reads nothing and its pacer waits for that: if it is closed,
// and after the write timeout.
func TestPausedSessionEnds(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{time.Hour, 100 * time.Millisecond} {
		s := pausedSession(t, timeout)
		want := hub.WriteTimeout
		if timeout == time.Hour {
			want = hub.Forced
			s.Close(want)
		}
		select {
		case <-s.done:
		case <-time.After(generous):
			t.Fatalf("write timeout %v: the session does not end", timeout)
		}
		if got := *s.reason.Load(); got != want {
			t.Errorf("write timeout %v: the session ended for %s, want %s", timeout, got, want)
		}
	}
}

// pausedSession returns a session whose peer reads nothing of much that is due.
func pausedSession(t *testing.T, timeout time.Duration) *session {
	t.Helper()
	l := patient(testLimits())
	l.LagSoft, l.WriteTimeout = 0, timeout
	served, addr, _ := serve(t, l)
	_, far := loopback(t)
	setPaced(t, far)
	s := newSession(served, far, func(bool) {})
	if err := served.enter(s); err != nil {
		t.Fatal(err)
	}
	speaker := dial(t, addr)
	m := message(others, 1, string(make([]byte, 50)))
	for range 20_000 {
		speaker.say(m)
	}
	speaker.settle()
	return s
}
