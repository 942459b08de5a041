package proxy

import (
	"net"
	"slices"
	"time"

	"switchyard/policy"
	"switchyard/proxy/hub"
)

// A SessionState is what a session takes along to another process, apart from its connection and
// the bytes on their way. Times are ages, because the clocks of two processes differ.
type SessionState struct {
	Seat       hub.SeatState
	Opened     time.Duration
	LastRead   time.Duration
	LastWrite  time.Duration
	Unfinished time.Duration // since the first bytes of a PDU arrived that is not whole
	GotPDU     bool
	Sniffed    []byte `json:",omitempty"` // the first bytes, until they are a header
	MaxPDU     int
	Outdated   bool // see Tenant.MarkOutdated
	Broken     bool // writing has failed, so that only what the peer said before is to be read
	Paced      bool // its kernel reports the window, although that may be closed now

	Limits []policy.BucketState `json:",omitempty"` // of the policy's rate limits per peer
}

// A Moving is a session that can move to another process.
type Moving struct {
	Conn       net.Conn
	State      SessionState
	Input, Due []byte // read and not handled; due and not written

	session *session
}

// Moving returns the sessions of a frozen tenant that can move, if their input and what is due to
// their peers take at most room bytes together. It also returns how many others use TLS, which
// cannot move, and how many are about to end, or have more due than can move.
func (t *Tenant) Moving(room int) (moving []Moving, drained, closed int) {
	for _, s := range *t.sessions.Load() {
		m, moves := s.moving(room)
		switch {
		case moves:
			room -= len(m.Input) + len(m.Due)
			moving = append(moving, m)
		case s.raw == nil:
			drained++
		default:
			closed++
		}
	}
	return moving, drained, closed
}

// moving returns the session as it moves, or false if it does not: it cannot move, or takes more than
// room bytes.
func (s *session) moving(room int) (m Moving, moves bool) {
	ends := s.hasLeft() || s.reason.Load() != nil || s.asked.Load() != nil || s.stops.Load() || s.input.ending != ""
	if s.raw == nil || ends {
		return m, false
	}
	m = Moving{Conn: s.conn, State: s.state(), Input: s.heldInput(), session: s}
	room -= len(m.Input)
	switch {
	case room < 0:
	case m.State.Broken:
		m.State.Seat, moves = s.seat.ExportBroken()
	default:
		m.State.Seat, m.Due, moves = s.seat.Export(mostDue)
		moves = moves && len(m.Due) <= room
	}
	return m, moves
}

// state returns the state of a session of a frozen tenant, without its seat.
func (s *session) state() SessionState {
	in, now := &s.input, clock()
	age := func(since int64) time.Duration { return time.Duration(now - since) }
	st := SessionState{Opened: age(s.opened), LastRead: age(in.lastRead.Load()), LastWrite: age(s.output.lastWrite.Load()),
		Limits: s.seat.ExportLimits(now), GotPDU: in.gotPDU.Load(), Sniffed: slices.Clone(in.sniffer.bytes[:in.sniffer.n]), MaxPDU: in.pdus.Max(), Outdated: s.outdated.Load(), Broken: s.output.broken.Load(), Paced: s.output.pacer != nil}
	if since := in.unfinished.since.Load(); since != 0 {
		st.Unfinished = age(since)
	}
	return st
}

// heldInput returns what was read from the connection and not handed over.
func (s *session) heldInput() []byte {
	var early []byte // which a PROXY header brought along
	if proxied, ok := s.conn.(interface{ Early() []byte }); ok {
		early = proxied.Early()
	}
	return slices.Concat(s.input.unhandled, s.input.pdus.Rest(), early)
}

// Export returns the state of a frozen tenant's hub, see hub.Hub.Export.
func (t *Tenant) Export(moving []Moving) hub.State { return t.hub.Export(moves(moving)) }

// ExportLimits and ImportLimits are those of hub.Hub, by the clock of the process.
func (t *Tenant) ExportLimits() []policy.BucketState       { return t.hub.ExportLimits(clock()) }
func (t *Tenant) ImportLimits(limits []policy.BucketState) { t.hub.ImportLimits(limits, clock()) }

// ExportPresence hands the users of the moving sessions to yield, see hub.Hub.ExportPresence.
func (t *Tenant) ExportPresence(moving []Moving, yield func(chunk []byte) error) error {
	return t.hub.ExportPresence(moves(moving), yield)
}

// moves returns a function that says whether a seat is that of a moving session.
func moves(moving []Moving) func(*hub.Seat) bool {
	seats := make(map[*hub.Seat]bool, len(moving))
	for i := range moving {
		seats[moving[i].session.seat] = true
	}
	return func(s *hub.Seat) bool { return seats[s] }
}
