package hub

import (
	"slices"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
	"switchyard/proxy/presence"
)

// Apply carries out what a hub has said: a batch, or that a session has joined or left. All hubs
// that share the tenant apply the same records in the same order, and records of this hub are applied
// in the order in which it said them. One goroutine calls Apply and the other methods about the
// order; the record must be valid during the call.
//
// A change of the user table is complete when Apply returns: a long announcement and a session that
// leaves with many users take the table's lock in steps, but between two steps there are only
// questions.
func (h *Hub) Apply(r *order.Record) {
	if hubOf(r.Session) != r.Hub {
		return // no hub says this
	}
	kept, joined := h.cameBack(r)
	switch {
	case r.Kind == order.Joined && !joined:
		h.applyJoined(r)
	case r.Kind == order.Batch && kept != nil:
		h.applyOwn(r.Runs, kept, joined)
	case r.Kind == order.Batch && joined:
		h.applyFar(r)
	case r.Kind == order.Left:
		h.applyLeft(r.Session, kept)
	}
	if kept != nil {
		h.settle(kept)
	}
	if r.Hub == h.order.hub {
		h.answer()
	}
	h.closeReplaced()
	h.closeLagging()
}

// cameBack returns what is kept about the record, if it is one of this hub, and whether its session
// has joined.
func (h *Hub) cameBack(r *order.Record) (kept *said, joined bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.order
	_, joined = o.sessions[r.Session]
	switch {
	case r.Hub != o.hub:
	case o.ahead > 0:
		o.ahead--
	case o.first != nil && o.first.isAbout(r):
		kept = o.first
	}
	return kept, joined
}

// isAbout reports whether kept may be about the record r.
func (kept *said) isAbout(r *order.Record) bool {
	if kept.kind != r.Kind || kept.seat.Session() != r.Session {
		return false
	}
	runs := r.Runs
	for i := range kept.runs {
		one := &kept.runs[i]
		if one.bytes != nil { // a question
			continue
		}
		if len(runs) == 0 || runs[0].PDUs != uint32(one.pdus) {
			return false
		}
		runs = runs[1:]
	}
	return len(runs) == 0
}

// applyFar routes the runs of a record that this hub does not count.
func (h *Hub) applyFar(r *order.Record) {
	from := h.begin(r.Session, nil)
	for i := range r.Runs {
		if one := &r.Runs[i]; isRouted(one) {
			h.addRun(from, run{bytes: one.Bytes, pdus: int32(one.PDUs), verdict: one.Verdict}, one)
		}
	}
	h.routeApplied(from)
	clear(from.runs) // so that they do not keep the record alive
}

// applyOwn routes runs that this hub has judged, and answers the questions among them. If their
// session is not in the order, they are dropped.
func (h *Hub) applyOwn(runs []order.Run, kept *said, joined bool) {
	from := h.begin(kept.seat.Session(), kept)
	for _, one := range kept.runs {
		if one.bytes != nil {
			h.addRun(from, one, &order.Run{})
			continue
		}
		if joined && isRouted(&runs[0]) {
			one.bytes, one.verdict = runs[0].Bytes, runs[0].Verdict
			h.addRun(from, one, &runs[0])
		} else {
			h.countUnrouted(from, &one, joined)
		}
		runs = runs[1:]
	}
	h.routeApplied(from)
	kept.seat.note(from, kept.generation)
	kept.seat.outApplied.Add(from.out)
	clear(from.runs)
}

// begin returns the reader from which Apply routes what the session said.
func (h *Hub) begin(session uint64, kept *said) *reader {
	from := &h.order.applier
	*from = reader{session: session, applies: true, uncounted: kept == nil || kept.made, runs: from.runs[:0]}
	h.order.limits = h.order.limits[:0]
	if kept != nil {
		from.seat, from.stage, from.pairs, from.master = kept.seat, kept.stage, kept.pairs, kept.master
	} else {
		h.mu.Lock()
		from.seat = h.numbered[session] // nil if the session is far
		h.mu.Unlock()
	}
	return from
}

// isRouted reports whether a run of a record is to be routed. The other runs either are nothing that a
// hub says, or were counted by the other hubs while this one could not read, and have lost their bytes.
func isRouted(r *order.Run) bool {
	switch v := r.Verdict; v.Action() {
	case policy.BroadcastAll, policy.BroadcastExceptSender:
		return true
	case policy.Unicast:
		return r.PDUs == 1 || !readsBody(v)
	case policy.Handle:
		return r.PDUs == 1 && v.Argument() != abi.UsersStatusRequest
	}
	return false
}

// addRun adds a run that is to be routed.
func (h *Hub) addRun(from *reader, r run, recorded *order.Run) {
	from.runs = append(from.runs, r)
	h.order.limits = append(h.order.limits, limits{int(recorded.Users), int(recorded.PeerUsers)})
}

// routeApplied is route with the limits of the hub where the runs come from.
func (h *Hub) routeApplied(from *reader) {
	for i := 0; i < len(from.runs); {
		if asksPresence(from.runs[i].verdict) {
			from.limits = h.order.limits[i]
			if !h.routeByLink(from, &from.runs[i]) {
				h.routeByPresence(from, &from.runs[i])
			}
			i++
			continue
		}
		i += h.routeRuns(from, from.runs[i:])
	}
}

// countUnrouted counts a run of this hub that only other hubs have routed, or none.
func (h *Hub) countUnrouted(from *reader, r *run, joined bool) {
	if !joined {
		r.dropped = SessionEnded
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.countUnweighed(from, r)
}

// countUnweighed counts a run that is not routed here, so that a stage has nothing to compare. Called
// under mu.
func (h *Hub) countUnweighed(from *reader, r *run) {
	h.count(from, r)
	switch {
	case from.stage == nil:
	case r.pair == 0:
		from.stage.Tally.Sides[policy.Alike] += uint64(r.pdus)
	default:
		from.pairs[r.pair-1].asked = false // too late to compare
		h.weigh(from, r, false)
	}
}

// settle ends what was kept about a record that has been applied, or about questions.
func (h *Hub) settle(kept *said) {
	g := kept.generation
	h.mu.Lock()
	h.order.pop()
	h.mu.Unlock()
	if g != nil {
		g.Release() // not under mu, as it may close the generation
	}
}

// answer answers the questions before which nothing is under way now.
func (h *Hub) answer() {
	for {
		h.mu.Lock()
		kept, ahead := h.order.first, h.order.ahead
		h.mu.Unlock()
		if kept == nil || kept.kind != 0 || ahead > 0 {
			return
		}
		if back := kept.back; back != nil {
			close(back)
		} else {
			h.applyOwn(nil, kept, true)
		}
		h.settle(kept)
	}
}

// applyLeft ends the session in the order. If its seat is at this hub, nothing more becomes due to
// it.
func (h *Hub) applyLeft(session uint64, kept *said) {
	if kept != nil {
		h.mu.Lock()
		h.vacate(kept.seat)
		h.mu.Unlock()
	}
	h.forget(session)
	if kept != nil {
		close(kept.seat.back)
	}
}

// forget removes a session from the order, with all users that it holds.
func (h *Hub) forget(session uint64) {
	h.releaseUsers(session)
	h.mu.Lock()
	h.order.removeSession(session)
	h.mu.Unlock()
}

// releaseUsers releases all users that a session holds, or those that are left of them.
func (h *Hub) releaseUsers(session uint64) {
	for more := true; more; {
		h.presenceMu.Lock()
		more = h.presence.Leave(presence.Holder(session), leaveStep)
		h.presenceMu.Unlock()
	}
}

// LeaveOrdered says that the seat's session has left, once. The channel is closed when that has come
// back, and everything before it: from then on nothing more becomes due to the seat, and its users
// are released. A session that cannot wait for this may Leave before; that changes only what becomes
// due to it. It must be called in place of Handle, by the same goroutine. A session that leaves late, see
// late.go, is not said to have left: the channel is closed when everything before has come back.
func (h *Hub) LeaveOrdered(s *Seat) (back <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.order != nil && h.leavesLate(s) {
		return h.leaveLate(s)
	}
	h.sayLeft(s)
	return s.back
}

// sayLeft is LeaveOrdered under mu.
func (h *Hub) sayLeft(s *Seat) {
	if s.back != nil {
		return
	}
	s.back = make(chan struct{})
	if h.order == nil || s.Session() == 0 || s.reader.standby {
		h.dropAside(&s.reader)
		close(s.back)
		return
	}
	h.saySession(order.Left, s, order.Link{})
}

// DropHub removes the sessions of another hub from the order, with their users, without notices.
// For this hub's own number, its seats stay, but other hubs know nothing of them until Rejoin.
func (h *Hub) DropHub(hub uint16) {
	var sessions []uint64
	h.mu.Lock()
	for session := range h.order.sessions {
		if hubOf(session) == hub {
			sessions = append(sessions, session)
		}
	}
	h.mu.Unlock()
	slices.Sort(sessions) // the order of a user's other holders depends on that of the removals
	for _, session := range sessions {
		h.forget(session)
	}
}
