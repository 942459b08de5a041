package admission

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestAllow(t *testing.T) {
	h := open(t, Options{Allow: networks("127.0.0.3/32", "127.1.0.0/16", "2001:db8::/32")})
	for _, from := range []string{"127.0.0.3", "127.1.0.1", "127.1.255.254"} {
		h.dial(from)
		h.serves("main")
	}
	for _, from := range []string{"127.0.0.1", "127.0.0.4", "127.2.0.1"} {
		gone(t, h.dial(from))
	}
	h.refuses(map[Reason]uint64{NotAllowed: 3})
	h.logs("connection refused", "reason=not-allowed", "peer=127.0.0.4:")
}

// IPv4-mapped addresses of sockets and of the configuration match IPv4 ones.
func TestAllowed(t *testing.T) {
	for _, test := range []struct {
		allow, source string
		want          bool
	}{
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "11.1.2.3", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8", "::ffff:11.1.2.3", false},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "11.1.2.3", false},
		{"::ffff:10.1.2.3/128", "10.1.2.3", true},
		{"::ffff:0.0.0.0/96", "10.1.2.3", true},
		{"0.0.0.0/0", "10.1.2.3", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "10.1.2.3", false},
		{"2001:db8::/32", "2001:db8:1::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"fe80::/10", "fe80::1%eth0", true},
	} {
		o := Options{Allow: unmappedNetworks(networks(test.allow))}
		socket := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(test.source), 1))
		c := &connection{options: &o, peer: unmapped(socket)}
		if got := c.allowed(); got != test.want {
			t.Errorf("%s in %s: %v", test.source, test.allow, got)
		}
	}
}

// Handshakes count as connections. One that ends makes room.
func TestListenerFull(t *testing.T) {
	h := open(t, Options{Connections: 3, ProxyFrom: networks("127.0.0.2/32"), HandshakeTimeout: time.Hour})
	hanging := h.dial("127.0.0.2")
	h.dial()
	h.dial()
	a, _ := h.serves("main"), h.serves("main")
	gone(t, h.dial())
	gone(t, h.dial("127.0.0.2"))
	h.refuses(map[Reason]uint64{ListenerFull: 2})
	a.end()
	h.dial()
	h.serves("main")
	gone(t, h.dial())
	hanging.Close()
	h.refuses(map[Reason]uint64{ListenerFull: 3, Abandoned: 1})
	h.dial()
	h.serves("main")
}

func TestSourceFull(t *testing.T) {
	h := open(t, Options{SourceConnections: 2})
	h.dial("127.0.0.2")
	h.dial("127.0.0.2")
	a, _ := h.serves("main"), h.serves("main")
	gone(t, h.dial("127.0.0.2"))
	h.refuses(map[Reason]uint64{SourceFull: 1})
	h.dial("127.0.0.3")
	h.serves("main")
	a.end()
	h.dial("127.0.0.2")
	h.serves("main")
	if c := h.Counts(); c.Sources != 2 {
		t.Errorf("%d sources, want 2", c.Sources)
	}
}

func TestSourceRate(t *testing.T) {
	h := open(t, Options{SourceConnections: 5, AcceptRate: 1})
	start := time.Now()
	n := h.servesUntil(SourceRate, func() { h.dial().Close() })
	if most := 5 + int(time.Since(start)/time.Second); n < 5 || n > most {
		t.Errorf("%d were served, want 5 to %d", n, most)
	}
	h.dial("127.0.0.2")
	h.serves("main")
	h.logs("reason=source-rate")
}

var addrA, addrB = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

// In any period, a source may connect rate × period times, and a burst more.
func TestRate(t *testing.T) {
	var s sources
	o := &Options{SourceConnections: 10, AcceptRate: 100}
	now := time.Unix(1000, 0)
	admitted := 0
	for range 5000 { // 500 per second
		now = now.Add(2 * time.Millisecond)
		if s.enter(addrA, now, o) == "" {
			admitted++
			s.leave(addrA, now)
		}
	}
	if want := 10*100 + 10; admitted < want-11 || admitted > want {
		t.Errorf("%d in 10 s, want about %d", admitted, want)
	}
	if why := s.enter(addrB, now, o); why != "" {
		t.Errorf("another source: %s", why)
	}
}

// After a change of the rate, what a source owes under the old rate is forgiven within
// the time of a burst under the new one.
func TestRateChanges(t *testing.T) {
	var s sources
	now := time.Unix(1000, 0)
	low := &Options{SourceConnections: 1000, AcceptRate: 1}
	for range 1000 {
		s.enter(addrA, now, low)
		s.leave(addrA, now)
	}
	high := &Options{SourceConnections: 10, AcceptRate: 100}
	if why := s.enter(addrA, now, high); why != SourceRate {
		t.Errorf("at once: %q", why)
	}
	now = now.Add(100 * time.Millisecond)
	for i := range 10 {
		if why := s.enter(addrA, now, high); why != "" {
			t.Errorf("connection %d after the burst's time: %q", i, why)
		}
	}
	if why := s.enter(addrA, now, &Options{AcceptRate: 1 << 40, SourceConnections: 1 << 60}); why != "" {
		t.Errorf("with huge limits: %q", why)
	}
	if why := s.enter(addrB, now, &Options{AcceptRate: 1, SourceConnections: 1 << 60}); why != "" {
		t.Errorf("with a huge burst: %q", why)
	}
}

// A source is forgotten as soon as it makes no difference.
func TestSourcesAreForgotten(t *testing.T) {
	var s sources
	o := &Options{SourceConnections: 10, AcceptRate: 10}
	now := time.Unix(1000, 0)
	s.enter(addrA, now, o)
	s.enter(addrA, now, o)
	s.enter(addrB, now, o)
	s.leave(addrA, now)
	s.leave(addrB, now)
	now = now.Add(time.Minute)
	s.enter(addrA, now, o) // the next source makes room
	if len(s.known) != 1 || s.idle.Len() != 0 {
		t.Fatalf("%d known, %d idle, want the one that is connected", len(s.known), s.idle.Len())
	}
	now = now.Add(time.Minute)
	s.leave(addrA, now)
	s.leave(addrA, now)
	if len(s.known) != 0 || s.idle.Len() != 0 {
		t.Fatalf("%d known, %d idle, want none", len(s.known), s.idle.Len())
	}
}

// The number of idle sources that are remembered is bounded. Connected ones are never
// forgotten.
func TestSourcesAreBounded(t *testing.T) {
	t.Parallel()
	var s sources
	o := &Options{SourceConnections: 1, AcceptRate: 1}
	now := time.Unix(1000, 0)
	s.enter(addrB, now, o)
	a := addrA
	for range mostIdle + 1000 {
		a = a.Next()
		if a == addrB {
			continue
		}
		if why := s.enter(a, now, o); why != "" {
			t.Fatal(why)
		}
		s.leave(a, now)
	}
	if len(s.known) != mostIdle+1 || s.idle.Len() != mostIdle {
		t.Errorf("%d known, %d idle, want %d idle", len(s.known), s.idle.Len(), mostIdle)
	}
	if why := s.enter(addrB, now, o); why != SourceFull {
		t.Errorf("the one that is connected: %q", why)
	}
	if why := s.enter(a, now, o); why != SourceRate {
		t.Errorf("the last: %q", why)
	}
	s.forget(now.Add(time.Second))
	if len(s.known) != 1 {
		t.Errorf("%d known a second later", len(s.known))
	}
}

// All addresses of an IPv6 /64 are one source.
func TestIPv6SourcesAreNetworks(t *testing.T) {
	var s sources
	o := &Options{SourceConnections: 2}
	now := time.Unix(1000, 0)
	var got []string
	for _, a := range []string{"2001:db8::1", "2001:db8::ffff:1", "2001:db8::2", "2001:db8:0:1::1"} {
		got = append(got, fmt.Sprint(s.enter(netip.MustParseAddr(a), now, o)))
	}
	if got, want := strings.Join(got, ","), ",,source-full,"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.leave(netip.MustParseAddr("2001:db8::1"), now)
	if why := s.enter(netip.MustParseAddr("2001:db8::3"), now, o); why != "" {
		t.Errorf("with room again: %s", why)
	}
}
