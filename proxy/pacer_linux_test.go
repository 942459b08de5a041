package proxy

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"switchyard/proxy/hub/hubtest"
)

// A fullWindow is a kernel whose peer leaves everything unread, unless it reads.
type fullWindow struct {
	silentKernel
	session *session
	reads   atomic.Bool
}

func (k *fullWindow) progress() (progress, bool) {
	const room = 16 << 20
	written := uint64(0)
	if k.session.seat != nil {
		written, _ = k.session.seat.Written()
	}
	at := progress{written: written, acknowledged: written, accepted: room}
	if k.reads.Load() {
		at.accepted += written
	}
	return at, true
}

// What is due to a peer that leaves much unread stays in the log. It gets all of it once it
// reads, and is paced no more.
func TestUnreadKeepsTheRestInTheLog(t *testing.T) {
	const pdus, size = 8000, 1024
	l := patient(testLimits())
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

// A peer that reads, however little, is not ended after the write timeout, and one that reads nothing is.
func TestPausedSessionOfASlowReader(t *testing.T) {
	l := patient(testLimits())
	l.WriteTimeout = time.Nanosecond
	served, _, _ := serve(t, l)
	_, far := loopback(t)
	setPaced(t, far)
	s := newSession(served, far, func(bool) {})
	if err := served.enter(s); err != nil {
		t.Fatal(err)
	}
	s.output.right.Lock()
	defer s.output.right.Unlock()
	p, held := &s.output.pacer.probing, heldBack{}
	p.active, p.behind = true, true
	for range 100 {
		p.last.accepted++
		if s.holdBack(0, &held); s.output.broken.Load() {
			t.Fatal("the session ends although its peer reads")
		}
	}
	for deadline := time.Now().Add(generous); !s.output.broken.Load(); s.holdBack(0, &held) {
		if time.Now().After(deadline) {
			t.Fatal("the session does not end although its peer reads nothing")
		}
	}
}

// The kernel's counters of bytes go wrong when this machine drops a segment. What was written and
// acknowledged is equal all the same when nothing is in flight.
func TestProgressAfterLocalDrops(t *testing.T) {
	for i, c := range []struct {
		info unix.TCPInfo
		want progress
	}{
		{unix.TCPInfo{Bytes_sent: 5000, Bytes_acked: 3000, Unacked: 2, Snd_wnd: 9000}, progress{5000, 3000, 12000}},
		{unix.TCPInfo{Bytes_sent: 6000, Bytes_retrans: 1000, Bytes_acked: 3000, Unacked: 2, Notsent_bytes: 10}, progress{5010, 3000, 3000}},
		{unix.TCPInfo{Bytes_sent: 6000, Bytes_acked: 5000, Snd_wnd: 9000}, progress{5000, 5000, 14000}},                        // a segment counts twice
		{unix.TCPInfo{Bytes_sent: 5000, Bytes_retrans: 1000, Bytes_acked: 5000, Notsent_bytes: 7}, progress{5007, 5000, 5000}}, // one counts as retransmitted that was not sent
		{unix.TCPInfo{Bytes_sent: 5000, Bytes_retrans: 1000, Bytes_acked: 4500, Unacked: 1}, progress{4501, 4500, 4500}},
	} {
		if got := progressOf(&c.info); got != c.want {
			t.Errorf("case %d: got %v, want %v", i, got, c.want)
		}
	}
}

// A connection is paced if its socket says so. Once the pace is lifted, the socket says that too,
// for a process that takes over the connection.
func TestSocketSaysWhetherToPace(t *testing.T) {
	served, _, _ := serve(t, patient(testLimits()))
	for _, paced := range []bool{false, true} {
		_, far := loopback(t)
		if paced {
			setPaced(t, far)
		}
		s := newSession(served, far, func(bool) {})
		if err := served.enter(s); err != nil {
			t.Fatal(err)
		}
		p := s.output.pacer
		if (p != nil) != paced {
			t.Fatalf("paced: %v, want %v", p != nil, paced)
		}
		if !paced {
			continue
		}
		p.trust = fullTrust - 1
		if p.wasInTime(true); s.raw.paced() {
			t.Error("the socket says to pace, although the pace was lifted")
		}
	}
}

// A paced connection is paced after a handover too, although its window is closed at that moment.
func TestClosedWindowIsPacedAfterAHandover(t *testing.T) {
	l := startLine(&line{t: t, limits: patient(testLimits()), wrap: func(conn *net.TCPConn) net.Conn {
		setPaced(t, conn)
		return conn
	}})
	small := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
		return err
	}}
	conn, err := small.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer := client{t, conn.(*net.TCPConn)}
	peer.settle()
	speaker := dial(t, l.addr)
	said := bytes.Repeat(message(others, 1, string(make([]byte, 50))), 2000)
	speaker.say(said)
	session := func() *session { return (*l.now.sessions.Load())[0] }
	eventually(t, "the window is closed", func() bool { return !reportsWindow(session().kernel) })
	for range 2 {
		if l.handOver(); session().output.pacer == nil {
			t.Fatal("it is not paced")
		}
	}
	peer.expect(said)
}

// setPaced does what a listener does that paces.
func setPaced(t *testing.T, conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, PacedMark)
	})
	if err != nil {
		t.Fatal(err)
	}
}
