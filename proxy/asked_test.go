package proxy

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// End ends a session with its reason, after what is due to it was written: one in the loop,
// one with TLS, and each while it is silent.
func TestEndIsGraceful(t *testing.T) {
	tenant, addr, lines := serve(t, patient(testLimits()))
	other := dial(t, addr)
	for name, dialOne := range map[string]func() net.Conn{
		"plain": func() net.Conn { return dial(t, addr).TCPConn },
		"TLS":   func() net.Conn { return dialTLS(t, tenant) },
	} {
		before := tenant.hub.Counts()
		conn := dialOne()
		conn.Write(heartbeat) // with which the server's end of a handshake is over
		var s *session
		eventually(t, name+": it is a peer", func() bool {
			all := *tenant.sessions.Load()
			s = all[len(all)-1]
			return len(all) == 2 && s.input.gotPDU.Load()
		})
		want := strings.Repeat(string(large), 50) // more than sockets hold
		got := make(chan string)
		other.say([]byte(want))
		other.settle()
		tenant.End(s.conn, hub.CertificateRevoked)
		tenant.End(s.conn, hub.NotAllowed) // too late
		go func() {
			p, _ := io.ReadAll(conn)
			got <- string(p)
		}()
		p := <-got
		conn.Close()
		if p != want {
			t.Errorf("%s: got %d bytes, want %d", name, len(p), len(want))
		}
		<-s.done
		c := tenant.hub.Counts()
		if c.Closed[hub.CertificateRevoked] != before.Closed[hub.CertificateRevoked]+1 || c.Discarded[hub.CertificateRevoked] > 0 {
			t.Errorf("%s: %+v", name, c)
		}
		expectLine(t, lines, "reason=certificate-revoked")
	}
	if tenant.End(nil, hub.NotAllowed) {
		t.Error("nobody is found")
	}
	other.settle()
}

// A session ends that pauses for a quota, and one whose connection was handed to a goroutine
// of its own.
func TestEndInAPause(t *testing.T) {
	inBubble(t, quota(tenant.Quota{Peer: tenant.Rates{PDUsIn: 1}}), func(y bubble) {
		y.indebted()
		s := (*y.sessions.Load())[0]
		if !s.input.paused.Load() {
			t.Fatal("it does not pause")
		}
		y.End(s.conn, hub.NotAllowed)
		if got := took(func() { <-s.done }); got > lingerTime {
			t.Errorf("ended after %v", got)
		}
		expectReason(y, "not-allowed")
		synctest.Wait()
		y.expectCounts("one is closed", func(c hub.Counts) bool { return c.Closed[hub.NotAllowed] == 1 })
	})
}
