package presence

import "switchyard/pdu/body"

// Held appends to dst what, applied for the same holders elsewhere, makes the users
// that h holds known there: their holders and, as far as that many entries tell, by
// which clients they are online. At most max users are looked at, those before place
// at in the list of h, the last ones if at is negative; next is where to go on, 0 at
// the end.
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

// repeated bounds how many clients of one type are told of one user; a peer may have
// counted billions.
const repeated = 4

// appendEntries appends what p is to say of the user. Counts are not kept by peer:
// the user's first holder says all of them but for one each, which the others say to
// be holders.
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

// others returns how many holders the user has beside the first.
func (d *Directory) others(u *user) (n uint32) {
	for h := u.holding; h.next != 0; h = *d.more.at(h.next) {
		n++
	}
	return n
}
