package proxy

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/tenant"
)

// A fullWindow is a kernel whose peer leaves everything unread, unless it reads.
type fullWindow struct {
	silentKernel
	session *session
	reads   atomic.Bool
}

func (k *fullWindow) window() (int, time.Duration, bool) {
	const room = 16 << 20
	if k.reads.Load() {
		return room, 0, true
	}
	written, _ := k.session.seat.Written()
	return room - int(written), 0, true
}

// What is due to a peer that leaves much unread stays in the log. It gets all of it once it
// reads.
func TestUnreadKeepsTheRestInTheLog(t *testing.T) {
	const pdus, size = 4000, 1024
	l := testLimits()
	l.LagSoft = 0
	served, addr, _ := serve(t, l)
	peer, far := loopback(t)
	setPaced(t, far)
	s := newSession(served, far, func(bool) {})
	kernel := &fullWindow{session: s}
	s.kernel = kernel
	if err := served.enter(s); err != nil {
		t.Fatal(err)
	}
	read := make(chan int64)
	go func() {
		n, _ := io.CopyN(io.Discard, peer, pdus*size)
		read <- n
	}()
	speaker := dial(t, addr)
	m := message(others, 1, string(make([]byte, size-16)))
	for range pdus {
		speaker.say(m)
	}
	speaker.settle()
	if lag := s.seat.Lag(); lag < pdus*size/2 {
		t.Errorf("%d of %d bytes are in the log, want most of them", lag, pdus*size)
	}
	kernel.reads.Store(true)
	select {
	case n := <-read:
		if n != pdus*size {
			t.Errorf("the peer got %d bytes, want %d", n, pdus*size)
		}
	case <-time.After(generous):
		t.Error("the peer does not get the rest")
	}
	hubtest.Conserved(t, served.Hub())
}

// A connection is paced if its socket says so.
func TestSocketSaysWhetherToPace(t *testing.T) {
	served, addr, _ := serve(t, testLimits())
	dial(t, addr)
	s := (*served.sessions.Load())[0]
	if s.output.pacer != nil {
		t.Error("paced, want as its socket says")
	}
	setPaced(t, s.conn.(*net.TCPConn))
	if !s.raw.paced() {
		t.Error("not paced")
	}
	for _, limited := range []bool{false, true} {
		if s.kernel.limitUnsent(limited); s.raw.paced() != limited {
			t.Errorf("the socket has the limit: %v, want %v", !limited, limited)
		}
	}
}

// setPaced does what a listener does that paces.
func setPaced(t *testing.T, conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, tenant.PacedUnsent)
	})
	if err != nil {
		t.Fatal(err)
	}
}
