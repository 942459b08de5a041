package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy/policytest"
)

// Sessions returns each session with its connection.
func TestSessions(t *testing.T) {
	begun := time.Now()
	active := policytest.Active(testRules())
	defer active.Close()
	tenant := NewTenant("acme", active, patient(testLimits()), slog.New(slog.DiscardHandler))
	defer tenant.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var peers []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		peers = append(peers, conn)
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := tenant.Serve(server, func(bool) {}); err != nil {
			t.Fatal(err)
		}
	}
	m := pdu.Append(nil, pdu.SID_MSG, others, 1, []byte("hello"))
	peers[0].Write(m)
	got := make([]byte, len(m))
	for _, peer := range peers[1:] {
		peer.SetReadDeadline(time.Now().Add(generous))
		if _, err := peer.Read(got); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range *tenant.sessions.Load() {
		s.begin() // as the tick has it, for those that have sent nothing
	}
	byPeer := make(map[string]Session)
	for _, s := range tenant.Sessions() {
		byPeer[s.Peer().String()] = s
		if s.Local().String() != l.Addr().String() || s.Since().Before(begun.Add(-time.Second)) || s.Since().After(time.Now().Add(time.Second)) || s.Paused() {
			t.Errorf("got %v, %v, %v", s.Local(), s.Since(), s.Paused())
		}
		if _, ok := s.TLS(); ok {
			t.Error("plain TCP is taken for TLS")
		}
	}
	if len(byPeer) != 3 {
		t.Fatalf("got %d sessions", len(byPeer))
	}
	first := byPeer[peers[0].LocalAddr().String()]
	if first.PDUsIn != 1 || first.BytesIn != uint64(len(m)) {
		t.Errorf("the first is %+v", first.Session)
	}
	if other := byPeer[peers[1].LocalAddr().String()]; other.BytesOut != uint64(len(m)) || other.PDUsOut != 1 {
		t.Errorf("another is %+v", other.Session)
	}
}

// Probe succeeds unless the tenant's tick has stopped.
func TestProbe(t *testing.T) {
	active := policytest.Active(testRules())
	defer active.Close()
	tenant := NewTenant("acme", active, patient(testLimits()), slog.New(slog.DiscardHandler))
	defer tenant.Close()
	if err := tenant.Probe(); err != nil {
		t.Error(err)
	}
	tenant.lastTick.Store(clock() - int64(time.Minute))
	if err := tenant.Probe(); err == nil || !strings.Contains(err.Error(), "ago") {
		t.Errorf("after a minute without a tick: %v", err)
	}
	tenant.tickOnce(time.Now())
	if err := tenant.Probe(); err != nil {
		t.Error(err)
	}
}

// A peer keeps its identity when it connects again: that of its certificate, if it was
// verified, or else its address without the port.
func TestIdentity(t *testing.T) {
	certificate := &x509.Certificate{Subject: pkix.Name{CommonName: "msg-1"}}
	verified := tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}, VerifiedChains: [][]*x509.Certificate{{certificate}}}
	from := func(port int) net.Conn {
		return addressConn{remote: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: port}}
	}
	for want, conns := range map[string][]net.Conn{
		"10.0.0.7":             {from(1), from(2), tlsStateConn{from(3), tls.ConnectionState{PeerCertificates: verified.PeerCertificates}}},
		"certificate CN=msg-1": {tlsStateConn{from(1), verified}, tlsStateConn{from(2), verified}},
	} {
		for i, conn := range conns {
			if got := (&session{conn: conn}).identity(); got != want {
				t.Errorf("connection %d: %q, want %q", i, got, want)
			}
		}
	}
}

type addressConn struct {
	net.Conn
	remote net.Addr
}

func (c addressConn) RemoteAddr() net.Addr { return c.remote }

type tlsStateConn struct {
	net.Conn
	state tls.ConnectionState
}

func (c tlsStateConn) ConnectionState() tls.ConnectionState { return c.state }
