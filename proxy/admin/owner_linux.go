package admin

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// owner returns the user and the process that opened a connection to the socket, for the log.
func owner(conn *net.UnixConn) string {
	raw, err := conn.SyscallConn()
	if err != nil {
		return "user unknown"
	}
	text := "user unknown"
	raw.Control(func(fd uintptr) {
		if who, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			text = fmt.Sprintf("user %d, process %d", who.Uid, who.Pid)
		}
	})
	return text
}
