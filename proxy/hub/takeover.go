package hub

import (
	"cmp"
	"iter"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
	"switchyard/proxy/presence"
)

// When a link of a msg_server breaks, or its hub dies, another link becomes active before all hubs know
// that the old session has ended. If both held the users until then, the users would count twice. As
// counts belong to users and not to sessions, they would stay online for ever. So the new session takes
// the place of the old one, which all hubs find by what is in the order:
//
//	order   … b7: Joined 2, of source s, brings 900 users   b8: 0x0708 of 2   b9: 0x0708 of 2 …
//	          │                                             │                 └ all users were announced:
//	          │                                             │                   the others of 1 are released
//	          │                                             └ session 1 is of source s as well and holds
//	          │                                               these users: 2 takes them over
//	          └ all hubs know 2 from here on; it is served when its role comes, behind these
//
// The old session stays in the order until it leaves. What it still says of users is dropped, and its
// hub closes its connection. A hub that enters again has its sessions join again. If one of them was
// replaced in the meantime, it is the one that gives way.

// routeByLink does the part of routeByPresence that depends on which sessions are links of one
// msg_server. It returns false, and has done nothing, if the run is to be routed as any other.
func (h *Hub) routeByLink(from *reader, r *run) (done bool) {
	v := r.verdict
	if v.Action() != policy.Handle || v.Argument() != abi.OnlineUserInfo && v.Argument() != abi.UserStatusUpdate {
		return false
	}
	as := h.order.sessions[from.session] // which only Apply changes
	switch {
	case as.Replaced:
		r.dropped = Standby
	case !as.TakesOver || as.announced || v.Argument() != abi.OnlineUserInfo:
		return false
	default:
		info, err := body.ReadOnlineUserInfo(r.bytes[pdu.HeaderLen:], h.furtherClients())
		if err != nil {
			return false
		}
		if r.dropped, done = h.routeFirst(from, as, info); !done {
			return false
		}
	}
	h.countRouted(from, r, from.out)
	return true
}

// routeFirst carries out an announcement of a session that takes users over and has not announced all
// of its own. It returns false if it is to be routed as any other.
func (h *Hub) routeFirst(from *reader, as ordered, info body.OnlineUserInfo) (dropped Reason, done bool) {
	if as.replaces == 0 {
		as.replaces = h.findReplaced(from.session, as, info)
	}
	switch other := as.replaces; {
	case other != 0 && as.Again:
		h.replace(from.session)
		return Standby, true
	case other != 0:
		done = true
		if dropped = h.takeOver(from, other, info); dropped == "" {
			h.replace(other)
		} else {
			as.replaces = 0
		}
	}
	as.Users -= min(as.Users, uint32(countUsers(info)))
	as.announced = as.Users == 0 || as.Again
	h.mu.Lock()
	h.order.setSession(from.session, as)
	h.mu.Unlock()
	if as.announced && as.replaces != 0 {
		h.releaseUsers(as.replaces)
	}
	return dropped, done
}

// replace notes that another session has the place of this one.
func (h *Hub) replace(session uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	as := h.order.sessions[session]
	if as.Replaced {
		return
	}
	as.Replaced, as.master = true, false
	h.order.setSession(session, as)
	if s := h.numbered[session]; s != nil {
		s.master = false
		h.order.replaced = append(h.order.replaced, s)
	}
}

// closeReplaced closes the connections of this hub's sessions that were replaced.
func (h *Hub) closeReplaced() {
	for _, s := range h.order.replaced {
		s.peer.Close(Replaced)
	}
	clear(h.order.replaced)
	h.order.replaced = h.order.replaced[:0]
}

// takeOver applies an announcement by a session that takes the place of another one, or returns why
// it has not done so.
func (h *Hub) takeOver(from *reader, other uint64, info body.OnlineUserInfo) Reason {
	holder, old := from.holder(), presence.Holder(other)
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	if !h.fitsOver(from, old, info) {
		return PresenceFull
	}
	for one := range byUser(info) {
		if h.presence.TakeOver(holder, old, one) {
			continue
		}
		for _, stat := range one {
			h.presence.Apply(holder, stat)
		}
	}
	return ""
}

// fitsOver reports whether there is room for the users that info announces, of which old holds some.
// Called under presenceMu.
func (h *Hub) fitsOver(from *reader, old presence.Holder, info body.OnlineUserInfo) bool {
	holder, most := from.holder(), from.limits
	added, taken := make(map[uint32]struct{}), make(map[uint32]struct{})
	for stat := range info.All() {
		if !h.presence.Adds(holder, stat) {
			continue
		}
		if added[stat.User] = struct{}{}; !h.presence.Adds(old, stat) {
			taken[stat.User] = struct{}{}
		}
	}
	return len(added) <= h.presence.Room(holder, 0, most.peerUsers) && len(added)-len(taken) <= h.presence.Room(holder, most.users, 0)
}

// byUser returns the neighbouring entries of each user, which are valid until the next ones.
func byUser(info body.OnlineUserInfo) iter.Seq[[]body.ServerUserStat] {
	return func(yield func([]body.ServerUserStat) bool) {
		var one []body.ServerUserStat
		for stat := range info.All() {
			if len(one) > 0 && one[0].User != stat.User {
				if !yield(one) {
					return
				}
				one = one[:0]
			}
			one = append(one, stat)
		}
		if len(one) > 0 {
			yield(one)
		}
	}
}

// countUsers returns how many users info announces.
func countUsers(info body.OnlineUserInfo) (n int) {
	for range byUser(info) {
		n++
	}
	return n
}

// maxCompared is how many users of an announcement are compared with those of other sessions.
const maxCompared = 1000

// overlap is what an announcement has in common with the users of another session.
type overlap struct{ common, alone int } // alone: that no third session holds

// findReplaced returns the session that has the same source as the given one and holds the same users,
// or 0. One source may be several msg_servers that have users in common, and users come and go between
// two announcements. So of the users that the other session alone holds, at least half have to be
// announced. If it holds none alone, it has to hold at least half of those that are announced, and
// otherwise at least a tenth. Of several sessions it is the one with the most in common.
//
// Users whom others hold as well say little: the session keeps holding those who have logged out at
// its msg_server and not elsewhere, and in months these can become more than all others.
func (h *Hub) findReplaced(session uint64, as ordered, info body.OnlineUserInfo) (replaced uint64) {
	if as.Source == 0 {
		return 0
	}
	h.presenceMu.Lock()
	defer h.presenceMu.Unlock()
	found, compared := h.compare(info)
	announces := max(int(as.Users), compared)
	if as.Users == 0 && compared == maxCompared {
		announces = info.Len
	}
	for other, like := range found {
		of := h.order.sessions[other]
		if other == session || of.Source != as.Source || as.Again && of.Replaced {
			continue
		}
		alone := h.presence.HoldsAlone(presence.Holder(other))
		if alone > 0 && (10*like.common < compared || 2*like.alone*announces < alone*compared) || alone == 0 && 2*like.common < compared {
			continue
		}
		if replaced == 0 || cmp.Or(cmp.Compare(found[replaced].common, like.common), cmp.Compare(other, replaced)) < 0 {
			replaced = other
		}
	}
	return replaced
}

// compare compares the first users that info announces with those of all sessions. It returns what each
// session has in common with them, and how many they are. Called under presenceMu.
func (h *Hub) compare(info body.OnlineUserInfo) (found map[uint64]overlap, compared int) {
	found = make(map[uint64]overlap)
	seen := make(map[uint32]struct{})
	for stat := range info.All() {
		if _, before := seen[stat.User]; before || stat.Status == body.Offline {
			continue
		}
		if len(seen) == maxCompared {
			break
		}
		seen[stat.User] = struct{}{}
		h.holders = h.presence.Holders(stat.User, h.holders[:0])
		for _, holder := range h.holders {
			like := found[uint64(holder)]
			if like.common++; len(h.holders) == 1 {
				like.alone++
			}
			found[uint64(holder)] = like
		}
	}
	return found, len(seen)
}

// linkAgain returns the link by which a session of this hub joins again.
func (h *Hub) linkAgain(session uint64, as ordered) order.Link {
	link := as.Link
	link.Again = as.announced
	link.Users += uint32(h.Holds(session)) // to those that it has still to announce
	return link
}

// applyJoined makes a session take part from here on.
func (h *Hub) applyJoined(r *order.Record) {
	as := ordered{Link: r.Link}
	as.announced = as.Again && as.Users == 0
	h.mu.Lock()
	defer h.mu.Unlock()
	h.order.setSession(r.Session, as)
}
