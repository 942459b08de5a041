package handover

import (
	"encoding/json"
	"fmt"
	"syscall"
)

// A Sender sends what Old.Send gives it, in that order: each tenant with its presence and then its
// sessions, the rest anywhere. After an error, all methods return that error.
type Sender struct {
	conn *Conn
	sent Counts
	err  error

	batch    frame // sessions, not sent yet
	sessions []session
}

// session is the record of a connection in the header of a frame. The body has its input and due
// bytes, behind those of the session before.
type session struct {
	State      json.RawMessage
	Input, Due int
}

// batchBytes is the length up to which the bytes of several sessions share a frame.
const batchBytes = 1 << 20

// all sends what old sends, and the end.
func (s *Sender) all(old Old) error {
	defer s.dropBatch()
	if err := old.Send(s); err != nil {
		return err
	}
	if s.flush(); s.err == nil {
		s.err = s.conn.say(kindEnd, s.sent)
	}
	return s.err
}

// Listener sends a listening socket. record is encoded as JSON, here and below. The caller lets a
// net.UnixListener keep its file on Close (SetUnlinkOnClose).
func (s *Sender) Listener(record any, socket syscall.Conn) error {
	s.sent.Listeners++
	if f, ok := s.begin(kindListener, record); ok {
		fd, err := duplicate(socket)
		if err != nil {
			return s.fail(err)
		}
		f.descriptors = []int{fd}
		s.send(f)
		closeAll(f.descriptors)
	}
	return s.err
}

// Process sends what concerns the process as a whole.
func (s *Sender) Process(record any) error {
	s.sent.Processes++
	return s.record(kindProcess, record)
}

// Tenant begins a tenant.
func (s *Sender) Tenant(record any) error {
	s.sent.Tenants++
	return s.record(kindTenant, record)
}

func (s *Sender) record(k kind, record any) error {
	if f, ok := s.begin(k, record); ok {
		s.send(f)
	}
	return s.err
}

// Presence sends a part of the presence of the tenant that was begun last.
func (s *Sender) Presence(chunk []byte) error {
	s.sent.Presence += len(chunk)
	if f, ok := s.begin(kindPresence, nil); ok {
		f.body = chunk
		s.send(f)
	}
	return s.err
}

// Session sends a connection of the tenant that was begun last, with what was read from it and not
// handled, and what is to be written to it. The bytes are copied. A caller that has the socket in an
// epoll set takes it out before it closes its own descriptor: the set would keep reporting the
// socket, which the other process keeps open.
func (s *Sender) Session(state any, socket syscall.Conn, input, due []byte) error {
	s.sent.Sessions++
	if len(s.sessions) == mostTogether || len(s.batch.body)+len(input)+len(due) > batchBytes {
		s.flush()
	}
	if s.err != nil {
		return s.err
	}
	encoded, err := json.Marshal(state)
	if err != nil {
		return s.fail(err)
	}
	fd, err := duplicate(socket)
	if err != nil {
		return s.fail(err)
	}
	s.sessions = append(s.sessions, session{encoded, len(input), len(due)})
	s.batch.descriptors = append(s.batch.descriptors, fd)
	s.batch.body = append(append(s.batch.body, input...), due...)
	return nil
}

// begin sends the sessions that wait and makes the next frame. It returns false if something
// has failed.
func (s *Sender) begin(k kind, header any) (f frame, ok bool) {
	if s.flush(); s.err != nil {
		return f, false
	}
	f, s.err = newFrame(k, header)
	return f, s.err == nil
}

func (s *Sender) send(f frame) {
	if s.err == nil {
		s.err = s.conn.send(f)
	}
}

// fail remembers the first error.
func (s *Sender) fail(err error) error {
	if s.err == nil {
		s.err = err
	}
	return s.err
}

// flush sends the sessions that wait.
func (s *Sender) flush() {
	if len(s.sessions) > 0 && s.err == nil {
		f, err := newFrame(kindSessions, s.sessions)
		if err != nil {
			s.fail(fmt.Errorf("sessions: %w", err))
		}
		f.descriptors, f.body = s.batch.descriptors, s.batch.body
		s.send(f)
	}
	s.dropBatch()
}

// dropBatch closes the descriptors of sessions that were sent or will not be.
func (s *Sender) dropBatch() {
	closeAll(s.batch.descriptors)
	s.batch, s.sessions = frame{descriptors: s.batch.descriptors[:0], body: s.batch.body[:0]}, s.sessions[:0]
}
