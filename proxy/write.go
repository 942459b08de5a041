package proxy

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"switchyard/proxy/hub"
)

// catchUp writes to a session whose socket was full until nothing is due, and waits
// for the socket as long as the peer takes something. It has the right to write, and
// gives it back.
func (s *session) catchUp() {
	defer s.writers.Done()
	for {
		s.writeDue()
		s.writing.Unlock()
		// What was appended since the last look found the right to write taken.
		if s.broken.Load() || !s.seat.Behind(s.tenant.hub.Head()) || !s.writing.TryLock() {
			return
		}
	}
}

// writeLoop writes to a session whose connection cannot be written to without waiting,
// whenever it is woken, until the session ends.
func (s *session) writeLoop() {
	defer s.writers.Done()
	for {
		select {
		case <-s.wake:
		case <-s.leaving:
			return
		}
		s.writing.Lock() // nobody else has it while this loop runs
		s.writeDue()
		if s.broken.Load() {
			s.seat.PassOver(s.tenant.hub.Head())
			s.tenant.relieve()
		}
		if s.trims.Swap(false) {
			s.seat.Trim()
			s.tenant.relieve()
		}
		s.writing.Unlock()
	}
}

// wakeWriter has writeLoop look for what is due. It never waits: a wake-up that is
// still to be received does for all that is due by now.
func (s *session) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// writeDue writes until nothing is due. The caller has the right to write.
func (s *session) writeDue() {
	d := desks.Get().(*desk)
	defer d.leave()
	own, timesOut := s.conn.(boundedWriter)
	if !timesOut {
		defer s.conn.SetWriteDeadline(time.Time{}) // the flusher's writes have none
	}
	limit := flushBytes
	if s.raw == nil {
		limit = flatBytes
	}
	for !s.broken.Load() {
		due := s.seat.Due(d.vec[:0], s.tenant.hub.Head(), limit)
		s.tenant.relieve() // what it was not to be sent is passed over
		if len(due) == 0 {
			return
		}
		switch timeout := s.tenant.limits.Load().WriteTimeout; {
		case timesOut:
			own.SetWriteTimeout(timeout)
		case timeout > 0:
			s.conn.SetWriteDeadline(time.Now().Add(timeout))
		}
		n, err := s.write(d, due)
		s.seat.Sent(n)
		if n > 0 {
			s.lastWrite.Store(clock())
		}
		switch {
		case err == nil, n > 0 && !timesOut && errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.broken.Store(true)
			s.Close(hub.WriteTimeout)
		default:
			// What the peer sent before is still read; its reader ends the session.
			s.broken.Store(true)
		}
	}
}

// A boundedWriter is a connection whose Write gives up by itself, with an error that
// is os.ErrDeadlineExceeded, once its peer has taken nothing for d; 0 is any time. It
// is not given deadlines for writing: a TLS connection is of no use after a Write that
// ended at one, so only what is below can tell a peer that takes little from one that
// takes nothing.
type boundedWriter interface{ SetWriteTimeout(d time.Duration) }

// write writes the pieces, or the first of them.
func (s *session) write(d *desk, pieces [][]byte) (int, error) {
	if s.raw == nil {
		return s.conn.Write(d.flatten(pieces))
	}
	buffers := net.Buffers(pieces)
	n, err := buffers.WriteTo(s.conn)
	return int(n), err
}

// flatBytes is how much is written at once to a connection that takes no vectors:
// four of TLS's largest records.
const flatBytes = 64 << 10

// A desk is what writeDue works with. It is kept while there is something to write,
// and not by every connection for ever.
type desk struct {
	vec  [][]byte
	flat []byte
}

var desks = sync.Pool{New: func() any { return &desk{vec: make([][]byte, flushPieces)} }}

func (d *desk) leave() {
	clear(d.vec) // they are the log's
	desks.Put(d)
}

// flatten returns the pieces joined, or as much of them as is written at once.
func (d *desk) flatten(pieces [][]byte) []byte {
	if first := pieces[0]; len(pieces) == 1 || len(first) >= flatBytes {
		return first[:min(len(first), flatBytes)]
	}
	if d.flat == nil {
		d.flat = make([]byte, 0, flatBytes)
	}
	flat := d.flat[:0]
	for _, piece := range pieces {
		flat = append(flat, piece[:min(len(piece), flatBytes-len(flat))]...)
	}
	return flat
}
