package proxy

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/hub"
)

// A tenant remembers how its last sessions ended: when, why, and what they had sent.
func TestEnded(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		conn, ended := y.enterCounted()
		conn.Write(message(others, 1, "hello"))
		synctest.Wait()
		time.Sleep(time.Second)
		conn.Close()
		<-ended
		foreign, ended := y.enterCounted()
		foreign.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
		foreign.Close()
		<-ended
		got := y.Ended()
		if len(got) != 2 {
			t.Fatalf("%d ends are remembered, want 2", len(got))
		}
		http, plain := got[0], got[1]
		if http.Reason != hub.HTTP || !strings.Contains(http.Error, "HTTP") || !http.Warns() {
			t.Errorf("the latest ended for %s, %q, a warning: %t", http.Reason, http.Error, http.Warns())
		}
		if plain.Reason != hub.PeerClosed || plain.Error != "" || plain.Warns() || plain.PDUsIn != 1 || plain.Number == 0 {
			t.Errorf("the first end is %+v", plain)
		}
		if open := plain.Until.Sub(plain.Since); open != time.Second {
			t.Errorf("the first session was open for %v, want 1 s", open)
		}
	})
}

// The memory for them does not grow.
func TestEndedIsBounded(t *testing.T) {
	tenant := &Tenant{}
	for n := range keptEnds + 7 {
		tenant.ended.add(EndedSession{Session: hub.Session{Number: uint64(n)}})
	}
	got := tenant.Ended()
	if len(got) != keptEnds || got[0].Number != keptEnds+6 || got[keptEnds-1].Number != 7 {
		t.Errorf("%d are remembered, from %d to %d", len(got), got[0].Number, got[len(got)-1].Number)
	}
}
