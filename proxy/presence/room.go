package presence

import (
	"iter"
	"math"

	"switchyard/pdu/body"
)

// An entry is one user as held by one peer: a user with three holders is three.

// Entries returns how many there are, without those of peers that left.
func (d *Directory) Entries() int { return d.entries - d.left }

// Room returns how many entries h may add if all peers together may have users and
// each of them peerUsers; 0 is no limit. What a peer that left is not yet taken away
// from (Leave) has a room of its own, as large, so that a peer that comes back at once
// finds its place, and peers that come and go for ever do not fill the memory.
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
	return !known || p == 0 || d.holdingOf(&u, p) == nil
}

// AddsAtMost reports whether all of that, reported by h, would add at most n entries.
// What it would take away is not counted against that.
func (d *Directory) AddsAtMost(n int, h Holder, stats iter.Seq[body.ServerUserStat]) bool {
	added := make(map[uint32]struct{}) // of at most n+1, as a user may be reported several times
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
