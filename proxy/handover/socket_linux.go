package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

var rightsBytes = unix.CmsgSpace(4 * mostTogether)

// Pair returns both ends of a new stream. The second is for the new process, as one of
// exec.Cmd.ExtraFiles; the caller closes it once the process is started, since otherwise this end
// would never notice that the process has ended.
func Pair() (*Conn, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	ours, err := Inherit(pair[0])
	if err != nil {
		unix.Close(pair[1])
		return nil, nil, err
	}
	return ours, os.NewFile(uintptr(pair[1]), "handover"), nil
}

// Inherit returns the end of a stream that the old process gave to this one with that
// descriptor, which Inherit takes ownership of.
func Inherit(fd int) (*Conn, error) {
	conn, err := fileOf(fd, "handover", net.FileConn)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d of the handover: %w", fd, err)
	}
	if c, ok := conn.(*net.UnixConn); ok {
		return newConn(c), nil
	}
	conn.Close()
	return nil, fmt.Errorf("descriptor %d of the handover is not a Unix socket", fd)
}

// fileOf makes what from makes of a descriptor, and closes the descriptor, of which from
// makes a copy.
//
// The descriptor must not block before it becomes an os.File: the file would otherwise switch the
// mode to non-blocking, and back in File.Fd. The mode belongs to what the descriptors of both
// processes refer to, so the other process would block, too.
func fileOf[T any](fd int, name string, from func(*os.File) (T, error)) (made T, err error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return made, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return from(f)
}

// tcpConn makes a connection of a received descriptor, which it takes ownership of.
func tcpConn(fd int) (*net.TCPConn, error) {
	conn, err := fileOf(fd, "connection", net.FileConn)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		return tcp, nil
	}
	conn.Close()
	return nil, errors.New("the descriptor is not a TCP connection")
}

// listener makes a listener of a received descriptor, which it takes ownership of.
func listener(fd int) (net.Listener, error) {
	if listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listening == 0 {
		unix.Close(fd)
		return nil, errors.Join(errors.New("the descriptor is not a listening socket"), err)
	}
	return fileOf(fd, "listener", net.FileListener)
}

// duplicate returns another descriptor of a socket. It leaves the mode of the socket alone.
func duplicate(socket syscall.Conn) (fd int, err error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return -1, err
	}
	var failed error
	err = raw.Control(func(original uintptr) {
		fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, failed); err != nil {
		return -1, fmt.Errorf("duplicate the descriptor: %w", err)
	}
	return fd, nil
}

func closeAll(descriptors []int) {
	for _, fd := range descriptors {
		unix.Close(fd)
	}
}

func rights(descriptors []int) []byte { return unix.UnixRights(descriptors...) }

// parseRights returns the descriptors in the control messages, even if some are faulty.
func parseRights(oob []byte) (descriptors []int, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	for _, m := range messages {
		fds, wrong := unix.ParseUnixRights(&m)
		descriptors = append(descriptors, fds...)
		err = errors.Join(err, wrong)
	}
	return descriptors, err
}

func isTruncated(flags int) bool { return flags&unix.MSG_CTRUNC != 0 }
