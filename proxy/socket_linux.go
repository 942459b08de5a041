package proxy

import (
	"io"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A rawReader reads from a TCP connection what its socket has, without waiting. One
// goroutine at a time may use it; another one may write meanwhile.
type rawReader struct {
	conn syscall.RawConn
	p    []byte
	n    int
	err  error
	read func(fd uintptr) bool // made once, so that a read allocates nothing
}

// newRawReader returns nil if conn is not a *net.TCPConn. A connection that was wrapped,
// for a PROXY header or TLS, may hold bytes that were read already, so it has to be read
// by its own Read.
func newRawReader(conn net.Conn) *rawReader {
	socket, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	r := &rawReader{conn: raw}
	r.read = r.readOnce
	return r
}

// tryRead is Read without waiting: it returns 0 bytes and no error if nothing has
// arrived.
func (r *rawReader) tryRead(p []byte) (int, error) {
	r.p, r.n, r.err = p, 0, nil
	err := r.conn.Read(r.read)
	r.p = nil
	if err == nil {
		err = r.err
	}
	return r.n, err
}

func (r *rawReader) readOnce(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(r.p))), uintptr(len(r.p)))
		switch errno {
		case 0:
			if r.n = int(n); n == 0 {
				r.err = io.EOF
			}
		case unix.EINTR:
			continue
		case unix.EAGAIN:
		default:
			r.err = errno
		}
		return true // do not wait for the socket
	}
}

// watch adds the socket to the epoll set, under that number.
func (r *rawReader) watch(epoll int, number int32) (err error) {
	return r.control(func(fd int) error {
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: number})
	})
}

// watchOutput makes the epoll set also report when the socket accepts output.
func (r *rawReader) watchOutput(epoll int, number int32) error {
	return r.control(func(fd int) error {
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP, Fd: number})
	})
}

// unwatch removes the socket from the epoll set.
func (r *rawReader) unwatch(epoll int) {
	r.control(func(fd int) error { return unix.EpollCtl(epoll, unix.EPOLL_CTL_DEL, fd, nil) })
}

func (r *rawReader) control(do func(fd int) error) (err error) {
	if closed := r.conn.Control(func(fd uintptr) { err = do(int(fd)) }); closed != nil {
		return closed
	}
	return err
}

// paced reports whether the connection is to be paced, see PacedMark.
func (r *rawConn) paced() (is bool) {
	r.conn.Control(func(fd uintptr) {
		n, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
		is = err == nil && n == PacedMark
	})
	return is
}

// unpace removes the mark, so that a process that takes over the connection does not pace it.
func (r *rawConn) unpace() {
	r.conn.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 0) })
}

// unacknowledged returns how many bytes were written to the connection and not yet
// acknowledged by its peer's kernel, a FIN counting as one.
func unacknowledged(conn net.Conn) (n int, known bool) { return queued(conn, unix.SIOCOUTQ) }

// unread returns how many bytes the kernel has received that were not read, if it is known.
func unread(conn net.Conn) (n int, known bool) { return queued(conn, unix.SIOCINQ) }

// queued returns the length of a queue of the connection's socket, if it has one.
func queued(conn net.Conn, queue uint) (n int, known bool) {
	socket, ok := conn.(interface {
		SyscallConn() (syscall.RawConn, error)
	})
	if below, secured := conn.(interface{ Socket() *net.TCPConn }); secured {
		socket, ok = below.Socket(), true
	}
	if !ok {
		return 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	closed := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), queue) })
	return n, err == nil && closed == nil
}
