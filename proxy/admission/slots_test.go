package admission

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/proxy/certificate"
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
	time.Sleep(2 * time.Millisecond) // the work of a handshake; decides nothing if all is right
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

// A client may send 32 KiB in its handshake: neither a longer ClientHello nor a longer chain is taken.
func TestLongHandshake(t *testing.T) {
	clients := authority.New(t, "clients")
	h := open(t, mutual(t, clients))
	conn := h.dial()
	record := append([]byte{0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff}, make([]byte, 16<<10-4)...)
	for range 3 {
		conn.Write(record) // fails once it is refused
	}
	h.refuses(map[Reason]uint64{tlsFailed + certificate.ReasonBadCertificate: 1})
	h.logs("use a smaller client certificate or chain")

	shown := clients.Client("somebody").TLS()
	other := clients.Client("another", "spiffe://example.org/"+strings.Repeat("a", 1000)).X509.Raw
	for size := 0; size < 20<<10; size += len(other) {
		shown.Certificate = append(shown.Certificate, other)
	}
	if _, err := handshake(t, h.dial(), "", shown); err != nil {
		t.Errorf("a chain of 20 KiB: %v", err)
	}
	h.serves("main")
	shown.Certificate = slices.Concat(shown.Certificate, shown.Certificate)
	handshake(t, h.dial(), "", shown) // with TLS 1.3, the client is done before the server
	h.refuses(map[Reason]uint64{tlsFailed + certificate.ReasonBadCertificate: 2})
}

// The keys in a client's chain are limited, because trying each of them takes time.
func TestLargeKeysInTheChain(t *testing.T) {
	clients := authority.New(t, "clients")
	h := open(t, mutual(t, clients))
	odd := make([]byte, 8192/8)
	odd[0], odd[len(odd)-1] = 0x80, 1
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}}
	large, err := x509.CreateCertificate(rand.Reader, template, template, &rsa.PublicKey{N: new(big.Int).SetBytes(odd), E: 65537}, key)
	if err != nil {
		t.Fatal(err)
	}
	shown := clients.Client("somebody").TLS()
	shown.Certificate = append(shown.Certificate, large)
	handshake(t, h.dial(), "", shown) // with TLS 1.3, the client is done before the server
	h.refuses(map[Reason]uint64{tlsFailed + certificate.ReasonBadCertificate: 1})
	h.logs("larger than 4096 bits")
}
