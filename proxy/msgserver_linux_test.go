package proxy

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard/pdu"
)

// A msgServer is the remote end of a connection that uses its socket as the original's
// msg_server does:
//
//   - Its epoll is edge-triggered. When there is input, FIONREAD tells whether the stream
//     has ended. If not, it reads until there is no more and does not look for the end
//     again, so it overlooks a FIN that came with data.
//   - An error or hang-up always ends it, after it has read.
//   - It takes PDUs off the front of its buffer with one move of the rest for each, so
//     the cost is quadratic in what arrives together.
type msgServer struct {
	t         testing.TB
	fd, epoll int
	buf       []byte
	moved     int // bytes, by taking PDUs off the front
	hears     func(p []byte)
	ended     bool
}

// dialMsgServer connects a msgServer that calls hears for every PDU.
func dialMsgServer(t testing.TB, addr string, hears func(p []byte)) *msgServer {
	t.Helper()
	c := dial(t, addr)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	m := &msgServer{t: t, hears: hears}
	raw.Control(func(fd uintptr) { m.fd, err = unix.Dup(int(fd)) })
	if err == nil {
		m.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(m.fd); unix.Close(m.epoll) })
	c.Close() // m has its own descriptor of the socket
	events := uint32(unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET | unix.EPOLLPRI | unix.EPOLLERR | unix.EPOLLHUP)
	if err := unix.EpollCtl(m.epoll, unix.EPOLL_CTL_ADD, m.fd, &unix.EpollEvent{Events: events}); err != nil {
		t.Fatal(err)
	}
	return m
}

// poll handles the events that come within that many milliseconds.
func (m *msgServer) poll(milliseconds int) {
	var events [1]unix.EpollEvent
	n, err := unix.EpollWait(m.epoll, events[:], milliseconds)
	if err != nil && err != unix.EINTR {
		m.t.Error(err)
	}
	if n < 1 || m.ended {
		return
	}
	if events[0].Events&unix.EPOLLIN != 0 {
		m.onRead()
	}
	if events[0].Events&(unix.EPOLLPRI|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		m.ended = true
	}
}

func (m *msgServer) onRead() {
	if n, err := unix.IoctlGetInt(m.fd, unix.TIOCINQ); err != nil || n == 0 {
		m.ended = true
		return
	}
	var piece [2048]byte
	for {
		n, err := unix.Read(m.fd, piece[:])
		if n <= 0 || err != nil {
			break
		}
		m.buf = append(m.buf, piece[:n]...)
	}
	for len(m.buf) >= pdu.HeaderLen {
		n := int(binary.BigEndian.Uint32(m.buf))
		if n > len(m.buf) {
			return
		}
		m.hears(m.buf[:n])
		m.buf = m.buf[:copy(m.buf, m.buf[n:])]
		m.moved += len(m.buf)
	}
}

// say sends a PDU. What cannot be sent is lost, as with a msg_server.
func (m *msgServer) say(p []byte) { unix.Write(m.fd, p) }
