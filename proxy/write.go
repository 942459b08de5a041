package proxy

import (
	"errors"
	"net"
	"os"
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

// writeDue writes until nothing is due. The caller has the right to write.
func (s *session) writeDue() {
	vec := make([][]byte, 0, flushPieces)
	defer s.conn.SetWriteDeadline(time.Time{}) // the flusher's writes have none
	for !s.broken.Load() {
		due := s.seat.Due(vec, s.tenant.hub.Head(), flushBytes)
		if len(due) == 0 {
			return
		}
		timeout := s.tenant.limits.Load().WriteTimeout
		if timeout > 0 {
			s.conn.SetWriteDeadline(time.Now().Add(timeout))
		}
		buffers := net.Buffers(due)
		n, err := buffers.WriteTo(s.conn)
		s.seat.Sent(int(n))
		if n > 0 {
			s.lastWrite.Store(clock())
		}
		switch {
		case err == nil, n > 0 && errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.broken.Store(true)
			s.Close(hub.WriteTimeout)
		default:
			// What the peer sent before is still read; its reader ends the session.
			s.broken.Store(true)
		}
	}
}
