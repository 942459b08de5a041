package admission

import (
	"errors"
	"net"
	"os"
	"runtime"
)

// Thousands of clients may send their ClientHello at once, and each handshake computes for a
// millisecond or so. With a goroutine for each, the peers of all tenants would wait for a processor
// until these are done. So handshakes take turns: a slot is held while one computes, and not while
// it waits for its client.
//
//	one slot   A ── B ─ C ──── A ─ B ─
//	A          │    waits      │
//	           ClientHello     Finished

// slots limit how many TLS handshakes compute at once. Those that wait get a slot in the order in
// which they asked.
type slots chan struct{}

// processSlots are those of the process. A processor is left for routing, if there are several.
var processSlots = make(slots, max(1, runtime.GOMAXPROCS(0)-1))

// maxHandshake is how many bytes a client may send in its handshake, which is mostly its certificate
// with the chain. TLS itself takes 256 KiB of it, keeps them in memory and tries each certificate as
// the issuer of another, for clients that are not verified yet.
const maxHandshake = 32 << 10

var errLongHandshake = errors.New("the client has sent more than 32 KiB in its handshake; use a smaller client certificate or chain")

// A handshakeConn is the connection below TLS. It bounds what the client sends in the handshake, and
// gives up its slot whenever TLS reads or writes meanwhile. What follows the handshake stays in the
// socket if there is no room for it.
type handshakeConn struct {
	net.Conn
	slots   slots
	expired <-chan struct{} // closed when the time for the handshake is over
	closing <-chan struct{} // closed when the listener closes

	// Owned by the goroutine of the handshake until that is over.
	over     bool // the handshake is over
	held     bool // the slot
	received int  // bytes
}

// NetConn returns the connection below, as that of tls.Conn does.
func (c *handshakeConn) NetConn() net.Conn { return c.Conn }

func (c *handshakeConn) Read(p []byte) (int, error) {
	if c.over {
		return c.Conn.Read(p)
	}
	left := maxHandshake - c.received
	if left == 0 {
		return 0, errLongHandshake
	}
	n, err := c.outside(c.Conn.Read, p[:min(len(p), left)])
	c.received += n
	return n, err
}

func (c *handshakeConn) Write(p []byte) (int, error) {
	if c.over {
		return c.Conn.Write(p)
	}
	return c.outside(c.Conn.Write, p)
}

// outside reads or writes without the slot, and takes one again if that succeeds.
func (c *handshakeConn) outside(transfer func([]byte) (int, error), p []byte) (int, error) {
	c.release()
	n, err := transfer(p)
	if err == nil {
		err = c.take()
	}
	return n, err
}

// take waits for a slot. It fails if the handshake is to end.
func (c *handshakeConn) take() error {
	select {
	case c.slots <- struct{}{}:
		c.held = true
		return nil
	case <-c.expired:
		return os.ErrDeadlineExceeded
	case <-c.closing:
		return net.ErrClosed
	}
}

func (c *handshakeConn) release() {
	if c.held {
		<-c.slots
		c.held = false
	}
}

// finish ends the use of slots.
func (c *handshakeConn) finish() {
	c.release()
	c.over = true
}
