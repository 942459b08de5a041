//go:build unix

package proxy

import (
	"net"

	"golang.org/x/sys/unix"
)

// sendUrgent sends one byte of urgent data, if the connection still exists.
func sendUrgent(conn *net.TCPConn) {
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.Send(int(fd), []byte{'!'}, unix.MSG_OOB) })
	}
}
