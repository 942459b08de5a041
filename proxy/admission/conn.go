package admission

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// What a tenant is handed, by the listener's options:
//
//	plain TCP    proxiedConn ── *net.TCPConn
//	TLS          tlsConn ── tls.Conn ── handshakeConn ── progressConn ── proxiedConn ── *net.TCPConn

// A proxiedConn is a TCP connection with the address that a proxy announced for it. It
// is still a syscall.Conn, so its tenant can write to the socket without blocking.
type proxiedConn struct {
	*net.TCPConn
	peer netip.AddrPort // invalid if it is the socket's

	// Owned by the reader.
	early   []byte // what was read together with the header and belongs to the tenant
	hasRead bool   // Read has returned bytes
}

func (a *proxiedConn) RemoteAddr() net.Addr {
	if a.peer.IsValid() {
		return net.TCPAddrFromAddrPort(a.peer)
	}
	return a.TCPConn.RemoteAddr()
}

func (a *proxiedConn) Read(p []byte) (n int, err error) {
	if len(a.early) > 0 {
		n = copy(p, a.early)
		if a.early = a.early[n:]; len(a.early) == 0 {
			a.early = nil // the buffer is no longer needed
		}
	} else {
		n, err = a.TCPConn.Read(p)
	}
	a.hasRead = a.hasRead || n > 0
	return n, err
}

// Early returns what was read together with the header and not yet by the tenant. Only the reader
// may call it.
func (a *proxiedConn) Early() []byte { return a.early }

// WriteTo hides that of TCPConn, which would skip early.
func (a *proxiedConn) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{a})
}

// A progressConn fails a Write when the peer has taken no byte for a while. TLS writes to
// it: crypto/tls makes a connection unusable if a write deadline expires within a record,
// even if the peer takes bytes slowly. So the deadline of the socket moves: each Write
// begins with the whole timeout, and gets it again after each partial write. A deadline
// that is set by SetWriteDeadline does not move. It ends a Write in progress, as does
// Close.
type progressConn struct {
	net.Conn

	mu       sync.Mutex    // guards the rest, and the write deadline of Conn
	timeout  time.Duration // 0: no limit, and Conn has the deadline that was set last
	deadline time.Time     // zero: none
	begun    time.Time     // when the timeout was last started
}

// standstill is how late a timeout must be to indicate that the process or the machine
// stalled.
const standstill = time.Second

// NetConn returns the connection below, as that of tls.Conn does.
func (p *progressConn) NetConn() net.Conn { return p.Conn }

// SetWriteTimeout makes each Write fail with os.ErrDeadlineExceeded once the peer has
// taken nothing for d. With 0, a Write may wait forever.
func (p *progressConn) SetWriteTimeout(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timeout != d {
		p.timeout = d
		p.bound()
	}
}

// SetWriteDeadline makes Write fail at t, even if the peer takes bytes until then.
// crypto/tls sets such a deadline for its close_notify alert.
func (p *progressConn) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return p.bound()
}

// SetDeadline sets both deadlines.
func (p *progressConn) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

// Write writes all of b, or fails once the peer has taken nothing for the timeout, or at the deadline.
func (p *progressConn) Write(b []byte) (n int, err error) {
	for {
		p.begin()
		var taken int
		taken, err = p.Conn.Write(b[n:])
		n += taken
		// If deadline has passed, the next turn takes nothing and returns.
		if n == len(b) || taken == 0 && !p.isLate() || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// begin starts the timeout again.
func (p *progressConn) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timeout > 0 {
		p.begun = time.Now()
		p.bound()
	}
}

// isLate reports whether the timeout fired much later than it was due. Then the process or the
// machine stalled, and progress of the peer would have gone unnoticed.
func (p *progressConn) isLate() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.timeout > 0 && p.deadline.IsZero() && time.Since(p.begun) > p.timeout+standstill
}

// bound sets the earlier of the deadline and the end of the timeout. The caller holds mu.
func (p *progressConn) bound() error {
	t := p.deadline
	if end := time.Now().Add(p.timeout); p.timeout > 0 && (t.IsZero() || end.Before(t)) {
		t = end
	}
	return p.Conn.SetWriteDeadline(t)
}

// A tlsConn is TLS over TCP. It is not a syscall.Conn: only TLS may write to the socket.
type tlsConn struct {
	*tls.Conn
	below  *progressConn
	socket *proxiedConn
}

// SetWriteTimeout is that of progressConn.
func (c *tlsConn) SetWriteTimeout(d time.Duration) { c.below.SetWriteTimeout(d) }

// Socket returns the socket below TLS, which its user may only query.
func (c *tlsConn) Socket() *net.TCPConn { return c.socket.TCPConn }

// CloseWrite ends the sending direction: TLS sends close_notify, then TCP sends FIN.
func (c *tlsConn) CloseWrite() error {
	return errors.Join(c.Conn.CloseWrite(), c.socket.CloseWrite())
}

// Close closes the socket at once. It sends no close_notify, which could block.
func (c *tlsConn) Close() error { return c.socket.Close() }
