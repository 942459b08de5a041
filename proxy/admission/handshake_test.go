package admission

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/proxy/certificate"
	"switchyard/proxy/certificate/authority"
	"switchyard/proxy/tenant"
)

// serverTLS has a certificate of an unknown authority and asks for none.
func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{authority.New(t, "servers").Server().TLS()}}
}

// mutual returns options that ask clients for certificates of the authority.
func mutual(t testing.TB, clients *authority.Authority) Options {
	t.Helper()
	o := Options{TLS: serverTLS(t), Identities: certificate.Identities, Describe: certificate.Describe, HandshakeTimeout: testTimeout}
	o.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	o.TLS.ClientCAs = clients.Pool()
	return o
}

// handshake does a TLS handshake as a client with these certificates.
func handshake(t testing.TB, conn net.Conn, serverName string, shown ...tls.Certificate) (*tls.Conn, error) {
	t.Helper()
	client := tls.Client(conn, &tls.Config{ServerName: serverName, InsecureSkipVerify: true, Certificates: shown})
	return client, client.Handshake()
}

func TestTLS(t *testing.T) {
	h := open(t, Options{TLS: serverTLS(t), HandshakeTimeout: testTimeout})
	conn := h.dial()
	client, err := handshake(t, conn, "")
	if err != nil {
		t.Fatal(err)
	}
	s := h.serves("main")
	if _, ok := s.Conn.(syscall.Conn); ok {
		t.Error("the socket can be written to past TLS")
	}
	if got, want := s.RemoteAddr().String(), conn.LocalAddr().String(); got != want {
		t.Errorf("the peer is %s, want %s", got, want)
	}
	io.WriteString(client, "hello")
	hears(t, s, "hello")
	io.WriteString(s, "answer")
	hears(t, client, "answer")
}

// A connection is claimed by its certificate and its server name.
func TestClaimsByTLS(t *testing.T) {
	clients := authority.New(t, "clients")
	o := mutual(t, clients)
	o.Claims = claims(t, "",
		tenant.Claim{Tenant: "main", Certificates: []string{"uri:spiffe://example.org/main/*"}},
		tenant.Claim{Tenant: "other", ServerNames: []string{"*.other.example"}})
	h := open(t, o)
	of := func(uri string) tls.Certificate { return clients.Client("somebody", uri).TLS() }
	handshake(t, h.dial(), "", of("spiffe://example.org/main/a"))
	h.serves("main")
	handshake(t, h.dial(), "x.other.example", of("spiffe://example.org/elsewhere"))
	h.serves("other")
	client, _ := handshake(t, h.dial(), "x.third.example", of("spiffe://example.org/elsewhere"))
	gone(t, client.NetConn())
	h.refuses(map[Reason]uint64{Unclaimed: 1})
	h.logs("reason=unclaimed", "server_name=x.third.example", `identities="cn:somebody uri:spiffe://example.org/elsewhere"`)
	client, _ = handshake(t, h.dial(), "x.other.example", of("spiffe://example.org/main/a"))
	gone(t, client.NetConn())
	h.refuses(map[Reason]uint64{Unclaimed: 1, Ambiguous: 1})
}

// The names in a certificate that was not verified are ignored.
func TestUnverifiedCertificate(t *testing.T) {
	o := mutual(t, authority.New(t, "clients"))
	o.TLS.ClientAuth, o.TLS.ClientCAs = tls.RequestClientCert, nil
	o.Claims = claims(t, "other", tenant.Claim{Tenant: "main", Certificates: []string{"cn:me"}})
	h := open(t, o)
	handshake(t, h.dial(), "", authority.New(t, "impostor").Client("me").TLS())
	s := h.serves("other")
	if n := len(s.Conn.(*tlsConn).ConnectionState().PeerCertificates); n != 1 {
		t.Errorf("the client sent %d certificates, want 1", n)
	}
}

// Each way in which a handshake fails has a reason of its own.
func TestBadHandshakes(t *testing.T) {
	clients := authority.New(t, "clients")
	h := open(t, mutual(t, clients))
	good := clients.Client("somebody").TLS()
	want := map[Reason]uint64{}
	for _, test := range []struct {
		reason Reason
		try    func(conn *net.TCPConn)
	}{
		{"tls-no-certificate", func(conn *net.TCPConn) { handshake(t, conn, "") }},
		{"tls-unknown-ca", func(conn *net.TCPConn) { handshake(t, conn, "", authority.New(t, "clients").Client("somebody").TLS()) }},
		{"tls-expired", func(conn *net.TCPConn) {
			handshake(t, conn, "", clients.Issue(authority.Leaf{CommonName: "somebody"}.Expired()).TLS())
		}},
		{"tls-bad-certificate", func(conn *net.TCPConn) { handshake(t, conn, "", clients.Server("server.example").TLS()) }},
		{"tls-not-tls", func(conn *net.TCPConn) {
			io.WriteString(conn, "\x00\x00\x00\x10\x00\x01\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00")
		}},
		{"tls-not-tls", func(conn *net.TCPConn) { io.WriteString(conn, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n") }},
		{"tls-not-tls", func(conn *net.TCPConn) { io.WriteString(conn, v2(proxied, tcp4, addresses4)) }},
		{"tls-not-tls", func(conn *net.TCPConn) { io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n") }},
		{"tls-protocol-version", func(conn *net.TCPConn) {
			tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
		}},
		{"tls-closed", func(conn *net.TCPConn) { // the client refuses our certificate
			tls.Client(conn, &tls.Config{ServerName: "elsewhere.example"}).Handshake()
		}},
		{"tls-closed", func(conn *net.TCPConn) {
			io.WriteString(conn, "\x16\x03\x01\x02\x00\x01")
			conn.CloseWrite()
		}},
		{"tls-closed", func(conn *net.TCPConn) {
			handshake(t, &deaf{conn}, "")
			conn.CloseWrite()
		}},
		{Abandoned, func(conn *net.TCPConn) { conn.CloseWrite() }},
	} {
		conn := h.dial()
		test.try(conn)
		want[test.reason]++
		h.refuses(want)
		conn.SetReadDeadline(time.Now().Add(testTimeout))
		io.Copy(io.Discard, conn) // an alert, maybe
	}
	h.logs("reason=tls-unknown-ca", "error=")
	handshake(t, h.dial(), "", good)
	h.serves("main")
	h.Close()
	if h.lines.Has("reason=abandoned") {
		t.Error("a health check is in the log")
	}
}

// deaf reads nothing.
type deaf struct{ net.Conn }

func (*deaf) Read([]byte) (int, error) { return 0, io.EOF }

// Without Describe, a failed handshake still has a reason.
func TestFailedHandshake(t *testing.T) {
	h := open(t, Options{TLS: serverTLS(t), HandshakeTimeout: testTimeout})
	h.say("what?")
	h.refuses(map[Reason]uint64{"tls-failed": 1})
}

// TLS follows the PROXY header, and may arrive in the same segment.
func TestProxiedTLS(t *testing.T) {
	o := Options{TLS: serverTLS(t), ProxyFrom: networks("127.0.0.1/32"), Allow: networks("192.0.2.0/24"), HandshakeTimeout: testTimeout}
	h := open(t, o)
	client, err := handshake(t, &prefixed{Conn: h.dial(), prefix: "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n"}, "")
	if err != nil {
		t.Fatal(err)
	}
	s := h.serves("main")
	if got := s.RemoteAddr().String(); got != "192.0.2.1:4660" {
		t.Errorf("the peer is %s", got)
	}
	io.WriteString(client, "hello")
	hears(t, s, "hello")
	handshake(t, &prefixed{Conn: h.dial(), prefix: "PROXY TCP4 192.0.3.1 192.0.2.2 4660 80\r\n"}, "")
	h.refuses(map[Reason]uint64{NotAllowed: 1})
	handshake(t, h.dial(), "") // TLS without a header
	h.refuses(map[Reason]uint64{NotAllowed: 1, ProxyHeader: 1})
}

// prefixed writes the prefix together with the first bytes.
type prefixed struct {
	net.Conn
	prefix string
}

func (p *prefixed) Write(b []byte) (int, error) {
	n := len(p.prefix)
	all := append([]byte(p.prefix), b...)
	p.prefix = ""
	written, err := p.Conn.Write(all)
	return max(written-n, 0), err
}

// A peer that sends nothing, or a byte now and then, is refused after the timeout. After
// the handshake, the timeout does not apply.
func TestSlowHandshake(t *testing.T) {
	t.Parallel()
	const timeout = 200 * time.Millisecond
	h := open(t, Options{TLS: serverTLS(t), HandshakeTimeout: timeout})
	start := time.Now()
	silent, loris := h.dial(), h.dial()
	for b := range strings.SplitSeq("\x16\x03\x01\x02\x00"+strings.Repeat("\x01", 50), "") {
		time.Sleep(timeout / 10) // the pace of the peer
		if _, err := io.WriteString(loris, b); err != nil {
			break
		}
	}
	gone(t, silent)
	gone(t, loris)
	if took := time.Since(start); took < timeout {
		t.Errorf("both were refused after %v, before the timeout", took)
	}
	h.refuses(map[Reason]uint64{HandshakeTimeout: 2})
	var client *tls.Conn
	s := h.servesRetrying(func() { client, _ = handshake(t, h.dial(), "") })
	time.Sleep(timeout * 3 / 2)
	io.WriteString(client, "late")
	hears(t, s, "late")
	io.WriteString(s, "later")
	hears(t, client, "later")
}

// One deadline covers header and handshake together. Were it reset after the header,
// the first connection would outlive the second:
//
//	first    ├─────────────── header ─────────┤ refused
//	second          ├─ header ───────────────────────┤ refused
func TestOneDeadline(t *testing.T) {
	t.Parallel()
	longer := time.Duration(2) // how many times, in the next turn
	for timeout := 200 * time.Millisecond; timeout < testTimeout; timeout *= longer {
		h := open(t, Options{TLS: serverTLS(t), ProxyFrom: networks("127.0.0.1/32"), HandshakeTimeout: timeout})
		first := h.dial()
		time.Sleep(timeout * 3 / 10)
		second := h.say("PROXY UNKNOWN\r\n\x16")
		time.Sleep(timeout * 3 / 10)
		io.WriteString(first, "PROXY UNKNOWN\r\n\x16")
		for _, conn := range []*net.TCPConn{first, second} {
			gone(t, conn)
			h.logs("peer=" + conn.LocalAddr().String())
		}
		if h.Counts().Refused[HandshakeTimeout] < 2 {
			continue // the machine was too busy to send a header in time
		}
		log := h.lines.String()
		if strings.Index(log, first.LocalAddr().String()) < strings.Index(log, second.LocalAddr().String()) {
			return
		}
		// Either the header moved the deadline, or the machine was too busy to handle the deadlines in
		// order. With much more time between them, only the former gives the same result.
		longer = 8
	}
	t.Error("the header moves the deadline, or this machine is too busy for any timeout")
}

// A time in which the process stood still does not count as the client's.
func TestAllowance(t *testing.T) {
	const whole = 2500 * time.Millisecond
	for name, test := range map[string]struct {
		late []time.Duration // of each step
		took time.Duration   // all of them, without what was late
	}{
		"in time":         {make([]time.Duration, 3), whole},
		"a little late":   {[]time.Duration{standstill, standstill, standstill}, whole},
		"late at first":   {[]time.Duration{time.Minute, 0, 0, 0}, time.Second + whole},
		"late at last":    {[]time.Duration{0, 0, time.Minute, 0, 0, 0}, 2 * whole},
		"late repeatedly": {[]time.Duration{time.Minute, time.Minute, 0, 0, 0}, 2*time.Second + whole},
	} {
		t.Run(name, func(t *testing.T) {
			a, now, took := allowance{whole: whole, left: whole}, time.Now(), time.Duration(0)
			for i, late := range test.late {
				step := a.begin(now)
				took += step
				now = now.Add(step + late)
				if left, want := a.end(now), i < len(test.late)-1; left != want {
					t.Fatalf("time is left after %d steps: %t, want %t", i+1, left, want)
				}
			}
			if took != test.took {
				t.Errorf("the steps took %v, want %v", took, test.took)
			}
		})
	}
}

// Many handshakes that hang do not delay others.
func TestHangingHandshakesDelayNoOther(t *testing.T) {
	h := open(t, Options{TLS: serverTLS(t), HandshakeTimeout: time.Hour})
	for range 200 {
		h.dial()
	}
	if _, err := handshake(t, h.dial(), ""); err != nil {
		t.Fatal(err)
	}
	h.serves("main")
}
