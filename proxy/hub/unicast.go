package hub

import (
	"slices"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// maxNamed is how many users one PDU may name in its body. Looking up more would hold
// the lock of the user table for too long.
const maxNamed = 4096

// maxFound is how many holders these users may have before the last of them, for the same reason.
const maxFound = 16 * maxNamed

// asksPresence reports whether carrying out v needs the user table.
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

// lengthy is how many bytes of users one PDU may have without being Lengthy. That is
// some thousand users, which take less than a millisecond.
const lengthy = 16 << 10

// veryLengthy is the same for a PDU that the policy inspects, which is most probably not
// a list of users. Handling it in another goroutine costs a copy, which is negligible
// for that many bytes.
const veryLengthy = 256 << 10

// Lengthy reports whether handling the batch may take so long that a goroutine that
// reads for many sessions should hand it to another one. The batch has whole PDUs; longest
// is the length of the longest one. The policy is not called.
func (h *Hub) Lengthy(batch []byte, longest int) bool {
	if longest <= lengthy {
		return false
	}
	g := h.active.Acquire()
	defer g.Release()
	for len(batch) > 0 {
		header := pdu.ParseHeader(batch)
		if header.Length > lengthy && takesLong(g, header) {
			return true
		}
		batch = batch[header.Length:]
	}
	return false
}

// takesLong reports whether a PDU of more than lengthy bytes may take long.
func takesLong(g *policy.Generation, h pdu.Header) bool {
	v, known := g.Recall(h.Service, h.Command)
	if stage := g.Stage(); !known && stage != nil {
		return takesLong(stage.Split.Stable, h) || takesLong(stage.Split.Candidate, h)
	}
	return !known || asksPresence(v) || v.Inspected() && h.Length > veryLengthy
}

// readsBody reports whether the receivers depend on each PDU's body.
func readsBody(v policy.Verdict) bool {
	return v.Action() == policy.Unicast && v.Selector() == abi.ToFields
}

// unicast sends the run to the seats that its verdict names without the user table.
// Called under mu.
func (h *Hub) unicast(from *reader, r *run) Reason {
	far := h.findNamed(from, r.verdict)
	return h.send(from, r, far)
}

// findNamed sets h.targets to the seats that v names, which does not need the user
// table. It reports whether v names sessions of other hubs as well. Called under mu.
func (h *Hub) findNamed(from *reader, v policy.Verdict) (far bool) {
	h.targets = h.targets[:0]
	switch v.Selector() {
	case abi.ToSender:
		if to := from.present(); to != nil {
			h.targets = append(h.targets, to)
		}
	case abi.ToSession: // of the sender's hub, as the argument has only 32 bits
		hub := from.session >> HubShift << HubShift
		if to := h.numbered[hub|uint64(v.Argument())]; to != nil && !to.standby {
			h.targets = append(h.targets, to)
		}
	case abi.ToMaster:
		for to := range h.seats {
			if to.master {
				h.targets = append(h.targets, to)
			}
		}
		return h.order != nil && h.order.farMasters > 0
	case abi.ToGroup: // each hub knows the groups of its own peers
		h.findMembers(v.Target())
		return h.order.hasFar()
	}
	return false
}

// unicastByPresence sends the run to the holders of the users that its verdict names,
// or does what the verdict says for unknown users. Called under presenceMu.
func (h *Hub) unicastByPresence(from *reader, r *run) Reason {
	unknown := h.findUsers(r.verdict, r.bytes, maxNamed)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case unknown == "":
		far := h.seatHolders()
		return h.send(from, r, far)
	case r.verdict.Has(abi.ElseBroadcast):
		h.broadcast(from, r.bytes, int(r.pdus), from.present())
		h.alsoMuted(from, r)
		return ""
	case unknown == NoHolder && r.verdict.Also() != 0:
		h.targets = h.targets[:0]
		return h.send(from, r, false)
	default:
		return unknown
	}
}

// findUsers sets h.holders to the holders of the users that v names for the PDU p, up to
// the given number of users, and to maxFound. If there are none, it returns the reason. Called under
// presenceMu.
func (h *Hub) findUsers(v policy.Verdict, p []byte, atMost int) (unknown Reason) {
	h.holders = h.holders[:0]
	if v.Selector() == abi.ToUser {
		if h.findHolders(v.Argument()) == 0 {
			return NoHolder
		}
		return ""
	}
	users, err := body.ReadValues(p[pdu.HeaderLen:], v.Argument())
	if err != nil {
		return MalformedBody
	}
	h.named = h.named[:0]
	for user := range users.All() {
		if len(h.named) == atMost {
			return TooManyUsers
		}
		h.named = append(h.named, user)
	}
	slices.Sort(h.named)
	return h.findNamedUsers(v, slices.Compact(h.named)) // one user, named again and again, is looked up once
}

// findNamedUsers is findUsers for these users.
func (h *Hub) findNamedUsers(v policy.Verdict, users []uint32) (unknown Reason) {
	found, most := 0, keptHolders
	for _, user := range users {
		if found > maxFound {
			return TooManyUsers
		}
		n := h.findHolders(user)
		if n == 0 && v.Has(abi.ElseBroadcast) {
			return NoHolder
		}
		found += n
		if len(h.holders) > most { // they are few peers, again and again
			h.compactHolders()
			most = 2*len(h.holders) + keptHolders
		}
	}
	return ""
}

// compactHolders removes duplicates. Called under presenceMu.
func (h *Hub) compactHolders() {
	slices.Sort(h.holders)
	h.holders = slices.Compact(h.holders)
}

// keptHolders is the capacity of h.holders that is kept between PDUs.
const keptHolders = 8 << 10

// trimHolders frees h.holders if it has grown large. Called under presenceMu.
func (h *Hub) trimHolders() {
	if cap(h.holders) > keptHolders {
		h.holders = nil
	}
}

// seatHolders sets h.targets to the seats of h.holders, each once, and reports whether some
// holders are at other hubs, or have announced their users and are about to be served. Called under
// presenceMu and mu.
func (h *Hub) seatHolders() (far bool) {
	h.compactHolders()
	h.targets = h.targets[:0]
	for _, holder := range h.holders {
		switch to := h.numbered[uint64(holder)]; {
		case to == nil:
			far = far || h.isFar(uint64(holder))
		case to.standby:
			far = true
		default:
			h.targets = append(h.targets, to)
		}
	}
	return far
}

// findHolders adds the user's holders to h.holders, and returns how many there are. Called under
// presenceMu.
func (h *Hub) findHolders(user uint32) (n int) {
	before := len(h.holders)
	h.holders = h.presence.Holders(user, h.holders)
	return len(h.holders) - before
}

// send sends the run to h.targets, without the sender if the verdict says so, and to the group that
// gets a copy as well. far says that other hubs send it to sessions of theirs. Called under mu.
func (h *Hub) send(from *reader, r *run, far bool) Reason {
	h.leaveOut(from, r.verdict)
	if to := r.verdict.Target(); to != 0 {
		h.countGroup(to, len(h.targets)*int(r.pdus))
	}
	if also := r.verdict.Also(); also != 0 {
		h.countGroup(also, h.addAlso(from, r.verdict)*int(r.pdus))
		far = far || h.order.hasFar()
	}
	if len(h.targets) == 0 {
		if far {
			return ""
		}
		return NoHolder
	}
	h.insertFor(from, r, h.targets)
	return ""
}

// insertFor inserts the run for the seats in to, and charges it to its sender. Called under mu.
func (h *Hub) insertFor(from *reader, r *run, to []*Seat) {
	h.insert(r.bytes, int(r.pdus), to...)
	from.out += uint64(len(to)) * uint64(len(r.bytes))
}

// leaveOut removes the sender from h.targets, if the verdict says so. Called under mu.
func (h *Hub) leaveOut(from *reader, v policy.Verdict) {
	if v.Has(abi.NotSender) {
		h.targets = slices.DeleteFunc(h.targets, func(to *Seat) bool { return to == from.seat })
	}
}
