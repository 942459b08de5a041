package hub

import (
	"slices"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
)

// A msg_server has a link to each hub that it knows. It reports its users over all of them, says
// everything else over its oldest link alone, and declares itself master there. If several hubs are
// one, only that link counts. The others stand by:
//
//	           Connect        0x0708, 0x070a       ROLE_SET 1              ROLE_SET 1 has come back
//	link  ─────┬──────────────┬────────────────────┬───────────────────────┬──────────────▶
//	hub        │ standby      │ kept aside         │ says Joined,          │ served
//	           │              │                    │ what was kept aside,  │
//	           │              │                    │ and the role          │
//	due        │ heartbeats                                                │ everything
//
// Other hubs know nothing of a standby session. When it becomes active, its users may still be held by
// the link that it replaces, see takeover.go.

// SetStandbyLinks makes sessions standby until they declare themselves master. It must be called
// behind SetOrder, before the first Connect.
func (h *Hub) SetStandbyLinks() { h.order.standby = true }

// beginStandby makes a new seat standby. Called under mu.
func (h *Hub) beginStandby(s *Seat) {
	s.standby, s.reader.standby = true, true
	s.startPassing(s.joined)
}

// served returns how many seats get what is broadcast. Called under mu.
func (h *Hub) served() int { return len(h.seats) - h.passing }

// passAfter is how many bytes of the log a seat that gets nothing of it may lie behind before its
// writer passes over them. Until then it holds two chunks of the log at most.
const passAfter = chunkSize

// maxPass is how many bytes of the log one edit passes over at most.
const maxPass = 1 << 30

// passLog makes a seat that gets nothing of the log pass over all that it has now, unless it has left.
// Called under hub.mu.
func (s *Seat) passLog() {
	end := s.hub.log.head()
	if s.final.Load() != nil || end.at == s.passed.at {
		return
	}
	at := s.passed.at
	for ; end.at-at > maxPass; at += maxPass {
		s.add(edit{at: at, side: s.hub.side.end, size: maxPass})
	}
	pdus := end.pdus - s.passed.pdus
	s.excluded += pdus
	s.add(edit{at: at, side: s.hub.side.end, size: uint32(end.at - at), pdus: uint32(pdus)})
	s.passed = end
	s.passedAt.Store(end.at)
}

// activate makes a standby seat get everything from here on. Called under mu.
func (h *Hub) activate(s *Seat) {
	if !s.standby || s.final.Load() != nil {
		return
	}
	s.standby = false
	h.setPassing(s)
}

// standBy does with the reader's runs what a standby session is for. If it becomes active, standBy says
// the rest as say does.
func (h *Hub) standBy(s *Seat, g *policy.Generation) {
	from := &s.reader
	n := 0
	for ; n < len(from.runs) && !declaresMaster(&from.runs[n]); n++ {
		from.runs[n].dropped = h.standByRun(from, &from.runs[n]) // not under mu, as it may take long
	}
	h.mu.Lock()
	h.countCommands(from)
	for i := range n {
		h.countUnweighed(from, &from.runs[i])
	}
	h.mu.Unlock()
	if n == len(from.runs) {
		return
	}
	all := from.runs
	from.runs = all[:n]
	s.note(from, g)
	from.runs = append(all[:0], all[n:]...)
	h.join(s, g)
	h.say(s, g)
}

// declaresMaster reports whether r makes a standby session active.
func declaresMaster(r *run) bool {
	if r.verdict.Action() != policy.Handle || r.verdict.Argument() != abi.RoleSet {
		return false
	}
	master, err := body.ReadRoleSet(r.bytes[pdu.HeaderLen:])
	return err == nil && master != 0
}

// standByRun carries out what a standby session says, and returns why it was dropped, if it was.
func (h *Hub) standByRun(from *reader, r *run) Reason {
	switch v := r.verdict; v.Action() {
	case policy.Drop:
		return dropReason(r)
	case policy.Consume, policy.Close:
		return ""
	case policy.Handle:
		return h.keepAside(from, v.Argument(), r.bytes[pdu.HeaderLen:])
	}
	return Standby
}

// join says that a standby session is active, and what was kept aside.
func (h *Hub) join(s *Seat, g *policy.Generation) {
	from := &s.reader
	link := order.Link{Source: from.connection, TakesOver: true}
	var all [][]byte // made here, as it may take long
	if from.aside != nil {
		link.Users = uint32(from.aside.Holds(from.holder()))
		all = slices.Collect(announcements(from.heldAside))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.saySession(order.Joined, s, link)
	for _, p := range all {
		h.sayMade(s, g, ofHandler(s.Session(), abi.OnlineUserInfo, p))
	}
	from.standby = false
	h.dropAside(from)
}

// sayMade says a record of one run that the hub has made in the name of the seat's session. Called
// under mu.
func (h *Hub) sayMade(s *Seat, g *policy.Generation, r order.Record) {
	one := &r.Runs[0]
	one.Users, one.PeerUsers = uint32(h.users.Load()), uint32(h.peerUsers.Load())
	g.Acquire()
	kept := h.order.take()
	kept.kind, kept.seat, kept.generation, kept.made = order.Batch, s, g, true
	kept.runs = append(kept.runs, run{pdus: 1, verdict: one.Verdict})
	kept.bytes = 2*saidSize + uint64(len(one.Bytes))
	h.order.push(kept)
	h.order.order.Say(&r)
}
