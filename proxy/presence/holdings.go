package presence

// Who holds whom is stored twice, so that both questions are cheap: which peers hold a
// user, and which users a peer holds. Each holding knows its place in the peer's list:
//
//	users[300]                    more[7]                 more[2]
//	┌───────────────────────┐    ┌───────────────────┐   ┌───────────────────┐
//	│ peer 1  at 0  next 7 ─┼───▶│ peer 4 at 2 next 2┼──▶│ peer 2 at 1 next 0│
//	│ counts 1 0 2 0        │    └───────────────────┘   └───────────────────┘
//	└───────────────────────┘
//	peers[1].held = [ 300, 17 ]           300 is at 0
//	peers[4].held = [ 8, 9, 300 ]         300 is at 2
//	peers[2].held = [ 17, 300 ]           300 is at 1
//
// The first holding of a user is inside its entry, as most users have no other. Further
// ones are in more, linked by next. Unused elements of more are linked by next as well,
// from Directory.spare. All references are indices and not pointers, so the garbage
// collector does not scan the table.
//
// Removing peer 4 from user 300 keeps both lists dense, and moves at most two elements:
//
//	the first holding moves to the place of peer 4's     more[7] = peer 1 at 0 next 2
//	the second one becomes the first, its place spare    users[300] = more[7], more[7] spare
//	the last user of peer 4 moves to place 2             peers[4].held = [ 8, 9 ]
//
// (Here 300 is itself the last user of peer 4, so nothing moves in the third step.)

// addPeer makes h a peer.
func (d *Directory) addPeer(h Holder) (p uint32) {
	if n := len(d.vacant); n > 0 {
		p, d.vacant = d.vacant[n-1], d.vacant[:n-1]
		d.peers[p] = peer{holder: h}
	} else {
		p = uint32(len(d.peers))
		d.peers = append(d.peers, peer{holder: h})
	}
	d.byHolder[h] = p
	return p
}

// Leave removes h from all its users; users without another holder are removed. All
// answers are correct from the first call on. As the removal takes time, one call removes
// at most max entries (at least 1), of h or of holders that left before. It reports whether
// entries are left to remove; a further call with any holder that left continues.
func (d *Directory) Leave(h Holder, max int) (more bool) {
	if p := d.byHolder[h]; p != 0 {
		delete(d.byHolder, h)
		d.leaving = append(d.leaving, p)
		d.lefts++
		d.peers[p].left = d.lefts
		d.left += d.peers[p].held.n
	}
	for len(d.leaving) > 0 {
		last := len(d.leaving) - 1
		p := d.leaving[last]
		held := &d.peers[p].held
		for n := held.n; n > 0; n-- {
			if max <= 0 {
				return true
			}
			max--
			id := *held.at(uint32(n - 1))
			u := d.users[id]
			d.release(id, &u, p)
			d.store(id, u)
		}
		d.leaving = d.leaving[:last]
		d.peers[p] = peer{}
		d.vacant = append(d.vacant, p)
	}
	return false
}

// hold adds a holding of p, which has none yet, in front of u's others.
func (d *Directory) hold(id uint32, u *user, p uint32) {
	added := holding{peer: p, at: uint32(d.peers[p].held.n)}
	if u.peer != 0 {
		added.next = d.keep(u.holding)
	}
	u.holding = added
	d.peers[p].held.push(id)
	d.entries++
	d.indexAdded(id, u)
	if d.summed {
		d.sum += sumOfHolding(id, d.peers[p].holder)
	}
}

// release removes p's holding from u, if there is one.
func (d *Directory) release(id uint32, u *user, p uint32) {
	h := d.holdingOf(id, u, p)
	if h == nil {
		return
	}
	d.indexRemoved(id, u, p)
	at := h.at
	h.peer, h.at = u.peer, u.at // the first holding moves to its place,
	u.holding = d.take(u.next)  // and the second one becomes the first
	d.strike(p, at)
	d.entries--
	if d.summed {
		d.sum -= sumOfHolding(id, d.peers[p].holder)
	}
	if d.peers[p].left != 0 {
		d.left--
	}
}

// strike removes the user at that place from the list of p. The last user of the list
// moves there.
func (d *Directory) strike(p, at uint32) {
	held := &d.peers[p].held
	id := held.pop()
	if at == uint32(held.n) {
		return
	}
	*held.at(at) = id
	u := d.users[id]
	d.holdingOf(id, &u, p).at = at
	d.users[id] = u
}

// keep stores h in more and returns its index.
func (d *Directory) keep(h holding) (n uint32) {
	if n = d.spare; n != 0 {
		d.spare = d.more.at(n).next
		*d.more.at(n) = h
		return n
	}
	d.more.push(h)
	return uint32(d.more.n - 1)
}

// take removes the holding at n from more and returns it. At 0 there is none.
func (d *Directory) take(n uint32) holding {
	if n == 0 {
		return holding{}
	}
	h := *d.more.at(n)
	*d.more.at(n) = holding{next: d.spare}
	d.spare = n
	return h
}
