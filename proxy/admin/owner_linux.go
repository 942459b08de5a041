package admin

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// owner returns the user that opened a connection to the socket, and what the log adds to that:
// its process.
func owner(conn *net.UnixConn) (user, process string) {
	user = "user unknown"
	raw, err := conn.SyscallConn()
	if err != nil {
		return user, ""
	}
	raw.Control(func(fd uintptr) {
		if who, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			user, process = fmt.Sprintf("user %d", who.Uid), fmt.Sprintf(", process %d", who.Pid)
		}
	})
	return user, process
}
