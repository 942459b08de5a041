package hub

import "slices"

// When a link of a msg_server ends, the msg_server goes over to another one at once. If the old session left
// at the same moment, its users would be offline until the other link has announced them, and those whom
// another msg_server holds as well would count once more, see takeover.go. So with standby links a session
// leaves the order late, unless it was replaced:
//
//	old link   ends ─ vacant here ─ … ─ second SayLate: Left, or the first one that finds it replaced
//	new link          ROLE_SET ─ takes the users over
//	its users  stay ───────────────────▶

// A lateSession is one that has left here and not in the order.
type lateSession struct {
	seat   *Seat
	waited bool // it had left by the last SayLate
}

// leavesLate reports whether the seat's session leaves the order late. Called under mu.
func (h *Hub) leavesLate(s *Seat) bool {
	o := h.order
	return o.standby && s.Session() != 0 && !s.reader.standby && s.back == nil && !o.sessions[s.Session()].Replaced
}

// leaveLate is LeaveOrdered for a session that leaves late: the channel is closed when what its peer said has
// come back. Called under mu.
func (h *Hub) leaveLate(s *Seat) (back chan struct{}) {
	back = make(chan struct{})
	o := h.order
	if o.first == nil && o.ahead == 0 {
		close(back)
		return back
	}
	kept := o.take()
	kept.seat, kept.back, kept.bytes = s, back, saidSize
	o.push(kept)
	return back
}

// SayLate says Left about the sessions that had left here by the last call, and about those that were replaced.
// It returns how many others there are. It is to be called once a second.
func (h *Hub) SayLate() (others int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.order
	if o == nil {
		return 0
	}
	o.late = slices.DeleteFunc(o.late, func(l lateSession) bool {
		done := l.waited || o.sessions[l.seat.Session()].Replaced
		if done {
			h.sayLeft(l.seat)
		}
		return done
	})
	for i := range o.late {
		o.late[i].waited = true
	}
	return len(o.late)
}

// Late returns how many sessions have left here and not in the order.
func (h *Hub) Late() int {
	if h.order == nil {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.order.late)
}
