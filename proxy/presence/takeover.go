package presence

import (
	"slices"

	"switchyard/pdu/body"
)

// A msg_server whose link breaks announces its users over another one, while the old link still
// holds them. Its new link takes them over, so that they do not count twice:
//
//	                     old holds 7, alone       old and another hold 7
//	before               Windows 1                Windows 1, Android 1
//	announced            Windows 1, Mac 1         Windows 1, Mac 1
//	after TakeOver       Windows 1, Mac 1         Windows 1, Mac 1, Android 1
//
// If others hold the user as well, it is not known whose its counts are. Then each count becomes what
// was announced at least, and is lowered by nothing that the old link has not reported.

// TakeOver applies entries of an announcement, all of one user, by h, which takes the place of old as a
// holder of that user. It returns false, and has done nothing, if old does not hold the user or h
// announces it as offline. Apply is right then.
func (d *Directory) TakeOver(h, old Holder, entries []body.ServerUserStat) bool {
	id := entries[0].User
	u, known := d.find(id)
	p := d.byHolder[old]
	if !known || p == 0 || d.holdingOf(id, &u, p) == nil {
		return false
	}
	announced := user{}
	for _, s := range entries {
		if s.Status != body.Offline {
			*announced.count(s.Client)++
		}
	}
	if announced.counts == [4]uint32{} {
		return false
	}
	before := u.counts
	d.release(id, &u, p)
	if u.peer == 0 {
		u.counts = announced.counts
	}
	for i, n := range announced.counts {
		u.counts[i] = max(u.counts[i], n)
	}
	q := d.byHolder[h]
	if q == 0 {
		q = d.addPeer(h)
	}
	if u.peer == 0 || d.holdingOf(id, &u, q) == nil {
		d.hold(id, &u, q)
	}
	if d.summed {
		d.sum += sumOfCounts(id, &u.counts) - sumOfCounts(id, &before)
	}
	d.store(id, u)
	return true
}

// HoldsAlone returns how many users that are online h holds and nobody else.
func (d *Directory) HoldsAlone(h Holder) (n int) {
	p := d.byHolder[h]
	held := &d.peers[p].held
	for i := range held.n {
		if u, known := d.find(*held.at(uint32(i))); known && u.next == 0 && u.counts != [4]uint32{} {
			n++
		}
	}
	return n
}

// Doubled looks at the users that h holds, at most max of them. It returns how many it has looked at,
// and for each other holder how many of these it holds as well and are online twice: by two clients of
// each type, if by any of it. A msg_server with two connections reports each client over both.
func (d *Directory) Doubled(h Holder, max int) (looked int, with map[Holder]int) {
	p := d.byHolder[h]
	held := &d.peers[p].held
	looked, with = min(held.n, max), make(map[Holder]int)
	for i := range looked {
		u, known := d.find(*held.at(uint32(held.n - 1 - i)))
		if !known || !u.twice() {
			continue
		}
		for one := u.holding; ; one = *d.more.at(one.next) {
			if one.peer != p {
				with[d.peers[one.peer].holder]++
			}
			if one.next == 0 {
				break
			}
		}
	}
	return looked, with
}

// twice reports whether u is online, and by no type of client with one of it.
func (u *user) twice() bool {
	return u.counts != [4]uint32{} && !slices.Contains(u.counts[:], 1)
}
