package hub

import (
	"switchyard/policy"
	"switchyard/proxy/presence"
)

// A Session is what is known of one seat.
type Session struct {
	Number   uint64 // by which policies and logs know it
	Master   bool   // its peer declared itself master
	PDUsIn   uint64 // that its peer said
	BytesIn  uint64 // of those
	PDUsOut  uint64 // written to it whole
	BytesOut uint64 // written to it
	Lag      uint64 // bytes that it is behind
}

// Sessions appends what is known of the seats that are taken, in no order.
func (h *Hub) Sessions(dst []Session) []Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.seats {
		dst = append(dst, Session{Number: s.session, Master: s.master, PDUsIn: s.pdusIn, BytesIn: s.bytesIn,
			PDUsOut: s.sent.Load(), BytesOut: s.sentBytes.Load(), Lag: s.lag()})
	}
	return dst
}

// Presence returns how many users are present, and how many they are if each counts
// once for each peer that holds it.
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

// Holders returns the sessions that hold the user, in no order.
func (h *Hub) Holders(user uint32) (sessions []uint64) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	for _, holder := range h.presence.Holders(user, nil) {
		sessions = append(sessions, uint64(holder))
	}
	return sessions
}

// Foresee returns which sessions would be sent the PDU, which is whole, by that verdict
// if that session said it now, in no order: at most max of them, and how many there
// are. Nothing is sent. What a handler sends is not foreseen.
func (h *Hub) Foresee(session uint64, v policy.Verdict, p []byte, max int) (sessions []uint64, all int) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	defer h.forgetHolders()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.seats[session]
	if s == nil {
		s = &Seat{hub: h, session: session}
	}
	r := h.reach(s, v, p)
	if !r.all {
		for _, to := range r.some[:min(max, len(r.some))] {
			sessions = append(sessions, to.session)
		}
		return sessions, len(r.some)
	}
	for _, to := range h.seats {
		if to == r.but {
			continue
		}
		if all++; len(sessions) < max {
			sessions = append(sessions, to.session)
		}
	}
	return sessions, all
}
