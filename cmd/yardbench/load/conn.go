//go:build linux

package load

import (
	"fmt"

	"golang.org/x/sys/unix"

	"switchyard/cmd/yardbench/check"
	"switchyard/cmd/yardbench/message"
)

// A conn is a connection of a loop, and belongs to its goroutine:
//
//	dial ─▶ opening ── EPOLLOUT ──▶ open ── end of input, error ──▶ closed
//	                                 │ read: Receiver.Take checks each message, what is left waits in rest
//	                                 │ write: what senders have appended to out, as the socket takes it
type conn struct {
	fd     int
	slot   int32
	number int // among the connections of the run
	state  connState
	events uint32 // that epoll reports

	receiver *check.Receiver // nil: input is ignored
	rest     []byte          // an incomplete message
	joined   bool
	pause    bool // reading is paused

	sender  *sender // nil: the connection only receives
	out     []byte  // bytes to write
	written int     // how many of out are written
	short   *shortLife
}

// A connState is how far a connection is: it only ever moves to the next.
type connState uint8

const (
	opening connState = iota
	open
	closed // by the hub; the descriptor is closed
)

// idle reports whether everything is written, so that more can be sent.
func (c *conn) idle() bool { return c.state == open && len(c.out) == 0 }

// counts reports whether a message is delivered only when this connection has it.
func (c *conn) counts() bool { return c.state != closed && !c.pause }

// open opens a connection to the hub of connection n, in a free slot.
func (l *loop) open(n int) (*conn, error) {
	fd, err := dial(l.to[n%len(l.to)])
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

// serve handles the events of a connection: what waits is written, then what came is read.
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

// read reads once and processes the input. It does not read until nothing is left: other connections
// have to wait meanwhile, and epoll reports this one again.
func (l *loop) read(c *conn) {
	if c.pause { // epoll reports only a reset then
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

// respond reacts to the input: it joins, and answers pings.
func (l *loop) respond(c *conn) {
	if l.joining && c.receiver.Joined && !c.joined {
		c.joined = true
		l.run.join()
	}
	for ; c.receiver.Pings > 0; c.receiver.Pings-- {
		l.say(c, []byte(message.NATSPong))
	}
}

// say sends bytes after those that are still to be written.
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

// write writes what the socket takes. epoll reports when it takes more. An error of writing does not
// end the connection: read finds the reason, after what the hub has sent before it closed.
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
			n = len(c.out) - c.written // its input may still have bytes before the end
		}
		c.written += n
	}
	if c.written == len(c.out) {
		c.out, c.written = c.out[:0], 0
		if c.short != nil {
			l.short.written(l, c)
		}
	}
	if c.state == open {
		l.await(c)
	}
}

// await sets the events that epoll reports for a connection.
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

// end handles a connection that the hub has closed. Before the run has begun, that is an error of the
// command; later it is a fault of the hub, except for connections of which it is expected.
func (l *loop) end(c *conn, errno unix.Errno) {
	switch {
	case c.short != nil:
		l.short.over()
	case l.joining:
		l.fail("the hub closed connection %d before the run began; is it of the protocol %v?", c.number, l.run.plan.Protocol)
	case l.run.stalls(c.number): // the hub may close it
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
