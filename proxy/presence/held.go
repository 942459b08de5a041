package presence

import (
	"iter"
	"maps"

	"switchyard/pdu/body"
)

// Present returns the holders that have announced users and have not left, in no particular
// order.
func (d *Directory) Present() iter.Seq[Holder] { return maps.Keys(d.byHolder) }

// Holds returns how many users h holds.
func (d *Directory) Holds(h Holder) int { return d.peers[d.byHolder[h]].held.n }

// Held appends to dst entries that copy the users of h to another Directory, if they are
// applied there for the same holder: who holds the users and, within the limits of
// repeated, by which clients they are online. It reads the list of h backwards, at most
// max users before index at, or from the end if at is negative. next is the index to
// continue at, or 0 when it is done.
func (d *Directory) Held(h Holder, at, max int, dst []body.ServerUserStat) (entries []body.ServerUserStat, next int) {
	p := d.byHolder[h]
	if p == 0 {
		return dst, 0
	}
	held := &d.peers[p].held
	if at < 0 || at > held.n {
		at = held.n
	}
	next = at
	for ; next > 0 && max > 0; max-- {
		next--
		id := *held.at(uint32(next))
		if u, known := d.find(id); known {
			dst = d.appendEntries(dst, id, &u, p)
		}
	}
	return dst, next
}

// clients are the types of client in the order of user.counts.
var clients = [4]body.ClientType{body.ClientWindows, body.ClientMac, body.ClientIOS, body.ClientAndroid}

// repeated bounds how many entries one user has for one type of client. The count may
// be in the billions.
const repeated = 4

// appendEntries appends the entries of p for one user. Counts belong to the user and not
// to a peer, but each holder needs one entry to become a holder. So every holder but the
// first gets one entry for the user's main client, and the first gets the rest:
//
//	counts 3 0 1 0, holders A (first), B     A: 2 × Windows, 1 × iOS     B: 1 × Windows
func (d *Directory) appendEntries(dst []body.ServerUserStat, id uint32, u *user, p uint32) []body.ServerUserStat {
	main := 0
	for main < len(u.counts)-1 && u.counts[main] == 0 {
		main++
	}
	stat := body.ServerUserStat{User: id, Status: body.Online, Client: clients[main]}
	if u.peer != p {
		return append(dst, stat)
	}
	counts := u.counts
	counts[main] = max(counts[main], 1+d.others(u)) - d.others(u)
	for i, n := range counts {
		stat.Client = clients[i]
		for range min(n, repeated) {
			dst = append(dst, stat)
		}
	}
	return dst
}

// others returns how many holders the user has besides the first.
func (d *Directory) others(u *user) (n uint32) {
	for h := u.holding; h.next != 0; h = *d.more.at(h.next) {
		n++
	}
	return n
}
