package admission

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// handshake reads the PROXY header and does the TLS handshake, as far as the options ask
// for them, and hands the connection to its tenant. One time limit covers both.
func (c *connection) handshake() {
	if !c.begin() {
		c.refuse(Closing, nil)
		return
	}
	c.expired = make(chan struct{})
	if timeout := c.options.HandshakeTimeout; timeout > 0 {
		c.limit(&allowance{whole: timeout, left: timeout})
	}
	conn, why, err := c.identify()
	switch going := c.end(); {
	case !going:
		c.refuse(Closing, err)
	case why != "":
		c.refuse(why, err)
	default:
		c.conn.SetDeadline(time.Time{}) // the limit may have ended just now
		c.hand(conn)
	}
}

// limit waits for a step of the allowance in the background, and for the next ones until the
// handshake is over. After the last one it makes reading, writing and waiting for a slot fail with
// os.ErrDeadlineExceeded.
func (c *connection) limit(a *allowance) {
	time.AfterFunc(a.begin(time.Now()), func() {
		l := c.listener
		l.mu.Lock() // so that end comes before or after this
		defer l.mu.Unlock()
		_, going := l.handshakes[c.conn]
		switch {
		case !going:
		case a.end(time.Now()):
			c.limit(a)
		default:
			c.conn.SetDeadline(time.Now())
			close(c.expired)
		}
	})
}

// An allowance is the time that a client has for its handshake. It is counted in steps of at
// most a second. A step that ends more than standstill late shows that the process or the
// machine stood still and read nothing; the client then has the whole time once more.
type allowance struct {
	whole, left, step time.Duration
	begun             time.Time // when the step began
}

// begin begins a step, and returns how long it is.
func (a *allowance) begin(now time.Time) time.Duration {
	a.step, a.begun = min(a.left, time.Second), now
	return a.step
}

// end ends a step, and reports whether time is left.
func (a *allowance) end(now time.Time) bool {
	if a.left -= a.step; now.Sub(a.begun) > a.step+standstill {
		a.left = a.whole
	}
	return a.left > 0
}

// begin registers the handshake, so that Close ends it. It returns false if Close was
// called before.
func (c *connection) begin() bool {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.handshakes == nil {
		return false
	}
	l.handshakes[c.conn] = struct{}{}
	return true
}

// end unregisters the handshake. It returns false if Close has ended it.
func (c *connection) end() bool {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.handshakes, c.conn)
	return l.handshakes != nil
}

// identify reads the PROXY header and does the TLS handshake. It returns the connection
// for the tenant, or why there is none.
func (c *connection) identify() (net.Conn, Reason, error) {
	socket := &proxiedConn{TCPConn: c.conn}
	local := false
	if c.proxied {
		header, err := readHeader(c.conn)
		if err != nil {
			return nil, reasonOfHeader(err), err
		}
		if local = header.local; !local {
			if why := c.announce(header); why != "" {
				return nil, why, nil
			}
		}
		socket.peer, socket.early = c.peer, header.early
	}
	var conn net.Conn = socket
	if c.options.TLS != nil {
		below := &progressConn{Conn: socket}
		turns := &handshakeConn{Conn: below, slots: c.listener.slots, expired: c.expired, closing: c.listener.closing}
		over := tls.Server(turns, c.options.TLS)
		err := over.Handshake()
		turns.finish()
		if err != nil {
			return nil, c.reasonOfTLS(err, socket.hasRead), err
		}
		c.remember(over.ConnectionState())
		conn = &tlsConn{over, below, socket}
	}
	if local {
		why, err := awaitEnd(conn)
		return nil, why, err
	}
	return conn, "", nil
}

// awaitEnd waits until a proxy closes a connection of its own, with which it checks that the
// port answers, or until the handshake's deadline.
func awaitEnd(conn net.Conn) (Reason, error) {
	if n, _ := conn.Read(make([]byte, 1)); n > 0 {
		return ProxyHeader, errLocalSends
	}
	return Abandoned, nil
}

// announce makes the source in the header that of the connection, and applies the limits
// of that source. A header without a source leaves the connection to the proxy itself: the
// proxy has to be allowed, and has no limits.
func (c *connection) announce(h header) Reason {
	if h.source.IsValid() {
		c.peer = h.source
		return c.enterAnnounced()
	}
	if !c.allowed() {
		return NotAllowed
	}
	return ""
}

// remember keeps the server name that the client asked for, and the names in its
// certificate. Names in a certificate that was not verified are ignored.
func (c *connection) remember(s tls.ConnectionState) {
	c.serverName = s.ServerName
	if c.options.Identities != nil && len(s.VerifiedChains) > 0 {
		c.identities = c.options.Identities(s.PeerCertificates[0])
	}
	c.admitted.chains = s.VerifiedChains
	if c.options.Issuers != nil {
		c.issuers = c.options.Issuers(s.VerifiedChains)
	}
}

func reasonOfHeader(err error) Reason {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ProxyTimeout
	case wentAway(err):
		return Abandoned
	default:
		return ProxyHeader
	}
}

// reasonOfTLS returns why a handshake failed. hasRead is whether the client sent anything.
func (c *connection) reasonOfTLS(err error, hasRead bool) Reason {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return HandshakeTimeout
	case !hasRead && wentAway(err):
		return Abandoned
	case c.options.Describe == nil:
		return tlsFailed + "failed"
	default:
		return tlsFailed + Reason(c.options.Describe(err))
	}
}

func wentAway(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }
