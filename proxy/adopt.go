package proxy

import (
	"errors"
	"net"

	"switchyard/pdu"
)

// A tenant of a new process takes over the sessions of the old one while it is frozen:
//
//	NewTenant ─▶ Freeze ─▶ Hub().Import ─▶ Adopt ─▶ Adopt ─▶ ... ─▶ Thaw
//
// Until Thaw nothing is read from the connections and nothing is written to them. If the old
// process is to continue, the new one exits without Close, which would end the connections of
// both. After Thaw the first thing that an adopted session handles is the input that the old
// process had read, and the first thing that it writes is what was due there.

var (
	errNotFrozen = errors.New("a tenant that is not frozen cannot adopt a session")
	errNotPlain  = errors.New("the connection is not a plain socket")
	errForeign   = errors.New("its first bytes are not a PDU's")
)

// Adopt is Serve for a connection that another process has served, in a tenant that is frozen
// and has imported the state of the other process's hub. It takes over input, which the other
// process has read and not handled, and copies due, which it has not written.
func (t *Tenant) Adopt(conn net.Conn, st SessionState, input, due []byte, ended func(abandoned bool)) error {
	t.freezing.Lock()
	defer t.freezing.Unlock()
	if !t.gate.isShut() {
		return errNotFrozen
	}
	s := newSession(t, conn, ended)
	if s.raw == nil {
		return errNotPlain
	}
	if s.input.sniffer.add(st.Sniffed) != nil {
		return errForeign
	}
	s.restore(&st, input)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isStopping() {
		return ErrStopping
	}
	seat, err := t.hub.Restore(s, st.Seat, due)
	if err != nil {
		return err
	}
	s.seat = seat
	seat.ImportLimits(st.Limits, clock())
	seat.SetMembership(t.membershipOf(conn))
	s.pace(st.Paced)
	s.output.right.Lock() // until Thaw
	t.frozen = append(t.frozen, s)
	t.prepareLoop(s)
	t.list(s)
	s.start(s.resume)
	return nil
}

// restore sets the input and the times of a session whose reader has not started.
func (s *session) restore(st *SessionState, input []byte) {
	in, now := &s.input, clock()
	in.pdus = pdu.NewReader(s, st.MaxPDU)
	in.unhandled = in.pdus.Resume(input)
	s.opened = now - int64(st.Opened)
	in.lastRead.Store(now - int64(st.LastRead))
	s.output.lastWrite.Store(now - int64(st.LastWrite))
	in.gotPDU.Store(st.GotPDU)
	s.outdated.Store(st.Outdated)
	s.output.broken.Store(st.Broken)
	if arrived := in.pdus.Buffered(); arrived > 0 {
		in.unfinished.note(arrived, true, now-int64(st.Unfinished))
	}
}

// resume reads on from an adopted session, after the freeze. If it has no input to handle,
// the loop does.
func (s *session) resume() {
	s.pass()
	s.countInput()
	if len(s.input.unhandled) == 0 && s.input.pdus.Err() == nil && s.loop.add(s) {
		s.tenant.gate.leave(sessionWork)
		return
	}
	s.serve(s.input.unhandled)
}
