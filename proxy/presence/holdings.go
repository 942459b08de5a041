package presence

// enter makes h a peer.
func (d *Directory) enter(h Holder) (p uint32) {
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

// Leave takes h away from all its users; who has no other holder is gone. All
// answers are at once as if that were done, but it is work, and a call does it for
// at most max users (at least 1), of h or of holders that left before. It
// reports whether there is more to do, which a further call with any h that left
// does.
func (d *Directory) Leave(h Holder, max int) (more bool) {
	if p := d.byHolder[h]; p != 0 {
		delete(d.byHolder, h)
		d.leaving = append(d.leaving, p)
		d.peers[p].left = true
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

// holdingOf returns where u says that p holds it, or nil.
func (d *Directory) holdingOf(u *user, p uint32) *holding {
	for h := &u.holding; ; h = d.more.at(h.next) {
		if h.peer == p {
			return h
		}
		if h.next == 0 {
			return nil
		}
	}
}

// hold adds p, which does not hold it yet, to u.
func (d *Directory) hold(id uint32, u *user, p uint32) {
	added := holding{peer: p, at: uint32(d.peers[p].held.n)}
	if u.peer != 0 {
		added.next = d.keep(u.holding)
	}
	u.holding = added
	d.peers[p].held.push(id)
	d.entries++
}

// release takes p out of u, if it holds it.
func (d *Directory) release(id uint32, u *user, p uint32) {
	h := d.holdingOf(u, p)
	if h == nil {
		return
	}
	at := h.at
	h.peer, h.at = u.peer, u.at // the first holding takes its place,
	u.holding = d.take(u.next)  // and the second that of the first
	d.strike(p, at)
	d.entries--
	if d.peers[p].left {
		d.left--
	}
}

// strike takes the user at the given place out of what p holds. The last one
// takes its place.
func (d *Directory) strike(p, at uint32) {
	held := &d.peers[p].held
	id := held.pop()
	if at == uint32(held.n) {
		return
	}
	*held.at(at) = id
	u := d.users[id]
	d.holdingOf(&u, p).at = at
	d.users[id] = u
}

// keep puts h into more and returns where.
func (d *Directory) keep(h holding) (n uint32) {
	if n = d.spare; n != 0 {
		d.spare = d.more.at(n).next
		*d.more.at(n) = h
		return n
	}
	d.more.push(h)
	return uint32(d.more.n - 1)
}

// take takes the holding at n out of more; at 0 there is none.
func (d *Directory) take(n uint32) holding {
	if n == 0 {
		return holding{}
	}
	h := *d.more.at(n)
	*d.more.at(n) = holding{next: d.spare}
	d.spare = n
	return h
}
