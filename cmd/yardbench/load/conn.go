//go:build linux

package load

import (
	"fmt"

	"golang.org/x/sys/unix"

	"switchyard/cmd/yardbench/check"
	"switchyard/cmd/yardbench/message"
)

// A conn is one connection. It belongs to its loop.
type conn struct {
	fd     int
	slot   int32
	number int // of the connections of the run
	state  connState
	events uint32 // that are waited for

	receiver *check.Receiver // nil: what arrives is of no interest
	rest     []byte          // was read, and is not whole
	joined   bool
	pause    bool // it does not read

	sender  *sender // nil: it only receives
	out     []byte  // is to be written, but for what was
	written int     // of out
	short   *shortLife
}

type connState uint8

const (
	opening connState = iota
	open
	closed // by the hub; the descriptor is closed
)

// idle says whether all was written, so that there can be more.
func (c *conn) idle() bool { return c.state == open && len(c.out) == 0 }

// counts says whether a message is only delivered if this connection has it.
func (c *conn) counts() bool { return c.state != closed && !c.pause }

// open opens a connection in a free slot.
func (l *loop) open() (*conn, error) {
	fd, err := dial(l.to)
	if err != nil {
		return nil, err
	}
	if len(l.free) == 0 {
		l.free = append(l.free, int32(len(l.slots)))
		l.slots = append(l.slots, nil)
	}
	slot := l.free[len(l.free)-1]
	c := &conn{fd: fd, slot: slot, events: unix.EPOLLIN | unix.EPOLLOUT}
	if err := l.poller.add(fd, slot, c.events); err != nil {
		unix.Close(fd)
		return nil, err
	}
	l.free = l.free[:len(l.free)-1]
	l.slots[slot] = c
	return c, nil
}

// serve does what events call for.
func (l *loop) serve(c *conn, events uint32) {
	if c.state == opening {
		if !l.opened(c) {
			return
		}
	} else if events&unix.EPOLLOUT != 0 {
		l.write(c)
	}
	if c.state == open && events&^unix.EPOLLOUT != 0 {
		l.read(c)
	}
}

// opened finishes opening a connection.
func (l *loop) opened(c *conn) bool {
	if err := connected(c.fd); err != nil {
		if c.short != nil {
			l.short.refuse(l, c)
			return false
		}
		l.fail("connect to the hub: %w", err)
		return false
	}
	c.state = open
	l.write(c)
	return c.state == open
}

// read reads once and takes what came.
func (l *loop) read(c *conn) {
	if c.pause { // only a reset is told then
		l.end(c, unix.ECONNRESET)
		return
	}
	size := readSize
	if l.run.stalls(c.number) {
		size = stallReadSize
	}
	if need := len(c.rest) + size; need > len(l.buf) {
		l.buf = make([]byte, need)
	}
	kept := copy(l.buf, c.rest)
	n, errno := recv(c.fd, l.buf[kept:kept+size])
	switch {
	case errno != 0 && again(errno):
		return
	case errno != 0 || n == 0:
		l.end(c, errno)
		return
	}
	l.now = l.run.now()
	if c.receiver == nil {
		return
	}
	l.lastRead = l.now
	used, err := c.receiver.Take(l.buf[:kept+n], l.now)
	if err != nil {
		l.fail("connection %d cannot be read on: %w", c.number, err)
		return
	}
	c.rest = append(c.rest[:0], l.buf[used:kept+n]...)
	l.respond(c)
}

// respond does what follows from what arrived.
func (l *loop) respond(c *conn) {
	if l.joining && c.receiver.Joined && !c.joined {
		c.joined = true
		l.run.join()
	}
	for ; c.receiver.Pings > 0; c.receiver.Pings-- {
		l.say(c, []byte(message.NATSPong))
	}
}

// say writes something behind what is to be written already.
func (l *loop) say(c *conn, b []byte) {
	if c.state != open {
		return
	}
	fresh := c.idle()
	c.out = append(c.out, b...)
	if fresh {
		l.write(c)
	}
}

// write writes what the socket takes, and waits for it to take the rest.
func (l *loop) write(c *conn) {
	for c.written < len(c.out) {
		n, errno := send(c.fd, c.out[c.written:])
		if errno == unix.EINTR {
			continue
		}
		if errno == unix.EAGAIN {
			break
		}
		if errno != 0 {
			n = len(c.out) - c.written // its input may still hold something, and then the end
		}
		c.written += n
	}
	if c.written == len(c.out) {
		c.out, c.written = c.out[:0], 0
		if c.short != nil {
			l.short.said(l, c)
		}
	}
	if c.state == open {
		l.await(c)
	}
}

// await has the events told that matter to a connection now.
func (l *loop) await(c *conn) {
	events := uint32(unix.EPOLLIN)
	if c.pause {
		events = 0
	}
	if len(c.out) > 0 {
		events |= unix.EPOLLOUT
	}
	if events == c.events {
		return
	}
	c.events = events
	if err := l.poller.change(c.fd, c.slot, events); err != nil {
		l.fail("connection %d: %w", c.number, err)
	}
}

// end takes note that the hub has closed a connection.
func (l *loop) end(c *conn, errno unix.Errno) {
	switch {
	case c.short != nil:
		l.short.over()
	case l.joining:
		l.fail("the hub closed connection %d before the run began; is it of the protocol %v?", c.number, l.run.plan.Protocol)
	case l.run.stalls(c.number): // it may
	case errno != 0:
		l.ended = append(l.ended, fmt.Sprintf("connection %d: %v", c.number, errno))
	default:
		l.ended = append(l.ended, fmt.Sprintf("connection %d: closed by the hub", c.number))
	}
	l.drop(c)
}

// drop closes a connection and frees its slot.
func (l *loop) drop(c *conn) {
	unix.Close(c.fd)
	c.state = closed
	c.out = nil
	l.slots[c.slot] = nil
	l.free = append(l.free, c.slot)
}
