package proxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// Tests of connections that have a writeLoop, as TLS connections do.

// secure returns the configuration of a server with a self-signed certificate, and of
// clients that do not verify it.
func secure(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{InsecureSkipVerify: true}
}

// dialTLS makes a TLS connection a peer of the tenant, and returns the remote end.
func dialTLS(t *testing.T, tenant *Tenant) *tls.Conn {
	t.Helper()
	server, peer := secure(t)
	near, far := loopback(t)
	join(tenant, tls.Server(far, server))
	c := tls.Client(near, peer)
	c.SetDeadline(time.Now().Add(generous))
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

// Over TLS everything arrives in order, and so does the end.
func TestTLS(t *testing.T) {
	tenant, addr, _ := serve(t, patient(testLimits()))
	a, b, secret := dial(t, addr), dial(t, addr), dialTLS(t, tenant)
	var sent []byte
	for i := range 300 {
		sent = append(sent, message(others, uint16(i), strings.Repeat("z", i*37))...)
	}
	a.say(sent)
	b.expect(sent)
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(secret, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes arrived over TLS that are not the %d sent (%v)", len(got), len(sent), err)
	}
	if _, err := secret.Write(sent); err != nil {
		t.Fatal(err)
	}
	a.expect(sent)
	b.expect(sent)
	last := message(everyone, 1, "last words")
	secret.Write(slices.Concat(last, message(goAway, 0, "")))
	if got, err := io.ReadAll(secret); err != nil || !bytes.Equal(got, last) {
		t.Errorf("got %q (%v), want the last words and an orderly end", got, err)
	}
	secret.NetConn().Close()
	eventually(t, "the session ends", func() bool { return tenant.Hub().Counts().Sessions == 2 })
	hubtest.Conserved(t, tenant.Hub())
}

// A TLS peer that never reads delays no other peer, and is closed at once when it lags
// too much, without waiting for TLS's closing message.
func TestTLSSlowConsumer(t *testing.T) {
	l := patient(testLimits())
	l.LagHard = 8 << 20
	tenant, addr, lines := serve(t, l)
	a, b := dial(t, addr), dial(t, addr)
	dialTLS(t, tenant)
	for n := 0; tenant.Hub().Counts().Sessions == 3; n++ {
		if n > 2000 {
			t.Fatal("120 MB sent and the peer that does not read is still there")
		}
		a.say(large)
		b.expect(large)
	}
	expectLine(t, lines, "reason=slow-consumer")
	eventually(t, "it is counted", func() bool { return tenant.Hub().Counts().Discarded[hub.SlowConsumer] > 0 })
	a.settle()
	hubtest.Conserved(t, tenant.Hub())
}

// A scripted connection records its writes. Its reads come from a pipe.
type scripted struct {
	net.Conn
	write func(p []byte) (int, error)

	mu        sync.Mutex // guards what follows
	deadlines int
	timeouts  []time.Duration
}

func (s *scripted) Write(p []byte) (int, error) { return s.write(p) }

func (s *scripted) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadlines++
	return s.Conn.SetWriteDeadline(t)
}

// A bounded connection is a boundedWriter.
type bounded struct{ scripted }

func (b *bounded) SetWriteTimeout(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timeouts = append(b.timeouts, d)
}

// Many small PDUs become one write, and a large one few, however they became due.
func TestWritesAreFlat(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		_, far := net.Pipe()
		block, got, sizes := make(chan struct{}), []byte(nil), []int(nil)
		join(y.Tenant, &scripted{Conn: far, write: func(p []byte) (int, error) {
			<-block
			got, sizes = append(got, p...), append(sizes, len(p))
			return len(p), nil
		}})
		a := y.enter()
		var sent []byte
		send := func(p []byte) {
			a.Write(p)
			sent = append(sent, p...)
			synctest.Wait()
		}
		send(message(others, 0, "is being written")) // while all others become due
		for i := range 100 {
			send(message(others, uint16(i), "small"))
			y.Hub().Send((*y.sessions.Load())[0].seat, heartbeat) // an edit, so a piece of its own
			sent = append(sent, heartbeat...)
		}
		send(message(others, 0, string(make([]byte, 300_000))))
		close(block)
		synctest.Wait()
		if !bytes.Equal(got, sent) {
			y.Errorf("%d bytes were written that are not the %d sent", len(got), len(sent))
		}
		if len(sizes) > 1+1+6 || slices.Max(sizes) > flatBytes {
			y.Errorf("writes of %v bytes, want few, of %d at most", sizes, flatBytes)
		}
	})
}

// A boundedWriter gets the write timeout and no deadline, and is not written to after it
// gave up, even if it had taken a part.
func TestBoundedWriter(t *testing.T) {
	l := testLimits()
	inBubble(t, l, func(y bubble) {
		_, far := net.Pipe()
		writes := 0
		conn := &bounded{scripted{Conn: far, write: func(p []byte) (int, error) {
			if writes++; writes < 3 {
				return len(p), nil
			}
			return 5, os.ErrDeadlineExceeded
		}}}
		join(y.Tenant, conn)
		a := y.enter()
		m := message(others, 1, "0123456789")
		for i := range 5 {
			a.Write(m)
			synctest.Wait()
			if i == 0 {
				l.WriteTimeout = time.Minute
				y.SetLimits(l)
			}
		}
		expectReason(y, "write-timeout")
		if want := []time.Duration{20 * time.Second, time.Minute, time.Minute}; writes != 3 || conn.deadlines != 0 || !slices.Equal(conn.timeouts, want) {
			y.Errorf("%d writes, %d deadlines, timeouts %v; want 3, 0, %v", writes, conn.deadlines, conn.timeouts, want)
		}
		y.expectCounts("two were delivered", func(c hub.Counts) bool { return c.Delivered == 2 && c.Discarded[hub.WriteTimeout] > 0 })
	})
}

// A connection whose writes fail is not written to again, and what is due to it is
// passed over. What its peer sends is still read.
func TestBrokenWriter(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		peer, far := net.Pipe()
		writes := 0
		join(y.Tenant, &scripted{Conn: far, write: func(p []byte) (int, error) {
			writes++
			return 0, errors.New("broken")
		}})
		a, received := listen(y.Tenant)
		for range 100 {
			a.Write(large)
		}
		synctest.Wait()
		if got := y.Hub().Memory(); writes != 1 || got > 1<<20 {
			y.Errorf("%d writes, and the logs take %d bytes for a connection that is broken", writes, got)
		}
		peer.Write(message(others, 1, "still read"))
		peer.Close()
		synctest.Wait()
		a.Close()
		if got := <-received; len(got) < 2 || got[0].what != "other" {
			y.Errorf("received %v", got)
		}
	})
}

// A wrapped connection contains another one, as a TLS connection does. Its Close may
// wait, so abort closes the inner one.
type wrapped struct {
	net.Conn
	closed chan struct{}
}

func (w wrapped) NetConn() net.Conn { return w.Conn }

func (w wrapped) Close() error {
	<-w.closed
	return w.Conn.Close()
}

// A halfCloser records that its sending side was closed, for which TLS sends a message.
type halfCloser struct {
	net.Conn
	closed chan struct{}
}

func (p halfCloser) CloseWrite() error {
	close(p.closed)
	return nil
}

// A peer that closed its sending side first receives the closing message as well.
func TestCloseWriteIsAnswered(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		peer, far := net.Pipe()
		conn := halfCloser{far, make(chan struct{})}
		join(y.Tenant, conn)
		peer.Write(message(others, 1, ""))
		peer.Close()
		synctest.Wait()
		select {
		case <-conn.closed:
		default:
			y.Error("the peer closed first, and the connection was closed without its closing message")
		}
		expectReason(y, "peer-closed")
	})
}

func TestAbortDoesNotWait(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		peer, far := net.Pipe()
		conn := wrapped{far, make(chan struct{})}
		join(y.Tenant, conn)
		s := (*y.sessions.Load())[0]
		s.Close(hub.SlowConsumer)
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			y.Errorf("got %v, want the end", err)
		}
		close(conn.closed)
		<-s.done
	})
}
