package presence

// Most users have one or two holders, so the holding of a peer is found by following next. Where a
// user has more than near holders, an index says in addition where in Directory.more its further
// holdings are. Without it, 1,000 peers that announce the same 1,000 users would cost half a billion
// steps. With near = 2, user 300 is an indexed user:
//
//	users[300]           more[7]             more[2]             more[9]
//	peer 1 next 7 ─────▶ peer 4 next 2 ────▶ peer 2 next 9 ────▶ peer 5 next 0
//	                     places[300,4] = 7   places[300,2] = 2   places[300,5] = 9
//
// The first holding is inside the user and therefore not in the index.

// near is how many holders a user may have without being indexed.
const near = 8

// An index has the users with more than near holders.
type index struct {
	places map[place]uint32 // where in Directory.more the further holdings are

	// checked says of some users that none of the peers which left up to this one, in the order of
	// peer.left, is still a holder.
	checked map[uint32]uint64
}

// A place is the key of a holding in the index.
type place struct{ user, peer uint32 }

func newIndex() index {
	return index{make(map[place]uint32), make(map[uint32]uint64)}
}

// holdingOf returns u's holding of peer p, or nil.
func (d *Directory) holdingOf(id uint32, u *user, p uint32) *holding {
	h := &u.holding
	for range near {
		if h.peer == p {
			return h
		}
		if h.next == 0 {
			return nil
		}
		h = d.more.at(h.next)
	}
	if n := d.places[place{id, p}]; n != 0 {
		return d.more.at(n)
	}
	return nil
}

// holders returns how many holders u has, which has one at least, but counts up to near+2 only.
func (d *Directory) holders(u *user) (n int) {
	h := &u.holding
	for n = 1; n < near+2 && h.next != 0; n++ {
		h = d.more.at(h.next)
	}
	return n
}

// indexAdded updates the index after a holding was added in front of u's others.
func (d *Directory) indexAdded(id uint32, u *user) {
	switch d.holders(u) {
	case near + 1: // u becomes an indexed user
		for n := u.next; n != 0; n = d.more.at(n).next {
			d.places[place{id, d.more.at(n).peer}] = n
		}
	case near + 2:
		d.places[place{id, d.more.at(u.next).peer}] = u.next
	}
}

// indexRemoved updates the index before the holding of p is removed from u: the first holding moves
// to its place, and the second one becomes the first.
func (d *Directory) indexRemoved(id uint32, u *user, p uint32) {
	switch d.holders(u) {
	case near + 1: // u is no longer an indexed user
		for n := u.next; n != 0; n = d.more.at(n).next {
			delete(d.places, place{id, d.more.at(n).peer})
		}
		delete(d.checked, id)
	case near + 2:
		if n := d.places[place{id, p}]; n != 0 && n != u.next {
			d.places[place{id, u.peer}] = n
		}
		delete(d.places, place{id, p})
		delete(d.places, place{id, d.more.at(u.next).peer})
	}
}

// releaseLeft removes the holdings of peers that left from u, and reports whether there were any. Of
// an indexed user it looks only for those that left since the last call.
func (d *Directory) releaseLeft(id uint32, u *user) (some bool) {
	before := d.entries
	if d.holders(u) <= near {
		for p := d.leftHolder(u); p != 0; p = d.leftHolder(u) {
			d.release(id, u, p)
		}
		return d.entries != before
	}
	checked := d.checked[id]
	for i := len(d.leaving) - 1; i >= 0 && d.peers[d.leaving[i]].left > checked; i-- {
		d.release(id, u, d.leaving[i])
	}
	if d.holders(u) > near {
		d.checked[id] = d.lefts
	}
	return d.entries != before
}

// leftHolder returns a peer that holds u and has left, or 0.
func (d *Directory) leftHolder(u *user) (p uint32) {
	for h := &u.holding; ; h = d.more.at(h.next) {
		if d.peers[h.peer].left != 0 {
			return h.peer
		}
		if h.next == 0 {
			return 0
		}
	}
}
