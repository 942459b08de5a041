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

	"switchyard/proxy/hub/hubtest"
)

// How the right to write is passed on. The moments are so short that only a hook in the
// connection can hit them every time.

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

// hook makes a hooked connection a peer of the tenant, and returns the remote end.
func hook(t *testing.T, tenant *Tenant, h *hooked) client {
	t.Helper()
	near, far := loopback(t)
	h.TCPConn = far
	join(tenant, h)
	return client{t, near}
}

// catchUp writes what is appended after its last look and before it gives back the right
// to write.
func TestNothingIsMissedWhileCatchingUpEnds(t *testing.T) {
	tenant, _, _ := serve(t, patient(testLimits()))
	tenant.stopTick() // a tick would write it a second later
	speaker := hubtest.Join(tenant.hub)
	last := message(others, 2, "sent in between")
	var once atomic.Bool
	peer := hook(t, tenant, &hooked{whenWritten: func() {}, whenIdle: func() {
		if once.CompareAndSwap(false, true) {
			tenant.hub.Handle(speaker.Seat, last)
			tenant.flush.request()
		}
	}})
	big := message(others, 1, strings.Repeat("x", 1<<20-100))
	const n = 8 // more than the sockets' buffers hold
	for range n {
		tenant.hub.Handle(speaker.Seat, big)
	}
	tenant.flush.request()
	peer.expect(bytes.Repeat(big, n))
	peer.expect(last)
	if !once.Load() {
		t.Error("no goroutine caught up, so this test tests nothing")
	}
}

// A turn of the flusher that takes too many passes is relayed to run.
func TestALongTurnIsRelayed(t *testing.T) {
	tenant, _, _ := serve(t, patient(testLimits()))
	speaker := hubtest.Join(tenant.hub)
	const n = 3 * passesPerTurn
	var want []byte
	for i := range n + 1 {
		want = append(want, message(others, uint16(i), "")...)
	}
	next := 0 // owned by the goroutine that has the turn
	say := func() {
		m := message(others, uint16(next), "")
		next++
		tenant.hub.Handle(speaker.Seat, m)
		tenant.flush.request()
	}
	returned := make(chan struct{})
	peer := hook(t, tenant, &hooked{whenIdle: func() {}, whenWritten: func() {
		if next > n {
			return
		}
		if next > passesPerTurn { // a further pass
			select {
			case <-returned:
			case <-time.After(generous):
				t.Error("the first goroutine still has the turn")
			}
		}
		say()
	}})
	say()
	close(returned)
	peer.expect(want)
	hubtest.Conserved(t, tenant.Hub())
}
