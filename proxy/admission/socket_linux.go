package admission

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"switchyard/proxy"
)

const (
	userTimeout       = 30 * time.Second // within this a dead peer is noticed, like keepAlive
	afterWriteTimeout = 10 * time.Second // but not before the tenant closes a peer that takes nothing
)

// setSocketOptions sets the options of an accepted connection for which Go has no methods. It ignores
// errors: the system's values stay then.
//
//	TCP_USER_TIMEOUT    bounds how long sent data may stay unacknowledged. Keepalive probes are not
//	                    sent while data is unacknowledged, so they do not notice a peer that vanished
//	                    then. The kernel counts the time in which the peer's window is smaller than
//	                    the next segment too, even if the peer answers.
//	TCP_CONGESTION      as CheckCongestionControl has tried it before
//	TCP_NOTSENT_LOWAT   see proxy.PacedMark
func setSocketOptions(conn *net.TCPConn, o *Options) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(descriptor uintptr) {
		fd := int(descriptor)
		timeout := max(userTimeout, o.WriteTimeout+afterWriteTimeout)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds()))
		if o.CongestionControl != "" {
			unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, o.CongestionControl)
		}
		if o.Pacing && o.TLS == nil {
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, proxy.PacedMark)
		}
	})
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
