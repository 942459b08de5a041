// Package admission lets connections in: who may connect, how many, how they say who
// they are. It hands each to the tenant that serves it, and has nothing to do with
// what is said from then on.
//
// The files in the order in which a connection meets them: accept.go, limits.go with
// sources.go, handshake.go with header.go, conn.go, and claim.go; refuse.go is where
// the others end.
package admission

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/proxy/logsample"
	"switchyard/proxy/tenant"
)

// Options say who may connect, and how. A limit of zero is none.
type Options struct {
	Allow     []netip.Prefix // networks that may connect; none: everybody
	ProxyFrom []netip.Prefix // networks of proxies, whose connections begin with a PROXY header
	TLS       *tls.Config    // nil: plain TCP

	// Claims says which tenant serves whom.
	Claims *tenant.Claims
	// Identities are the names in a client's certificate that Claims knows. It is asked
	// about certificates that were verified; nil knows none.
	Identities func(*x509.Certificate) []string
	// Describe says in a word why a TLS handshake failed: one of few, as each is counted.
	// It may be nil.
	Describe func(error) string

	Connections       int           // of the listener at once, handshakes included
	SourceConnections int           // of one source at once
	AcceptRate        int           // connections per second of one source, with SourceConnections at a stroke
	HandshakeTimeout  time.Duration // for the PROXY header and the TLS handshake together

	CongestionControl string // of TCP, by the kernel's name; empty: the system's. See CheckCongestionControl
}

// A Server serves connections; *proxy.Tenant is one. Serve either owns conn, and
// calls ended once when the connection is over, or returns an error.
type Server interface {
	Serve(conn net.Conn, ended func()) error
}

// A Listener accepts connections until it is closed.
type Listener struct {
	// Static after Open.
	listener *net.TCPListener
	find     func(tenant string) Server
	log      *slog.Logger
	closing  chan struct{} // closed by Close
	done     sync.WaitGroup

	options atomic.Pointer[Options] // replaced whole

	// Owned by acceptLoop.
	spare *os.File // a descriptor to give away when there are no more; nil if there was none to be had

	// mu is held for a moment, with nothing else locked.
	mu         sync.Mutex
	counts     Counts // guarded by mu, and the rest as well
	sources    sources
	handshakes map[*net.TCPConn]struct{} // under way; nil once Close gives them up
	lines      logsample.Lines           // has a lock of its own
	flushed    time.Time                 // when lines were last flushed
}

// Counts is what became of the connections of a listener, at one moment:
//
//	Accepted = Handshaking + Open + Ended + sum of Refused
type Counts struct {
	Accepted    uint64
	Handshaking int // on the way to a tenant
	Open        int // served
	Ended       uint64
	Refused     map[Reason]uint64
	Sources     int // addresses that are remembered, for their limits
}

// Open starts accepting from l, which is of TCP and which it owns from now on. find
// returns who serves the connections of a tenant, or nil if nobody does; it is called
// by several goroutines.
func Open(l net.Listener, o Options, find func(tenant string) Server, log *slog.Logger) *Listener {
	a := &Listener{listener: l.(*net.TCPListener), find: find, log: log.With("address", l.Addr().String()), closing: make(chan struct{})}
	a.counts.Refused = make(map[Reason]uint64)
	a.handshakes = make(map[*net.TCPConn]struct{})
	a.Set(o)
	a.keepSpare()
	a.done.Go(a.acceptLoop)
	return a
}

// Set changes the options for the connections that are accepted from now on.
func (l *Listener) Set(o Options) {
	o.Allow, o.ProxyFrom = unmappedNetworks(o.Allow), unmappedNetworks(o.ProxyFrom)
	l.options.Store(&o)
}

// Addr returns the address that is listened on.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// Close stops accepting and gives up the handshakes that are under way. Connections
// that are served go on. Nothing of the listener's runs any more when it returns.
func (l *Listener) Close() {
	l.mu.Lock()
	underWay := l.handshakes
	l.handshakes = nil
	l.mu.Unlock()
	if underWay == nil {
		return // closed already
	}
	close(l.closing)
	l.listener.Close()
	for conn := range underWay {
		conn.Close()
	}
	l.done.Wait()
	if l.spare != nil {
		l.spare.Close()
	}
	l.flushLines(time.Now())
}

// Counts returns what became of all connections up to now.
func (l *Listener) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sources.forget(time.Now())
	c := l.counts
	c.Refused = maps.Clone(c.Refused)
	c.Sources = len(l.sources.known)
	return c
}
