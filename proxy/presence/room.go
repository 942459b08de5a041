package presence

import (
	"iter"
	"math"

	"switchyard/pdu/body"
)

// Limits count entries: a user with three holders has three.

// Entries returns the number of entries, without those of peers that left.
func (d *Directory) Entries() int { return d.entries - d.left }

// Room returns how many entries h may add, if all peers together may have users entries
// and each of them peerUsers; 0 is unlimited. Entries of peers that left, which Leave has
// still to remove, do not count up to another users entries. So a peer that reconnects
// at once finds room, and peers that reconnect all the time do not fill the memory.
func (d *Directory) Room(h Holder, users, peerUsers int) int {
	room := math.MaxInt
	if users > 0 {
		room = users - d.Entries() - max(0, d.left-users)
	}
	if peerUsers > 0 {
		room = min(room, peerUsers-d.peers[d.byHolder[h]].held.n)
	}
	return room
}

// Adds reports whether s, reported by h, would add an entry.
func (d *Directory) Adds(h Holder, s body.ServerUserStat) bool {
	if s.Status == body.Offline {
		return false
	}
	u, known := d.users[s.User]
	p := d.byHolder[h]
	return !known || p == 0 || d.holdingOf(s.User, &u, p) == nil
}

// AddsAtMost reports whether stats, reported by h, would add at most n entries. Entries
// that they would remove are not subtracted.
func (d *Directory) AddsAtMost(n int, h Holder, stats iter.Seq[body.ServerUserStat]) bool {
	added := make(map[uint32]struct{}) // at most n+1 users; one may be reported several times
	for s := range stats {
		if !d.Adds(h, s) {
			continue
		}
		if added[s.User] = struct{}{}; len(added) > n {
			return false
		}
	}
	return true
}
