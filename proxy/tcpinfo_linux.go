package proxy

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"switchyard/proxy/tenant"
)

// A peerSocket is the kernel of a TCP connection.
type peerSocket struct{ conn syscall.RawConn }

// newKernel asks the socket below conn, if there is one.
func newKernel(conn net.Conn) kernel {
	for {
		switch c := conn.(type) {
		case syscall.Conn:
			raw, err := c.SyscallConn()
			if err != nil {
				return silentKernel{}
			}
			return peerSocket{raw}
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return silentKernel{}
		}
	}
}

func (peerSocket) knows() bool { return true }

// info returns nil if the kernel does not say.
func (p peerSocket) info() (info *unix.TCPInfo) {
	p.conn.Control(func(fd uintptr) {
		if i, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			info = i
		}
	})
	return info
}

// silence of a peer whose window is closed is 0, because it cannot send.
func (p peerSocket) silence() (time.Duration, bool) {
	info := p.info()
	switch {
	case info == nil:
		return 0, false
	case info.Rcv_wnd < info.Rcv_mss && p.unread(): // Rcv_wnd is 0 before Linux 6.2
		return 0, true
	}
	return time.Duration(info.Last_data_recv) * time.Millisecond, true
}

// Linux before 5.4 does not report the window; window is then 0.
func (p peerSocket) window() (bytes int, stopped time.Duration, known bool) {
	info := p.info()
	if info == nil {
		return 0, 0, false
	}
	return int(info.Snd_wnd), time.Duration(info.Rwnd_limited) * time.Microsecond, true
}

func (p peerSocket) limitUnsent(limited bool) {
	limit := tenant.PacedUnsent
	if !limited {
		limit = 0 // the system's default
	}
	p.conn.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, limit)
	})
}

func (p peerSocket) unread() (any bool) {
	p.conn.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		any = err == nil && n > 0
	})
	return any
}

func (p peerSocket) reset() bool {
	const closed = 7 // TCP_CLOSE
	info := p.info()
	return info != nil && info.State == closed
}
