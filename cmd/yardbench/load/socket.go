//go:build linux

package load

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls bypass Go's scheduler, as its bookkeeping takes about as long as the short
// ones. None of them blocks, except epoll.wait, which blocks for at most longestWait. So
// the scheduler never waits longer than that for this thread.

// longestWait bounds each wait for events.
const longestWait = 10 * time.Millisecond

// dial opens a non-blocking connection, without waiting until it is established.
func dial(to *unix.SockaddrInet4) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket: %w; if there are too many, raise the limit with ulimit -n", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("set TCP_NODELAY: %w", err)
	}
	if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// resolve returns the address of a hub, which has to be IPv4.
func resolve(address string) (*unix.SockaddrInet4, error) {
	a, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, fmt.Errorf("find the hub: %w; write host:port", err)
	}
	s := &unix.SockaddrInet4{Port: a.Port}
	copy(s.Addr[:], a.IP.To4())
	return s, nil
}

// recv reads what has arrived into b, which is not empty.
func recv(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	runtime.KeepAlive(b)
	return int(n), errno
}

// send writes what the socket takes of b, which is not empty.
func send(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	runtime.KeepAlive(b)
	return int(n), errno
}

// again reports whether a call was interrupted or would have blocked.
func again(errno unix.Errno) bool {
	return errno == unix.EAGAIN || errno == unix.EINTR
}

// endWithReset makes close send a reset.
func endWithReset(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// localPort returns the port of this end of a connection, or 0.
func localPort(fd int) uint16 {
	if a, err := unix.Getsockname(fd); err == nil {
		if a, ok := a.(*unix.SockaddrInet4); ok {
			return uint16(a.Port)
		}
	}
	return 0
}

// connected returns the error of establishing a connection.
func connected(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && n != 0 {
		err = syscall.Errno(n)
	}
	return err
}

// A poller wraps epoll.
type poller struct {
	fd, wakeFD int
	events     []unix.EpollEvent
	coarse     bool // the kernel is too old for waits below a millisecond
}

// wakeSlot is the slot of events that only end a wait.
const wakeSlot = -1

// newPoller returns a poller that takes up to that many events in one wait.
func newPoller(events int) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open epoll: %w", err)
	}
	p := &poller{fd: fd, events: make([]unix.EpollEvent, events)}
	if p.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open eventfd: %w", err)
	}
	if err := p.add(p.wakeFD, wakeSlot, unix.EPOLLIN); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) close() {
	unix.Close(p.wakeFD)
	unix.Close(p.fd)
}

// add makes wait report events of a descriptor under the number slot. The kernel forgets a
// descriptor when it is closed.
func (p *poller) add(fd int, slot int32, events uint32) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, slot, events)
}

// change makes wait report other events of a descriptor.
func (p *poller) change(fd int, slot int32, events uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, slot, events)
}

// control changes what epoll reports of a descriptor. Events carry the slot, not the descriptor.
func (p *poller) control(op, fd int, slot int32, events uint32) error {
	if err := unix.EpollCtl(p.fd, op, fd, &unix.EpollEvent{Events: events, Fd: slot}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// wake ends the present wait, or else the next one. Any goroutine may call it.
func (p *poller) wake() {
	one := [8]byte{7: 1} // any number but 0, whatever the byte order
	unix.Write(p.wakeFD, one[:])
}

// wait waits for events, for at most d and longestWait, and returns them. They are valid
// until the next call.
func (p *poller) wait(d time.Duration) []unix.EpollEvent {
	d = min(max(d, 0), longestWait)
	var n uintptr
	var errno unix.Errno
	if !p.coarse {
		t := unix.NsecToTimespec(int64(d))
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(unsafe.Pointer(&t)), 0, 0)
		p.coarse = errno == unix.ENOSYS
	}
	if p.coarse {
		ms := (d + time.Millisecond - 1) / time.Millisecond
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(ms), 0, 0)
	}
	if errno != 0 {
		return nil // interrupted
	}
	return p.events[:n]
}

// drainWakes reads what wake wrote.
func (p *poller) drainWakes() {
	var b [8]byte
	unix.Read(p.wakeFD, b[:])
}

// sharpenTimers makes the waits of this thread end on time instead of up to 50 µs later.
// The goroutine has to be locked to the thread.
func sharpenTimers() { unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }
