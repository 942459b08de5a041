package hub

import "switchyard/proxy/presence"

const (
	twiceLooked = 64 // users of a session that FindTwice looks at
	twiceLeast  = 3  // users that two sessions have to share
)

// FindTwice looks for a msg_server that is connected to this hub and to another one, and served by
// both, so that each client of its users counts twice. It returns the numbers of its two sessions, or 0
// and 0; of several those with the lowest numbers. Two msg_servers of one source are told apart by the
// types of client: a user may be online at one by a PC and at the other by a phone, but not at both by
// the same type, because a login ends the earlier one. FindTwice is called by the goroutine that calls
// Apply, and takes some microseconds for each session of this hub.
func (h *Hub) FindTwice() (session, other uint64) {
	for s, as := range h.order.sessions {
		if hubOf(s) != h.order.hub || as.Source == 0 || session != 0 && session < s {
			continue
		}
		if found := h.findTwin(s, as.Source); found != 0 {
			session, other = s, found
		}
	}
	return session, other
}

// findTwin returns a session of another hub that has the source and doubles the users of the given
// one, or 0.
func (h *Hub) findTwin(session, source uint64) (twin uint64) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	looked, common := h.presence.Doubled(presence.Holder(session), twiceLooked)
	for holder, n := range common {
		other := uint64(holder)
		if n < twiceLeast || 2*n < looked || hubOf(other) == h.order.hub || h.order.sessions[other].Source != source {
			continue
		}
		if twin == 0 || other < twin {
			twin = other
		}
	}
	return twin
}
