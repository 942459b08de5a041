package admission

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// timeout is the write timeout of these tests, which run in synctest bubbles.
const timeout = 20 * time.Second

// inBubble runs a test of a progressConn, with peer at its other end. Both ends are
// closed when both functions have returned.
func inBubble(t *testing.T, peer func(far net.Conn), test func(t *testing.T, p *progressConn)) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			peer(far)
		}()
		test(t, &progressConn{Conn: near})
		near.Close()
		<-done
		far.Close()
	})
}

// takes reads some bytes several times, with a pause before each.
func takes(some int, pause time.Duration, times int) func(net.Conn) {
	return func(far net.Conn) {
		for range times {
			time.Sleep(pause)
			if _, err := io.ReadFull(far, make([]byte, some)); err != nil {
				return
			}
		}
	}
}

// outcome is the result of a Write.
type outcome struct {
	n    int
	err  error
	took time.Duration
}

func write(p *progressConn, n int) outcome {
	start := time.Now()
	n, err := p.Write(make([]byte, n))
	return outcome{n, err, time.Since(start)}
}

func (o outcome) expect(t *testing.T, n int, err error, took time.Duration) {
	t.Helper()
	if o.n != n || !errors.Is(o.err, err) || o.took != took {
		t.Errorf("wrote %d in %v (%v), want %d in %v (%v)", o.n, o.took, o.err, n, took, err)
	}
}

// A Write continues as long as the peer takes bytes.
func TestProgress(t *testing.T) {
	inBubble(t, takes(10, timeout*3/4, 10), func(t *testing.T, p *progressConn) {
		p.SetWriteTimeout(timeout)
		write(p, 100).expect(t, 100, nil, 10*timeout*3/4)
	})
}

// A Write fails when the peer takes nothing, or nothing more.
func TestNoProgress(t *testing.T) {
	inBubble(t, func(net.Conn) {}, func(t *testing.T, p *progressConn) {
		p.SetWriteTimeout(timeout)
		write(p, 100).expect(t, 0, os.ErrDeadlineExceeded, timeout)
	})
	inBubble(t, takes(10, timeout/2, 1), func(t *testing.T, p *progressConn) {
		p.SetWriteTimeout(timeout)
		write(p, 100).expect(t, 10, os.ErrDeadlineExceeded, 2*timeout)
	})
}

// Each Write has the whole timeout, since TLS splits one write into several.
func TestEachWriteHasTheTime(t *testing.T) {
	t.Parallel()
	inBubble(t, takes(10, timeout*3/4, 4), func(t *testing.T, p *progressConn) {
		p.SetWriteTimeout(timeout)
		for range 4 {
			write(p, 10).expect(t, 10, nil, timeout*3/4)
		}
	})
}

// A timeout of 0 means no timeout, even after another one.
func TestNoTimeout(t *testing.T) {
	inBubble(t, takes(10, 100*timeout, 2), func(t *testing.T, p *progressConn) {
		write(p, 10).expect(t, 10, nil, 100*timeout)
		p.SetWriteTimeout(timeout)
		write(p, 10).expect(t, 0, os.ErrDeadlineExceeded, timeout)
		p.SetWriteTimeout(0)
		write(p, 10).expect(t, 10, nil, 99*timeout)
	})
}

// Progress does not move a deadline. Of deadline and timeout, the earlier one applies.
func TestDeadline(t *testing.T) {
	for _, set := range []func(*progressConn){
		func(p *progressConn) { p.Conn.SetDeadline(time.Now().Add(2 * timeout)) }, // as during the handshake
		func(p *progressConn) { p.SetWriteDeadline(time.Now().Add(2 * timeout)) },
		func(p *progressConn) { p.SetDeadline(time.Now().Add(2 * timeout)); p.SetWriteTimeout(timeout) },
		func(p *progressConn) { p.SetWriteTimeout(timeout); p.SetDeadline(time.Now().Add(2 * timeout)) },
	} {
		inBubble(t, takes(10, timeout*3/4, 10), func(t *testing.T, p *progressConn) {
			set(p)
			write(p, 100).expect(t, 20, os.ErrDeadlineExceeded, 2*timeout)
			p.SetWriteDeadline(time.Time{})
			write(p, 10).expect(t, 10, nil, timeout/4)
		})
	}
	inBubble(t, func(net.Conn) {}, func(t *testing.T, p *progressConn) {
		p.SetWriteDeadline(time.Now().Add(10 * timeout))
		p.SetWriteTimeout(timeout)
		write(p, 10).expect(t, 0, os.ErrDeadlineExceeded, timeout)
	})
}

// A deadline in the past ends writes, both new ones and one in progress. So does Close.
func TestWriteIsStopped(t *testing.T) {
	past := func(p *progressConn) { p.SetWriteDeadline(time.Now().Add(-time.Second)) }
	inBubble(t, takes(10, timeout, 10), func(t *testing.T, p *progressConn) {
		past(p)
		write(p, 100).expect(t, 0, os.ErrDeadlineExceeded, 0)
	})
	for want, stop := range map[error]func(*progressConn){
		os.ErrDeadlineExceeded: past,
		io.ErrClosedPipe:       func(p *progressConn) { p.Close() },
	} {
		inBubble(t, takes(10, timeout*3/4, 10), func(t *testing.T, p *progressConn) {
			p.SetWriteTimeout(timeout)
			time.AfterFunc(timeout*2, func() { stop(p) })
			write(p, 100).expect(t, 20, want, timeout*2)
		})
	}
}

// dribble is a connection from which a client reads slowly.
type dribble struct {
	net.Conn
	pause time.Duration
}

func (d *dribble) Read(p []byte) (int, error) {
	time.Sleep(d.pause)
	return d.Conn.Read(p[:min(len(p), 1000)])
}

// A Write over TLS to a slow peer continues, where a bare tls.Conn would fail within a
// record. A Write to a peer that takes nothing fails.
func TestSlowPeerOfTLS(t *testing.T) {
	config := serverTLS(t)
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		below := &progressConn{Conn: near}
		server := tls.Server(below, config)
		slow := &dribble{Conn: far}
		client := tls.Client(slow, &tls.Config{InsecureSkipVerify: true})
		heard := make(chan []byte)
		text := bytes.Repeat([]byte("0123456789"), 10_000)
		go func() {
			client.Handshake()
			slow.pause = timeout * 3 / 4
			got := make([]byte, len(text))
			n, _ := io.ReadFull(client, got)
			heard <- got[:n]
		}()
		if err := server.Handshake(); err != nil {
			t.Fatal(err)
		}
		below.SetWriteTimeout(timeout)
		start := time.Now()
		if n, err := server.Write(text); n < len(text) || err != nil {
			t.Fatalf("wrote %d of %d bytes in %v: %v", n, len(text), time.Since(start), err)
		}
		if got := <-heard; !bytes.Equal(got, text) {
			t.Errorf("the client has %d bytes, want %d", len(got), len(text))
		}
		if took := time.Since(start); took < 10*timeout {
			t.Fatalf("took %v, which was not slow", took)
		}
		start = time.Now()
		if n, err := server.Write(text); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("the peer reads nothing: wrote %d bytes in %v (%v)", n, time.Since(start), err)
		}
	})
}

// counting counts the bytes that are read.
type counting struct {
	net.Conn
	read int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read += n
	return n, err
}

// secure returns both ends of a TLS connection that was handed to a tenant, and the
// connection below the client's.
func secure(t *testing.T) (client *tls.Conn, below *counting, s served) {
	t.Helper()
	h := open(t, Options{TLS: serverTLS(t), HandshakeTimeout: testTimeout})
	below = &counting{Conn: h.dial()}
	client, err := handshake(t, below, "")
	if err != nil {
		t.Fatal(err)
	}
	return client, below, h.serves("main")
}

// CloseWrite sends close_notify and FIN. The other direction stays open.
func TestCloseWriteOfTLS(t *testing.T) {
	client, below, s := secure(t)
	io.WriteString(s, "last words")
	hears(t, client, "last words")
	heard := below.read
	if err := s.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); err != nil || len(got) > 0 {
		t.Errorf("read %q (%v)", got, err)
	}
	if below.read == heard {
		t.Error("there is no close_notify: a FIN alone may be forged")
	}
	gone(t, below)
	io.WriteString(client, "answer")
	hears(t, s, "answer")
}

// Close does not block, even if the socket has no room for a close_notify, and ends a
// write that waits for room.
func TestCloseOfTLS(t *testing.T) {
	t.Parallel()
	for try := 1; closeOfTLS(t) > 4*time.Second; try++ { // crypto/tls would wait for 5 s each time, and a machine may stand still once
		if try == 3 {
			t.Fatal("every close took as long as one that blocks")
		}
	}
}

// closeOfTLS returns how long Close takes while the socket has no room.
func closeOfTLS(t *testing.T) time.Duration {
	t.Helper()
	_, _, s := secure(t)
	socket := s.Conn.(*tlsConn).socket.TCPConn
	for taken := 1; taken > 0; { // until neither end has room for a byte
		socket.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		var err error
		if taken, err = socket.Write(make([]byte, 1<<20)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("filling the socket: %v", err)
		}
	}
	socket.SetWriteDeadline(time.Time{})
	wrote := make(chan error)
	go func() {
		_, err := socket.Write([]byte("x"))
		wrote <- err
	}()
	start := time.Now()
	s.Conn.Close()
	took := time.Since(start)
	if err := <-wrote; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the write: %v", err)
	}
	return took
}

// A lateConn notices its first write deadline a minute late, as when the process stood still.
type lateConn struct {
	net.Conn
	deadline time.Time
	writes   int
}

func (c *lateConn) SetWriteDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

func (c *lateConn) Write(p []byte) (int, error) {
	c.writes++
	time.Sleep(time.Until(c.deadline))
	switch c.writes {
	case 1:
		time.Sleep(time.Minute)
		return 0, os.ErrDeadlineExceeded
	case 2:
		return len(p) - 1, os.ErrDeadlineExceeded
	}
	return 0, os.ErrDeadlineExceeded
}

// While the process stands still, the timeout does not run: the peer has it once more.
func TestWriteTimeoutAfterAStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(lateConn)
		p := &progressConn{Conn: c}
		p.SetWriteTimeout(timeout)
		write(p, 10).expect(t, 9, os.ErrDeadlineExceeded, time.Minute+3*timeout)
		if c.writes != 3 {
			t.Errorf("%d writes, want 3: the late one, one that took something, one that was in time", c.writes)
		}
	})
}
