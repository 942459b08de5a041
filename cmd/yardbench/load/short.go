//go:build linux

package load

import (
	"time"

	"golang.org/x/sys/unix"

	"switchyard/cmd/yardbench/message"
)

// Short connections are opened one after the other beside the steady ones. Each sends its messages at
// once and ends; the steady connections receive them, which is what is counted:
//
//	open ─▶ write ─▶ FIN: the hub has to close it within shortDeadline
//	             └─▶ RST: what the hub had not read by then is lost, and no fault
//
// shorts are the short connections of a loop.
type shorts struct {
	opened, refused, unanswered int
	alive                       int
}

// A shortLife is the state of a short connection.
type shortLife struct{ written bool }

const (
	shortDeadline = 5 * time.Second        // how long the hub may take to close an ended connection
	shortQuiet    = 500 * time.Millisecond // after which messages before a reset no longer arrive
)

// schedule schedules the opening of connections within a span.
func (s *shorts) schedule(l *loop, from, to int64) {
	every := int64(1e9 / l.run.plan.Short.Rate)
	var next func(at int64)
	next = func(at int64) {
		l.todo.at(at, func(int64) {
			s.open(l)
			if at+every < to {
				next(at + every)
			}
		})
	}
	next(from)
}

// open opens a connection that sends its messages at once, and gives up on it after shortDeadline.
func (s *shorts) open(l *loop) {
	c, err := l.open(0)
	if err != nil {
		l.fail("open a short connection: %w", err)
		return
	}
	c.short = new(shortLife)
	c.out = append(c.out, l.run.plan.Protocol.Greeting()...)
	for i := range l.run.plan.Short.Messages {
		c.out = l.run.wire.Append(c.out, message.Message{Sender: message.FirstShort + uint32(s.opened), Seq: uint32(i), Due: l.run.now()})
	}
	s.opened++
	s.alive++
	l.todo.at(l.now+int64(shortDeadline), func(int64) {
		if c.state != closed {
			s.unanswered++
			s.alive--
			l.drop(c)
		}
	})
}

// written ends a connection that has written everything.
func (s *shorts) written(l *loop, c *conn) {
	if c.short.written {
		return
	}
	c.short.written = true
	if l.run.plan.Short.Reset {
		endWithReset(c.fd)
		s.alive--
		l.drop(c)
		return
	}
	// The input is drained first, or close would send a reset.
	unix.Shutdown(c.fd, unix.SHUT_WR)
}

// refuse counts a connection that could not be opened.
func (s *shorts) refuse(l *loop, c *conn) {
	s.refused++
	s.alive--
	l.drop(c)
}

// over handles a connection that the hub has closed.
func (s *shorts) over() { s.alive-- }

// complete reports whether all their messages have arrived.
func (s *shorts) complete(l *loop, quiet int64) bool {
	if s.opened == 0 {
		return true
	}
	return s.alive == 0 && (quiet > int64(shortQuiet) || s.delivered(l) == s.due(l))
}

// due returns how many deliveries are due.
func (s *shorts) due(l *loop) uint64 {
	return uint64(s.opened-s.refused) * uint64(l.run.plan.Short.Messages) * uint64(len(l.long))
}

// delivered returns how many deliveries of their messages there were so far.
func (s *shorts) delivered(l *loop) uint64 {
	n := uint64(0)
	for _, c := range l.long {
		for _, m := range c.receiver.Short {
			n += uint64(m)
		}
	}
	return n
}
