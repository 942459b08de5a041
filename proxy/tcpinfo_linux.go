package proxy

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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

// progress asks the kernel again each time; the answer is of that moment.
func (p peerSocket) progress() (at progress, known bool) {
	info := p.info()
	if info == nil {
		return progress{}, false
	}
	return progressOf(info), true
}

// progressOf relies on the counters of bytes only while segments are in flight. The kernel counts a
// segment as sent that a full queue of this machine has dropped, and counts it again when it sends
// it once more, which is not a retransmission.
func progressOf(info *unix.TCPInfo) progress {
	inFlight := uint64(0)
	if info.Unacked > 0 {
		inFlight = uint64(max(1, int64(info.Bytes_sent-info.Bytes_retrans-info.Bytes_acked)))
	}
	return progress{info.Bytes_acked + inFlight + uint64(info.Notsent_bytes), info.Bytes_acked, info.Bytes_acked + uint64(info.Snd_wnd)}
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
