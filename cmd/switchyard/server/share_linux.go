package server

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listenShared listens at an address that others have already, or that includes theirs. A socket
// allows that only if all of them have SO_REUSEPORT at that moment; they have it no longer
// afterwards, as it would let other processes take a share as well.
func listenShared(address string, others []net.Listener) (net.Listener, error) {
	share := func(raw syscall.RawConn, on int) {
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, on) })
	}
	for _, other := range others {
		if raw, err := other.(*net.TCPListener).SyscallConn(); err == nil {
			share(raw, 1)
			defer share(raw, 0)
		}
	}
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		share(raw, 1)
		return nil
	}}
	l, err := c.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	if raw, err := l.(*net.TCPListener).SyscallConn(); err == nil {
		share(raw, 0)
	}
	return l, nil
}

// leaveTime is how long leaveToSuccessor waits until what has arrived is accepted.
const leaveTime = time.Second

// leaveToSuccessor makes a socket receive no further connections, and returns when those that it
// has are accepted: closing it would reset them. A filter drops what arrives from then on, so a
// peer that connects meanwhile tries again, and finds the successor.
func leaveToSuccessor(l net.Listener) {
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}} // keep 0 bytes
	raw.Control(func(fd uintptr) {
		unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	})
	waiting := func() (n uint32) {
		raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				n = info.Unacked // of a listening socket: connections that are not accepted
			}
		})
		return n
	}
	for end := time.Now().Add(leaveTime); waiting() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}
