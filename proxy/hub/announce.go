package hub

import (
	"slices"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// A msg_server that connects announces all of its users in one PDU. That may be many
// thousands, so a long announcement takes the lock of the user table in steps:
//
//	announcing  ├──────────────────────────────────────┤  one long announcement at a time
//	presenceMu  ├┤ reserve   ├──┤ 250 users  ├──┤ 250 ...
//
// Between two steps other peers use the table and see a part of the users. That is
// allowed because an announcement sends nothing. The entries that are still to be
// added are reserved, so that no other peer takes their room.

// announceStep is how many users of a long announcement are added at a time.
const announceStep = 250

// isLongAnnouncement reports whether r announces so many users that it has to take
// the lock in steps.
func isLongAnnouncement(r *run) bool {
	return r.verdict.Action() == policy.Handle && r.verdict.Argument() == abi.OnlineUserInfo &&
		len(r.bytes)-pdu.HeaderLen > lengthy
}

// routeLongAnnouncement is routeByPresence for a long announcement.
func (h *Hub) routeLongAnnouncement(from *reader, r *run) {
	h.announcing.Lock()
	defer h.announcing.Unlock()
	r.dropped = h.announce(from, r.bytes[pdu.HeaderLen:])
	h.countRouted(from, r, from.out)
}

// announce adds the users of a long announcement to the table, in steps. Called under
// announcing.
func (h *Hub) announce(from *reader, b []byte) Reason {
	info, err := body.ReadOnlineUserInfo(b, h.clientTypesOf(from))
	if err != nil {
		return MalformedBody
	}
	added, fits := h.reserve(from, info)
	if !fits {
		return PresenceFull
	}
	step, left := h.step[:0], info.Len
	for stat := range info.All() {
		step, left = append(step, stat), left-1
		if len(step) == announceStep || left == 0 {
			h.applyStep(from, step, min(left, added))
			step = step[:0]
		}
	}
	h.step = step
	return ""
}

// reserve reserves room for all entries that info adds, and returns how many they are at
// most, or false if there is not enough room. Called under announcing.
func (h *Hub) reserve(from *reader, info body.OnlineUserInfo) (added int, fits bool) {
	room, ok := h.tryReserve(from, info.Len)
	if ok {
		return info.Len, true
	}
	if added = h.countAdded(from, info, room); added > room {
		return 0, false
	}
	_, ok = h.tryReserve(from, added)
	return added, ok
}

// tryReserve reserves room for n entries if there is enough, and returns how much there is.
func (h *Hub) tryReserve(from *reader, n int) (room int, ok bool) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	if room = h.presenceRoom(from); n > room {
		return room, false
	}
	h.reserved = n
	return room, true
}

// countAdded returns how many entries info adds, or some number above most if it adds more
// than that. It takes the lock in steps; the number stays true meanwhile, because only
// the peer itself changes which users it holds. Called under announcing.
func (h *Hub) countAdded(from *reader, info body.OnlineUserInfo, most int) int {
	added := make(map[uint32]struct{}) // one user may be named several times
	step, left := h.step[:0], info.Len
	for stat := range info.All() {
		step, left = append(step, stat), left-1
		if len(step) < announceStep && left > 0 {
			continue
		}
		for _, new := range h.keepAdding(from, step) {
			added[new.User] = struct{}{}
		}
		if step = step[:0]; len(added) > most {
			break
		}
	}
	h.step = step
	return len(added)
}

// keepAdding keeps those of step, in place, that add an entry.
func (h *Hub) keepAdding(from *reader, step []body.ServerUserStat) []body.ServerUserStat {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	return slices.DeleteFunc(step, func(stat body.ServerUserStat) bool {
		return !h.presence.Adds(from.holder(), stat)
	})
}

// applyStep adds users for which there is room, and leaves reserved what the rest of
// the announcement needs.
func (h *Hub) applyStep(from *reader, step []body.ServerUserStat, reserved int) {
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	for _, stat := range step {
		h.presence.Apply(from.holder(), stat)
	}
	h.reserved = reserved
}

// presenceRoom returns how many entries the peer may add. Called under presenceMu.
func (h *Hub) presenceRoom(from *reader) int {
	holder, most := from.holder(), from.limits
	if !from.applies {
		most = limits{int(h.users.Load()), int(h.peerUsers.Load())}
	}
	ofAll := h.presence.Room(holder, most.users, 0) - h.reserved
	return min(ofAll, h.presence.Room(holder, 0, most.peerUsers))
}

// fits reports whether there is room for all users that info adds. It looks up which of
// them are known only if there might be too little room. Called under presenceMu.
func (h *Hub) fits(from *reader, info body.OnlineUserInfo) bool {
	room := h.presenceRoom(from)
	return info.Len <= room || h.presence.AddsAtMost(room, from.holder(), info.All())
}
