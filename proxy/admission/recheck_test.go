package admission

import (
	"crypto/x509"
	"net/netip"
	"testing"
	"time"

	"switchyard/proxy/certificate/authority"
	"switchyard/proxy/hub"
)

// reasons returns why connections are to end, and how many for each reason.
func (h *harness) reasons() map[hub.Reason]int {
	f := h.tenants["main"]
	f.mu.Lock()
	defer f.mu.Unlock()
	n := make(map[hub.Reason]int)
	for _, why := range f.ending {
		n[why]++
	}
	return n
}

// Connections from a source that is no longer allowed are ended if the options say so, and
// each once.
func TestRecheckOfSources(t *testing.T) {
	t.Parallel() // a check comes once in a while
	h := open(t, Options{})
	h.dial()
	h.serves("main")
	o := Options{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	h.Set(o)
	h.recheck(time.Now())
	if got := h.reasons(); len(got) > 0 {
		t.Errorf("without recheck: %v", got)
	}
	o.Recheck, o.Allow = true, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	h.Set(o)
	h.recheck(time.Now())
	if got := h.reasons(); len(got) > 0 {
		t.Errorf("still allowed: %v", got)
	}
	o.Allow = o.Allow[:0:0]
	o.Allow = append(o.Allow, netip.MustParsePrefix("10.0.0.0/8"))
	h.Set(o)
	eventually(t, func() bool { return h.reasons()[hub.NotAllowed] == 1 }, func() string { return "the connection is not ended" })
}

// The source that a proxy announced counts, as it did when the connection arrived.
func TestRecheckOfAnnouncedSources(t *testing.T) {
	t.Parallel() // a check comes once in a while
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	o := Options{ProxyFrom: loopback, HandshakeTimeout: testTimeout}
	h := open(t, o)
	h.say("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n")
	h.serves("main")
	o.Recheck, o.Allow = true, loopback
	h.Set(o)
	eventually(t, func() bool { return h.reasons()[hub.NotAllowed] == 1 }, func() string { return "the connection is not ended" })
}

// A check ends a few connections, and the next ones the rest. Connections that have ended
// are forgotten.
func TestRecheckIsLimited(t *testing.T) {
	const n = endsPerCheck + 10
	h := open(t, Options{})
	for range n {
		h.dial()
		h.serves("main")
	}
	h.options.Store(&Options{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	once := *h.options.Load()
	once.Recheck = true
	listener := &Listener{find: h.find, open: h.open}
	listener.options.Store(&once)
	for _, want := range []int{endsPerCheck, n, n} {
		listener.recheck(time.Now())
		if got := h.reasons()[hub.NotAllowed]; got != want {
			t.Errorf("got %d ends, want %d", got, want)
		}
	}
	for _, s := range h.tenants["main"].all {
		s.end()
	}
	if len(h.Listener.open) > 0 {
		t.Errorf("%d connections are remembered that have ended", len(h.Listener.open))
	}
}

// A connection that its tenant does not serve yet is ended by a later check.
func TestRecheckOfANewConnection(t *testing.T) {
	h := open(t, Options{})
	h.dial()
	h.serves("main")
	main := h.tenants["main"]
	main.late = true
	listener := &Listener{find: h.find, open: h.open}
	listener.options.Store(&Options{Recheck: true, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, late := range []bool{true, false} {
		main.late = late
		clear(main.ending)
		listener.recheck(time.Now())
		if got := h.reasons()[hub.NotAllowed]; got != 1 {
			t.Errorf("got %d calls of End, want 1", got)
		}
	}
}

// A certificate is checked by the chains of its handshake.
func TestRecheckOfCertificates(t *testing.T) {
	t.Parallel() // a check comes once in a while
	clients := authority.New(t, "clients")
	o := mutual(t, clients)
	h := open(t, o)
	leaf := clients.Client("acme")
	handshake(t, h.dial(), "", leaf.TLS())
	h.serves("main")
	o.Recheck = true
	o.Withdrawn = func(chains [][]*x509.Certificate, _ time.Time) hub.Reason {
		if len(chains) == 1 && chains[0][0].Equal(leaf.X509) && chains[0][1].Equal(clients.X509()) {
			return hub.CertificateRevoked
		}
		return hub.NotAllowed
	}
	h.Set(o)
	eventually(t, func() bool { return h.reasons()[hub.CertificateRevoked] == 1 }, func() string { return "the connection is not ended" })
}
