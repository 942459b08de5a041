// Package admission accepts connections: it checks who may connect and how many may,
// reads PROXY headers, does TLS handshakes, and hands each connection to the tenant that
// claims it. It takes no part in what the connection then carries.
//
// The files in the order in which a connection meets them:
//
//	accept.go ──▶ limits.go ──▶ handshake.go ──▶ claim.go ──▶ the tenant
//	              sources.go    header.go          │    recheck.go
//	                  │         slots.go, conn.go  │
//	                  │             │              │
//	                  └─────────────┴──────────────┴──▶ refuse.go
//
// freeze.go and adopt.go move a listener and its connections to another process.
package admission

import (
	"context"
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

	"switchyard/proxy/hub"
	"switchyard/proxy/logsample"
	"switchyard/proxy/tenant"
)

// Options say who may connect, and how. A limit of zero means no limit.
type Options struct {
	Allow     []netip.Prefix // networks that may connect; empty: all
	ProxyFrom []netip.Prefix // networks of proxies, whose connections begin with a PROXY header
	TLS       *tls.Config    // nil: plain TCP

	// Claims maps connections to tenants.
	Claims *tenant.Claims
	// Identities returns the names in a client's certificate by which a tenant can claim
	// it. It is called for verified certificates only. nil: no names.
	Identities func(*x509.Certificate) []string
	// Issuers returns the fingerprints of the CAs in the verified chains of a client's
	// certificate. A nil function means none.
	Issuers func(chains [][]*x509.Certificate) []string
	// Describe returns one word for why a TLS handshake failed. It has to use few words,
	// since each is counted. It may be nil.
	Describe func(error) string

	// Recheck also ends open connections that Allow or Withdrawn would no longer accept.
	// Withdrawn returns why a certificate that was verified with these chains would now be
	// refused, or "". Withdrawn may be nil.
	Recheck   bool
	Withdrawn func(chains [][]*x509.Certificate, now time.Time) hub.Reason

	// Refused is called for each connection that is refused, but not for those that were abandoned. It must
	// not block. It may be nil.
	Refused func(Refusal)

	Connections       int           // of the listener at once, handshakes included
	SourceConnections int           // of one source at once
	AcceptRate        int           // connections per second of one source, in bursts of up to SourceConnections
	HandshakeTimeout  time.Duration // for the PROXY header and the TLS handshake together
	WriteTimeout      time.Duration // of the tenants; the kernel waits longer for a peer that takes nothing

	Pacing            bool   // pace output to peers that may be msg_servers; only on Linux and without TLS
	CongestionControl string // the kernel's name for it; empty: the system's. See CheckCongestionControl
}

// A Server serves connections, as *proxy.Tenant does. Serve either takes ownership of
// conn and calls ended once when the connection is over, or returns an error. A connection
// was abandoned if its peer closed it at once without having sent anything.
type Server interface {
	Serve(conn net.Conn, ended func(abandoned bool)) error
	// End gracefully ends a connection for the given reason. It returns false if the
	// connection is not being served.
	End(conn net.Conn, why hub.Reason) bool
}

// A Listener accepts connections until it is closed.
type Listener struct {
	// Static after Open.
	listener *net.TCPListener
	find     func(tenant string) Server
	log      *slog.Logger
	closing  chan struct{} // closed by Close
	slots    slots         // of the process, except in tests
	done     sync.WaitGroup

	options atomic.Pointer[Options] // replaced as a whole

	// Each has one element, which the loop of that name holds while it does something, and Freeze
	// until Thaw.
	accepting, rechecking chan struct{}

	// Owned by acceptLoop.
	spare *os.File // closed when descriptors run out, so that accept works once more; may be nil

	// mu guards the rest. No other lock is taken while it is held.
	mu         sync.Mutex
	counts     Counts
	sources    sources
	handshakes map[*net.TCPConn]struct{} // in progress; nil after Close
	open       map[*connection]struct{}  // served
	lines      logsample.Lines           // has a lock of its own
	flushed    time.Time                 // when lines were last flushed
	frozen     bool
}

// Counts says what became of the connections of a listener, at one moment:
//
//	Accepted = Handshaking + Open + Ended + sum of Refused
type Counts struct {
	Accepted    uint64
	Handshaking int // on their way to a tenant
	Open        int // served
	Ended       uint64
	Refused     map[Reason]uint64 // Abandoned includes those that a tenant served for a moment
	Sources     int               // source addresses that are remembered for their limits
}

// Open starts accepting from l, a TCP listener that it takes ownership of. find returns
// the server of a tenant, or nil if there is no such tenant. It is called by several
// goroutines.
func Open(l net.Listener, o Options, find func(tenant string) Server, log *slog.Logger) *Listener {
	a := OpenFrozen(l, o, State{}, find, log)
	a.Thaw()
	return a
}

// Set replaces the options for connections that are accepted from now on.
func (l *Listener) Set(o Options) {
	o.Allow, o.ProxyFrom = unmappedNetworks(o.Allow), unmappedNetworks(o.ProxyFrom)
	l.options.Store(&o)
}

// Addr returns the listening address.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// Close stops accepting and ends handshakes in progress. Connections that are served stay
// open. When Close returns, all goroutines of the listener have ended.
func (l *Listener) Close() {
	l.mu.Lock()
	inProgress := l.handshakes
	l.handshakes = nil
	l.mu.Unlock()
	if inProgress == nil {
		return // closed already
	}
	close(l.closing)
	l.listener.Close()
	for conn := range inProgress {
		conn.Close()
	}
	l.done.Wait()
	if l.spare != nil {
		l.spare.Close()
	}
	l.flushLines(time.Now())
}

// finishEvery is how often Finish checks whether handshakes are in progress.
const finishEvery = 10 * time.Millisecond

// StopAccepting frees the address. Handshakes in progress continue.
func (l *Listener) StopAccepting() { l.listener.Close() }

// Finish is like Close, but lets handshakes in progress finish until ctx is done.
func (l *Listener) Finish(ctx context.Context) {
	l.StopAccepting()
	look := time.NewTicker(finishEvery)
	defer look.Stop()
	for l.Counts().Handshaking > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			l.Close()
		}
	}
	l.Close()
}

// Counts returns the counts of all connections so far.
func (l *Listener) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sources.forget(time.Now())
	c := l.counts
	c.Refused = maps.Clone(c.Refused)
	c.Sources = len(l.sources.known)
	return c
}
