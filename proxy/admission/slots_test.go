package admission

import (
	"crypto"
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/proxy/certificate/authority"
)

// A countingKey counts the handshakes that sign at the same time. Signing takes so long that all of
// them would meet.
type countingKey struct {
	crypto.Signer
	now, most atomic.Int32
}

func (k *countingKey) Sign(rand io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	now := k.now.Add(1)
	defer k.now.Add(-1)
	for most := k.most.Load(); now > most && !k.most.CompareAndSwap(most, now); most = k.most.Load() {
	}
	time.Sleep(2 * time.Millisecond)
	return k.Signer.Sign(rand, digest, o)
}

// Of many handshakes at once only as many compute as there are slots, and all of them succeed.
func TestHandshakesTakeTurns(t *testing.T) {
	const clients = 20
	shown := authority.New(t, "servers").Server().TLS()
	key := &countingKey{Signer: shown.PrivateKey.(crypto.Signer)}
	shown.PrivateKey = key
	h := openFrozen(t, Options{TLS: &tls.Config{Certificates: []tls.Certificate{shown}}, HandshakeTimeout: testTimeout}, State{})
	h.slots = make(slots, 2)
	h.Thaw()
	errs := make(chan error, clients)
	for range clients {
		conn := h.dial()
		go func() {
			_, err := handshake(t, conn, "")
			errs <- err
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Error(err)
		}
		h.serves("main")
	}
	if most := key.most.Load(); most > 2 {
		t.Errorf("%d handshakes computed at once, want at most 2", most)
	}
	if len(h.slots) != 0 {
		t.Errorf("%d slots are held after the last handshake", len(h.slots))
	}
}

// A handshake that waits for its client holds no slot, also while it writes.
func TestSlotIsNotHeldOutside(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &handshakeConn{Conn: near, slots: make(slots, 1)}
	if err := c.take(); err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() {
		_, err := c.Write([]byte("hello"))
		written <- err
	}()
	c.slots <- struct{}{} // which another handshake takes
	hears(t, far, "hello")
	<-c.slots
	if err := <-written; err != nil || !c.held || len(c.slots) != 1 {
		t.Errorf("after the write: error %v, the slot is held: %t", err, c.held)
	}
	c.finish()
	if len(c.slots) != 0 {
		t.Error("the slot is held after the handshake")
	}
}

// A handshake that waits for a slot ends at the timeout, and when the listener closes.
func TestWaitingForASlotEnds(t *testing.T) {
	h := openFrozen(t, Options{TLS: serverTLS(t), HandshakeTimeout: 50 * time.Millisecond}, State{})
	h.slots = make(slots) // has none
	h.Thaw()
	conn := h.dial()
	if _, err := handshake(t, conn, ""); err == nil {
		t.Error("a handshake succeeded without a slot")
	}
	h.refuses(map[Reason]uint64{HandshakeTimeout: 1})

	closing := make(chan struct{})
	close(closing)
	c := &handshakeConn{slots: make(slots), closing: closing}
	if err := c.take(); err != net.ErrClosed {
		t.Errorf("a slot of a closing listener: %v, want %v", err, net.ErrClosed)
	}
	expired := make(chan struct{})
	close(expired)
	c = &handshakeConn{slots: make(slots), expired: expired}
	if err := c.take(); err != os.ErrDeadlineExceeded {
		t.Errorf("a slot after the timeout: %v, want %v", err, os.ErrDeadlineExceeded)
	}
}
