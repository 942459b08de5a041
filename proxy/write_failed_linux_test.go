package proxy

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard/proxy/hub"
)

// If the kernel gives a peer up that takes nothing, the log says so. The kernel tells it either the
// writer, and the reason is the same as if the tenant had given up, or the reader.
func TestKernelGivesUp(t *testing.T) {
	tenant, addr, lines := serve(t, patient(testLimits()))
	sender := dial(t, addr)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	stalled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	stalled.(*net.TCPConn).SetReadBuffer(4 << 10)
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := accepted.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 100)
	})
	if err != nil {
		t.Fatal(err)
	}
	join(tenant, accepted)
	stalled.Write(heartbeat) // with which it is a session, whose end is logged
	expectLine(t, lines, "session=2")
	for range 20 {
		sender.say(message(others, 1, strings.Repeat("x", 1<<19)))
	}
	eventually(t, "the peer is closed", func() bool { return tenant.Hub().Counts().Sessions == 1 })
	eventually(t, "the log says why", func() bool {
		return lines.Has("session closed", "reason=write-timeout") || lines.Has("session closed", "reason=peer-reset", "connection timed out")
	})
	sender.settle()
	for why, copies := range tenant.Hub().Counts().Discarded {
		if why != hub.WriteTimeout && why != hub.PeerReset {
			t.Errorf("%d copies are discarded for %s", copies, why)
		}
	}
}

// If a peer resets the connection, the log says so, whether a write or the reader learns it.
func TestResetDuringWrites(t *testing.T) {
	tenant, addr, _ := serve(t, patient(testLimits()))
	sender := dial(t, addr)
	const peers = 20
	for range peers {
		peer := dial(t, addr)
		for range 4 {
			sender.say(message(others, 1, strings.Repeat("x", 1<<19)))
		}
		peer.SetLinger(0)
		peer.Close()
		eventually(t, "the peer has left", func() bool { return tenant.Hub().Counts().Sessions == 1 })
		sender.settle()
	}
	eventually(t, "the sessions are closed", func() bool {
		closed := tenant.Hub().Counts().Closed
		return hub.Sum(closed) == peers
	})
	if closed := tenant.Hub().Counts().Closed; closed[hub.PeerReset] != peers {
		t.Errorf("closed: %v, want all of them for %s", closed, hub.PeerReset)
	}
}
