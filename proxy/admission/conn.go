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

// An announced connection is TCP's with what a proxy said about it. It still is a
// socket, which can be written to without waiting.
type announced struct {
	*net.TCPConn
	peer netip.AddrPort // valid if it is not the socket's

	// Owned by the reader.
	early []byte // what was read behind the header
	heard bool   // something was read
}

func (a *announced) RemoteAddr() net.Addr {
	if a.peer.IsValid() {
		return net.TCPAddrFromAddrPort(a.peer)
	}
	return a.TCPConn.RemoteAddr()
}

func (a *announced) Read(p []byte) (n int, err error) {
	if len(a.early) > 0 {
		n = copy(p, a.early)
		if a.early = a.early[n:]; len(a.early) == 0 {
			a.early = nil // the buffer is no longer needed
		}
	} else {
		n, err = a.TCPConn.Read(p)
	}
	a.heard = a.heard || n > 0
	return n, err
}

// WriteTo is there since the socket's own would not write what is early.
func (a *announced) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{a})
}

// A patient connection is what TLS writes to. crypto/tls gives a connection up for
// good if a write deadline expires in the middle of a record, even if the peer takes
// bytes all the time. So what is bounded here is the time without progress: each Write
// has the whole timeout, and has it again whenever the peer took something. A deadline
// is one, as ever, and stops a Write under way; so does Close.
type patient struct {
	net.Conn

	mu       sync.Mutex    // guards the rest, and the write deadline of Conn
	timeout  time.Duration // 0: any time, and Conn has the deadline that was set last
	deadline time.Time     // or zero
}

// SetWriteTimeout has each Write fail with os.ErrDeadlineExceeded once the peer has
// taken nothing for d; 0 is any time.
func (p *patient) SetWriteTimeout(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timeout != d {
		p.timeout = d
		p.bound()
	}
}

// SetWriteDeadline has Write fail at t, whatever the peer takes until then. crypto/tls
// sets deadlines for its own goodbye.
func (p *patient) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return p.bound()
}

// SetDeadline sets both deadlines.
func (p *patient) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

func (p *patient) Write(b []byte) (n int, err error) {
	for {
		p.begin()
		var taken int
		taken, err = p.Conn.Write(b[n:])
		n += taken
		// A deadline that is over makes the next turn take nothing.
		if n == len(b) || taken == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// begin gives the next write the whole timeout.
func (p *patient) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timeout > 0 {
		p.bound()
	}
}

// bound sets the deadline that is nearest. The caller holds mu.
func (p *patient) bound() error {
	t := p.deadline
	if end := time.Now().Add(p.timeout); p.timeout > 0 && (t.IsZero() || end.Before(t)) {
		t = end
	}
	return p.Conn.SetWriteDeadline(t)
}

// A secured connection is TLS over TCP. It is no syscall.Conn: nobody but TLS writes to
// that socket.
type secured struct {
	*tls.Conn
	below  *patient
	socket *announced
}

// SetWriteTimeout bounds how long the peer may take nothing; see patient.
func (s *secured) SetWriteTimeout(d time.Duration) { s.below.SetWriteTimeout(d) }

// CloseWrite says goodbye, in TLS and in TCP.
func (s *secured) CloseWrite() error {
	return errors.Join(s.Conn.CloseWrite(), s.socket.CloseWrite())
}

// Close closes at once and says no goodbye, which might have to wait for the peer.
func (s *secured) Close() error { return s.socket.Close() }
