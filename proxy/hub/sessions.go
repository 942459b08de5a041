package hub

import (
	"slices"

	"switchyard/policy"
	"switchyard/proxy/presence"
)

// A Session describes the session of one seat.
type Session struct {
	Number  uint64 // by which policies and logs know it
	Master  bool   // its peer declared itself master
	Standby bool   // it gets heartbeats only, see SetStandbyLinks

	Groups   []policy.Group // of its peer
	PDUsIn   uint64         // that its peer sent
	Limited  uint64         // of those, dropped as OverLimit
	BytesIn  uint64         // of PDUsIn
	PDUsOut  uint64         // written to it whole
	BytesOut uint64         // written to it
	Lag      uint64         // bytes that it is behind
}

// Sessions appends all sessions to dst, in no particular order.
func (h *Hub) Sessions(dst []Session) []Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.numbered {
		dst = append(dst, s.observed())
	}
	return dst
}

// Observe returns the seat's session, which may have left the hub but must not be released.
func (s *Seat) Observe() Session {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.observed()
}

// observed is Observe. Called under mu.
func (s *Seat) observed() Session {
	return Session{Number: s.Session(), Master: s.master, Standby: s.standby, Groups: s.groups(), PDUsIn: s.pdusIn, Limited: s.limited, BytesIn: s.bytesIn,
		PDUsOut: s.writer.sent.Load(), BytesOut: s.writer.sentBytes.Load(), Lag: s.lag()}
}

// Presence returns how many users are present, and how many entries the user table
// has: a user counts there once for each peer that holds it.
func (h *Hub) Presence() (users, entries int) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return h.presence.Users(), h.presence.Entries()
}

// Holds returns how many users the session holds.
func (h *Hub) Holds(session uint64) int {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return h.presence.Holds(presence.Holder(session))
}

// Holders returns the sessions that hold the user, in no particular order.
func (h *Hub) Holders(user uint32) (sessions []uint64) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	for _, holder := range h.presence.Holders(user, nil) {
		sessions = append(sessions, uint64(holder))
	}
	return sessions
}

// Recipients returns the sessions to which the verdict would send the PDU, which is
// whole, if that session sent it now: at most max of them, in no particular order, and
// how many there are in all. Nothing is sent. What a handler would send is not
// included.
func (h *Hub) Recipients(session uint64, v policy.Verdict, p []byte, max int) (sessions []uint64, all int) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	defer h.trimHolders()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.numbered[session]
	if s == nil {
		s = &Seat{hub: h}
		s.reader.seat = s
		s.setNumber(session)
	}
	r, _ := h.reach(&s.reader, v, p, maxNamed)
	if !r.all {
		for _, to := range r.some[:min(max, len(r.some))] {
			sessions = append(sessions, to.Session())
		}
		return sessions, len(r.some)
	}
	for to := range h.seats {
		if to == r.but || to.passes.Load() && !slices.Contains(r.some, to) {
			continue
		}
		if all++; len(sessions) < max && to.Session() != 0 {
			sessions = append(sessions, to.Session())
		}
	}
	return sessions, all
}
