//go:build unix

package proxy

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func sendUrgent(t *testing.T, conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.Send(int(fd), []byte{'!'}, unix.MSG_OOB) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
