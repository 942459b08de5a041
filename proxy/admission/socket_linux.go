package admission

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// setUserTimeout bounds how long sent data may stay unacknowledged. Keepalive probes are
// not sent while data is unacknowledged, so they do not notice a peer that vanished then. The
// kernel counts the time in which the peer's window is smaller than the next segment too, even if
// the peer answers; most such peers are closed for WriteTimeout before.
func setUserTimeout(conn *net.TCPConn, d time.Duration) {
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
	}
}

// setUnsentLimit bounds the data that the kernel accepts without having sent it.
func setUnsentLimit(conn *net.TCPConn, bytes int) {
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
		})
	}
}

// setCongestionControl ignores errors, since CheckCongestionControl has tried the name
// before. The system's congestion control stays then.
func setCongestionControl(conn *net.TCPConn, name string) {
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
		})
	}
}

// CheckCongestionControl checks that the kernel lets this process use the congestion
// control of that name.
func CheckCongestionControl(name string) error {
	if name == "" {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("try the congestion control %q: %w", name, err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, name); err != nil {
		const list = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"
		there, _ := os.ReadFile(list)
		return fmt.Errorf("the kernel gives no congestion control %q: %w; write one that %s names (%s), or \"\" for the system's",
			name, err, list, strings.Join(strings.Fields(string(there)), ", "))
	}
	return nil
}
