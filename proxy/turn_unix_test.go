//go:build unix

package proxy

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Who writes to a socket, and who takes over: windows so short that only a hook in the
// connection reaches them each time.

// A hooked connection calls whenIdle each time its write deadline is removed, which a
// goroutine that catches up does last, and whenWritten before each write without
// waiting.
type hooked struct {
	*net.TCPConn
	whenIdle, whenWritten func()
}

func (h *hooked) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		h.whenIdle()
	}
	return h.TCPConn.SetWriteDeadline(t)
}

func (h *hooked) SyscallConn() (syscall.RawConn, error) {
	raw, err := h.TCPConn.SyscallConn()
	return hookedRaw{raw, h}, err
}

type hookedRaw struct {
	syscall.RawConn
	conn *hooked
}

func (r hookedRaw) Write(f func(fd uintptr) bool) error {
	r.conn.whenWritten()
	return r.RawConn.Write(f)
}

// hook has the tenant serve a hooked connection, and returns what its peer has of it.
func hook(t *testing.T, tenant *Tenant, h *hooked) client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	h.TCPConn = far.(*net.TCPConn)
	join(tenant, h)
	return client{t, conn.(*net.TCPConn)}
}

// What is appended after a goroutine that catches up has looked last, and before it
// gives back the right to write, is written by it.
func TestNothingIsMissedWhileCatchingUpEnds(t *testing.T) {
	tenant, _, _ := serve(t, testLimits())
	tenant.stopBeat() // which would have it written a second later
	speaker := tenant.hub.Join(voice{})
	last := message(others, 2, "said in between")
	var once atomic.Bool
	peer := hook(t, tenant, &hooked{whenWritten: func() {}, whenIdle: func() {
		if once.CompareAndSwap(false, true) {
			tenant.hub.Handle(speaker, last)
			tenant.flush.request()
		}
	}})
	big := message(others, 1, strings.Repeat("x", 1<<20-100))
	const n = 8 // more than sockets hold
	for range n {
		tenant.hub.Handle(speaker, big)
	}
	tenant.flush.request()
	peer.expect(bytes.Repeat(big, n))
	peer.expect(last)
	if !once.Load() {
		t.Error("nobody had to catch up: the test shows nothing")
	}
}

// A turn of flushing ends for who has it after some passes, and is taken over.
func TestALastingTurnIsTakenOver(t *testing.T) {
	tenant, _, _ := serve(t, testLimits())
	speaker := tenant.hub.Join(voice{})
	const n = 3 * turn
	var want []byte
	for i := range n + 1 {
		want = append(want, message(others, uint16(i), "")...)
	}
	said := 0 // by whoever has the turn
	say := func() {
		m := message(others, uint16(said), "")
		said++
		tenant.hub.Handle(speaker, m)
		tenant.flush.request()
	}
	returned := make(chan struct{})
	peer := hook(t, tenant, &hooked{whenIdle: func() {}, whenWritten: func() {
		if said > n {
			return
		}
		if said > turn { // a further pass
			select {
			case <-returned:
			case <-time.After(10 * time.Second):
				t.Error("who began goes on for ever")
			}
		}
		say()
	}})
	say()
	close(returned)
	peer.expect(want)
	sums(t, tenant)
}
