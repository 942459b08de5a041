package hub

import (
	"slices"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// maxNamed is how many users one PDU may name in its body; finding the holders of
// more would keep others waiting.
const maxNamed = 4096

// asksPresence reports whether v is carried out by who holds whom.
func asksPresence(v policy.Verdict) bool {
	switch v.Action() {
	case policy.Handle:
		return v.Argument() != abi.RoleSet
	case policy.Unicast:
		return v.Selector() == abi.ToUser || v.Selector() == abi.ToFields
	default:
		return false
	}
}

// readsBody reports whether v depends on each PDU's body.
func readsBody(v policy.Verdict) bool {
	return v.Action() == policy.Unicast && v.Selector() == abi.ToFields
}

// unicast sends the run to whom its verdict names without asking for presence.
// Called under mu.
func (h *Hub) unicast(s *Seat, r *run) Reason {
	h.targets = h.targets[:0]
	switch r.verdict.Selector() {
	case abi.ToSender:
		h.targets = append(h.targets, s)
	case abi.ToSession:
		if to := h.seats[uint64(r.verdict.Argument())]; to != nil {
			h.targets = append(h.targets, to)
		}
	case abi.ToMaster:
		for _, to := range h.seats {
			if to.master {
				h.targets = append(h.targets, to)
			}
		}
	}
	return h.send(s, r)
}

// unicastByPresence sends the run to the holders of the users that its verdict
// names. Called under presenceMu.
func (h *Hub) unicastByPresence(s *Seat, r *run) Reason {
	h.holders = h.holders[:0]
	if r.verdict.Selector() == abi.ToUser {
		if !h.findHolders(r.verdict.Argument()) {
			return h.notKnown(s, r, NoHolder)
		}
	} else {
		users, err := body.ReadValues(r.bytes[pdu.HeaderLen:], r.verdict.Argument())
		if err != nil {
			return h.notKnown(s, r, MalformedBody)
		}
		named := 0
		for user := range users.All() {
			if named++; named > maxNamed {
				return h.notKnown(s, r, TooManyUsers)
			}
			if !h.findHolders(user) && r.verdict.Has(abi.ElseBroadcast) {
				return h.notKnown(s, r, NoHolder)
			}
		}
	}
	slices.Sort(h.holders)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.targets = h.targets[:0]
	for _, holder := range slices.Compact(h.holders) {
		if to := h.seats[uint64(holder)]; to != nil {
			h.targets = append(h.targets, to)
		}
	}
	return h.send(s, r)
}

// findHolders adds the user's holders to h.holders, and reports whether there are
// any.
func (h *Hub) findHolders(user uint32) bool {
	before := len(h.holders)
	h.holders = h.presence.Holders(user, h.holders)
	return len(h.holders) > before
}

// notKnown does what the verdict says for a user who is not known.
func (h *Hub) notKnown(s *Seat, r *run, why Reason) Reason {
	if !r.verdict.Has(abi.ElseBroadcast) {
		return why
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broadcast(r.bytes, r.pdus, s)
	return ""
}

// send gives the run to h.targets, without the sender if the verdict says so.
// Called under mu.
func (h *Hub) send(s *Seat, r *run) Reason {
	targets := h.targets
	if r.verdict.Has(abi.NotSender) {
		targets = slices.DeleteFunc(targets, func(to *Seat) bool { return to == s })
	}
	if len(targets) == 0 {
		return NoHolder
	}
	h.insert(r.bytes, r.pdus, targets...)
	return ""
}
