package admission

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Parallel tests wait for timers and sockets, not for a core.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "16")
	linesEvery, recheckEvery = 100*time.Millisecond, 100*time.Millisecond
	goleak.VerifyTestMain(m)
}

// Without a handshake, a peer is served before it has sent anything.
func TestPlain(t *testing.T) {
	h := open(t, Options{HandshakeTimeout: time.Millisecond})
	client := h.dial()
	s := h.serves("main")
	if got, want := s.RemoteAddr().String(), client.LocalAddr().String(); got != want {
		t.Errorf("the peer is %s, want %s", got, want)
	}
	if _, ok := s.Conn.(*net.TCPConn); !ok {
		t.Errorf("the tenant has a %T", s.Conn)
	}
	if c := h.conserved(); c.Accepted != 1 || c.Open != 1 || c.Sources != 1 {
		t.Errorf("served: %+v", c)
	}
	io.WriteString(client, "hello")
	hears(t, s, "hello")
	s.end()
	if c := h.conserved(); c.Open != 0 || c.Ended != 1 || c.Sources != 0 {
		t.Errorf("ended: %+v", c)
	}
}

// Close ends the listener. Served connections stay open, and are counted when they end.
func TestClose(t *testing.T) {
	h := open(t, Options{ProxyFrom: networks("127.0.0.1/32"), HandshakeTimeout: testTimeout})
	var clients []*net.TCPConn
	var all []served
	for _, client := range []*net.TCPConn{h.dial("127.0.0.2"), h.say("PROXY UNKNOWN\r\n")} {
		clients = append(clients, client)
		all = append(all, h.serves("main"))
	}
	h.Close()
	h.Close()
	if conn, err := net.Dial("tcp", h.Addr().String()); err == nil {
		conn.Close()
		t.Error("the address is still listened on")
	}
	for i, s := range all {
		io.WriteString(s, "still there")
		hears(t, clients[i], "still there")
		s.end()
	}
	if c := h.conserved(); c.Ended != 2 {
		t.Errorf("ended: %+v", c)
	}
}

// Close does not wait for peers: it ends handshakes that hang.
func TestCloseEndsHandshakes(t *testing.T) {
	t.Parallel()
	h := open(t, Options{ProxyFrom: networks("127.0.0.1/32"), TLS: serverTLS(t), HandshakeTimeout: time.Hour})
	const n = 20
	for i := range n {
		if i%2 == 0 {
			h.dial() // sends no ClientHello
			h.dial("127.0.0.2")
		} else {
			h.say("PROXY TCP4 ")
			h.say("PROXY UNKNOWN\r\n\x16\x03\x01")
		}
	}
	eventually(t, func() bool { return h.conserved().Handshaking == 2*n }, func() string { return "not all are in their handshake" })
	h.Close() // would take an hour
	h.refuses(map[Reason]uint64{Closing: 2 * n})
}

func TestSet(t *testing.T) {
	h := open(t, Options{})
	h.dial()
	before := h.serves("main")
	o := Options{Claims: claims(t, "other"), Allow: networks("127.0.0.1/32"), SourceConnections: 2}
	h.Set(o)
	h.dial()
	h.serves("other")
	gone(t, h.dial())
	gone(t, h.dial("127.0.0.2"))
	h.refuses(map[Reason]uint64{SourceFull: 1, NotAllowed: 1})
	o.TLS = serverTLS(t)
	h.Set(o)
	before.end()
	client := tls.Client(h.dial(), &tls.Config{InsecureSkipVerify: true})
	if err := client.Handshake(); err != nil {
		t.Error(err)
	}
	h.serves("other")
}

// Peers that come and go while descriptors run out do not fill the log.
func TestBackoff(t *testing.T) {
	var b backoff
	now := time.Unix(1000, 0)
	failures := 0
	for end := now.Add(time.Minute); now.Before(end); failures++ {
		now = now.Add(b.after(now) + time.Millisecond) // a connection is served, and the next one fails
	}
	if failures < 60 || failures > 70 {
		t.Errorf("%d failures in a minute, want about one a second", failures)
	}
	now = now.Add(2 * longestPause)
	if got := b.after(now); got != shortestPause {
		t.Errorf("after a while without failures: %v", got)
	}
}

// Each error of a tenant has a reason of its own.
func TestTenantRefuses(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Reason{
		"full": TenantFull, "stopping": TenantStopping, "strange": TenantRefused, "nobody": NoTenant, "": Unclaimed,
	} {
		t.Run(string(want), func(t *testing.T) {
			h := open(t, Options{Claims: claims(t, name), SourceConnections: 1})
			gone(t, h.dial())
			h.refuses(map[Reason]uint64{want: 1})
			if c := h.Counts(); c.Sources != 0 {
				t.Errorf("the source is still counted: %+v", c)
			}
			h.logs("connection refused", "reason="+string(want), "peer=127.0.0.1")
		})
	}
}

// At any moment, each connection is counted once.
func TestCountsAlwaysAddUp(t *testing.T) {
	t.Parallel()
	h := open(t, Options{ProxyFrom: networks("127.0.0.2/32"), Connections: 20, HandshakeTimeout: 5 * time.Millisecond,
		AcceptRate: 500, SourceConnections: 5, Allow: networks("127.0.0.0/30")})
	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		for {
			select {
			case s := <-h.tenants["main"].served:
				s.end()
			case <-stop:
				return
			}
		}
	})
	busy.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				h.conserved()
			}
		}
	})
	var dialing sync.WaitGroup
	for i := range 4 {
		dialing.Go(func() {
			for n := range 150 {
				conn := h.dial(fmt.Sprintf("127.0.0.%d", 1+i))
				if n%2 == 0 {
					io.WriteString(conn, "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n")
				}
				if n%7 != 0 {
					conn.Close()
				}
			}
		})
	}
	dialing.Wait()
	eventually(t, func() bool { c := h.conserved(); return c.Accepted == 600 && c.Handshaking == 0 },
		func() string { return fmt.Sprintf("%+v", h.Counts()) })
	close(stop)
	busy.Wait()
	if c := h.Counts(); len(c.Refused) < 2 || c.Ended == 0 {
		t.Errorf("%+v", c)
	}
}

// A listener that is finished accepts nothing more, and its handshakes in progress are served.
func TestFinish(t *testing.T) {
	t.Parallel()
	h := open(t, Options{TLS: serverTLS(t), HandshakeTimeout: time.Hour})
	conn, late := h.dial(), h.dial()
	eventually(t, func() bool { return h.conserved().Handshaking == 2 }, func() string { return "they are not in their handshake" })
	ctx, giveUp := context.WithCancel(t.Context())
	var finishing sync.WaitGroup
	h.StopAccepting()
	if c, err := net.Dial("tcp", h.Addr().String()); err == nil {
		c.Close()
		t.Error("it still accepts")
	}
	finishing.Go(func() { h.Finish(ctx) })
	if err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
		t.Error(err)
	}
	h.serves("main")
	giveUp() // the other one
	finishing.Wait()
	gone(t, late)
	h.refuses(map[Reason]uint64{Closing: 1})
}
