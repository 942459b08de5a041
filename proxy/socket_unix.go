//go:build unix

package proxy

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A rawConn writes to a TCP connection as much as its socket takes at once. One
// goroutine at a time may use it.
type rawConn struct {
	conn   syscall.RawConn
	vec    []unix.Iovec
	n      int
	err    error
	writev func(fd uintptr) bool // made once, so that a write allocates nothing
}

// newRawConn returns nil if conn is not a plain socket: if it is a TLS connection, for
// example, which sends other bytes than are written to it.
func newRawConn(conn net.Conn) *rawConn {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	r := &rawConn{conn: raw}
	r.writev = r.writeOnce
	return r
}

// tryWrite writes what it can of the pieces, none of which is empty, without
// waiting, and returns how many bytes that were.
func (r *rawConn) tryWrite(pieces [][]byte) (int, error) {
	r.vec = r.vec[:0]
	for _, p := range pieces {
		v := unix.Iovec{Base: unsafe.SliceData(p)}
		v.SetLen(len(p))
		r.vec = append(r.vec, v)
	}
	r.n, r.err = 0, nil
	err := r.conn.Write(r.writev)
	clear(r.vec)
	if err == nil {
		err = r.err
	}
	return r.n, err
}

// writeOnce makes the system call without informing the scheduler, because the call
// never waits. Informing it wakes the runtime's monitor when the process is nearly idle,
// which costs as much as the call. The call holds up other goroutines only for as long
// as the kernel copies.
func (r *rawConn) writeOnce(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(r.vec))), uintptr(len(r.vec)))
		switch errno {
		case 0:
			r.n = int(n)
		case unix.EINTR:
			continue
		case unix.EAGAIN:
		default:
			r.err = errno
		}
		return true // do not wait for the socket
	}
}

// urgent reports whether the peer has sent TCP urgent data.
func (r *rawConn) urgent() (found bool) {
	if r == nil {
		return false
	}
	r.conn.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_OOB|unix.MSG_DONTWAIT)
		found = n > 0 && err == nil
	})
	return found
}
