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

const (
	// leaveTime is how long leaveToSuccessor waits until what has arrived is accepted.
	leaveTime = time.Second
	// halfOpenTime is how long the last packet of a TCP handshake in progress may take. The
	// kernel does not say how many there are.
	halfOpenTime = 200 * time.Millisecond
)

// leaveToSuccessor makes a socket receive no further connections, and returns when those that it
// has are accepted: closing it would reset them. A filter drops the first packet of a connection
// (with SYN, without ACK) from then on, so a peer that connects meanwhile tries again, and finds
// the successor. A handshake in progress continues:
//
//	0 ms      the filter is attached: no further handshake begins at this socket
//	200 ms    those in progress are complete, and wait to be accepted
//	…         the accept loop takes them; at 1.2 s at the latest the socket is closed
func leaveToSuccessor(l net.Listener) {
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return
	}
	const flagsAt, syn, ack, all = 13, 0x02, 0x10, 1<<32 - 1
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flagsAt},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K}, // keep 0 bytes
		{Code: unix.BPF_RET | unix.BPF_K, K: all},
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	})
	time.Sleep(halfOpenTime)
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
