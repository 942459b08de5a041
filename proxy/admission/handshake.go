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

// handshake lets the peer say who it is, a proxy by a header and a client of TLS by
// what it shows, and hands it on. All of it has one deadline, which nothing moves.
func (c *connection) handshake() {
	if timeout := c.options.HandshakeTimeout; timeout > 0 {
		c.conn.SetDeadline(time.Now().Add(timeout))
	}
	if !c.begin() {
		c.refuse(Closing, nil)
		return
	}
	conn, why, err := c.introduce()
	switch going := c.end(); {
	case !going:
		c.refuse(Closing, err)
	case why != "":
		c.refuse(why, err)
	default:
		c.conn.SetDeadline(time.Time{})
		c.hand(conn)
	}
}

// begin has Close give the handshake up, and reports whether there was none yet.
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

// end has Close leave the connection alone, and reports whether it still has.
func (c *connection) end() bool {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.handshakes, c.conn)
	return l.handshakes != nil
}

// introduce reads the PROXY header and makes the TLS handshake, whichever there is to
// be, and returns what the tenant reads and writes, or why it is to have nothing of it.
func (c *connection) introduce() (net.Conn, Reason, error) {
	socket := &announced{TCPConn: c.conn}
	if c.proxied {
		header, err := readHeader(c.conn)
		if err != nil {
			return nil, reasonOfHeader(err), err
		}
		if why := c.announce(header); why != "" {
			return nil, why, nil
		}
		socket.peer, socket.early = c.peer, header.early
	}
	if c.options.TLS == nil {
		return socket, "", nil
	}
	below := &patient{Conn: socket}
	over := tls.Server(below, c.options.TLS)
	if err := over.Handshake(); err != nil {
		return nil, c.reasonOfTLS(err, socket.heard), err
	}
	c.remember(over.ConnectionState())
	return &secured{over, below, socket}, "", nil
}

// announce makes the announced source that of the connection, and applies its limits.
// A proxy that speaks for itself, as to see whether somebody is there, or that does
// not know for whom, must be allowed itself; limits of a source are not for proxies.
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

// remember keeps what the client showed. A certificate that was not verified says
// nothing.
func (c *connection) remember(s tls.ConnectionState) {
	c.serverName = s.ServerName
	if c.options.Identities != nil && len(s.VerifiedChains) > 0 {
		c.identities = c.options.Identities(s.PeerCertificates[0])
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

// reasonOfTLS says why a handshake failed; heard is whether the client said anything.
func (c *connection) reasonOfTLS(err error, heard bool) Reason {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return HandshakeTimeout
	case !heard && wentAway(err):
		return Abandoned
	case c.options.Describe == nil:
		return tlsFailed + "failed"
	default:
		return tlsFailed + Reason(c.options.Describe(err))
	}
}

func wentAway(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }
