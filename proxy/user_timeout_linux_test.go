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
	eventually(t, "the peer is connected", func() bool { return tenant.Hub().Counts().Sessions == 2 })
	for range 20 {
		sender.say(message(others, 1, strings.Repeat("x", 1<<19)))
	}
	eventually(t, "the peer is closed", func() bool { return tenant.Hub().Counts().Sessions == 1 })
	eventually(t, "the log says why", func() bool {
		return lines.Has("session closed", "reason=write-timeout") || lines.Has("session closed", "reason=peer-reset", "connection timed out")
	})
	sender.settle()
	if c := tenant.Hub().Counts(); c.Discarded[hub.WriteTimeout]+c.Discarded[hub.PeerReset] == 0 {
		t.Errorf("discarded: %v", c.Discarded)
	}
}
