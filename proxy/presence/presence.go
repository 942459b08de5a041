// Package presence records which peers hold which users, and decides what a status update
// changes and what has to be announced. It sends nothing.
package presence

import (
	"math"

	"switchyard/pdu/body"
)

// A Holder is the session number of a peer's connection, which is never used again.
type Holder uint64

// A Directory is a tenant's table of users. For each user it keeps, separately, which
// peers hold it and how many clients of each type are online. As in the original, the
// counts belong to the user and not to a peer: one peer may subtract what another one
// added, and what a peer added stays when it leaves while others still hold the user.
//
// A Directory is not safe for concurrent use. It keeps the memory of its greatest size
// and reuses what becomes free.
//
// Invariants: a user in users has a holder. A peer's held lists a user exactly if one
// of the user's holdings names the peer, and that holding says where in the list
// (see holdings.go). A peer is in byHolder, or left and in leaving, or vacant.
type Directory struct {
	users map[uint32]user
	more  list[holding] // second and further holdings of users; element 0 is unused
	spare uint32        // first unused element of more; they are linked by next; 0 if there is none

	index // of the holdings of users that many peers hold; see index.go

	peers    []peer // by holding.peer; [0] is unused
	byHolder map[Holder]uint32
	leaving  []uint32 // peers that left and may still be named by holdings, in the order in which they left
	vacant   []uint32 // unused elements of peers

	entries int    // holdings, including those of peers in leaving
	left    int    // holdings of peers in leaving
	lefts   uint64 // peers that have left so far

	summed bool
	sum    uint64 // see KeepSum
}

// A user is 28 bytes without pointers, so the garbage collector does not scan millions
// of them.
type user struct {
	holding // the first one
	// counts are the clients on Windows, Mac, iOS and Android. They saturate; the
	// original's wrap around.
	counts [4]uint32
}

// A holding says that a peer holds a user.
type holding struct {
	peer uint32 // in Directory.peers, or 0 for none
	at   uint32 // the user's index in the peer's held
	next uint32 // the user's next holding, in Directory.more, or 0
}

type peer struct {
	holder Holder
	held   list[uint32] // user ids
	left   uint64       // while it is in leaving: how many had left by then, with it; else 0
}

// New returns an empty Directory.
func New() *Directory {
	d := &Directory{
		users:    make(map[uint32]user),
		index:    newIndex(),
		peers:    make([]peer, 1),
		byHolder: make(map[Holder]uint32),
	}
	d.more.push(holding{})
	return d
}

// Apply applies one entry of an announcement (0x0708) by h.
func (d *Directory) Apply(h Holder, s body.ServerUserStat) { d.apply(h, s) }

// A Login says whether a login status notify (0x070e) is to be sent, and which.
type Login uint8

const (
	NoLogin Login = iota
	LoginOn
	LoginOff
)

// Notices say what goes to every peer, including the reporting one: first the login
// status notify, then the status notify.
type Notices struct {
	Login  Login // 0x070e about the user
	Status bool  // 0x0203 with the user and the status as reported
}

// Update applies a status update (0x070a) by h, and returns what to announce. The caller
// has checked s.Announceable.
func (d *Directory) Update(h Holder, s body.ServerUserStat) Notices {
	u, known := d.apply(h, s)
	switch online := known && u.online(); {
	case s.Status != body.Offline && s.Client.PC():
		return Notices{Login: LoginOn, Status: true}
	case s.Status != body.Offline && online:
		return Notices{Login: LoginOn}
	case s.Status == body.Offline && s.Client.PC() && !known:
		return Notices{Status: true}
	case s.Status == body.Offline && s.Client.PC() && !online:
		return Notices{Login: LoginOff, Status: true}
	}
	return Notices{}
}

// Status returns a user's status for the answer to a users status request (0x020a):
// Online if the user has a PC online, else Offline. A user with phones only is Offline.
func (d *Directory) Status(id uint32) body.Status {
	if u, known := d.find(id); known && u.online() {
		return body.Online
	}
	return body.Offline
}

// Holders appends the holders of a user to dst, each once, in no particular order.
func (d *Directory) Holders(id uint32, dst []Holder) []Holder {
	u, known := d.find(id)
	if !known {
		return dst
	}
	for h := u.holding; ; h = *d.more.at(h.next) {
		dst = append(dst, d.peers[h.peer].holder)
		if h.next == 0 {
			return dst
		}
	}
}

// Users returns how many users have a holder. It includes users whose last holder has
// left and that Leave has still to remove.
func (d *Directory) Users() int { return len(d.users) }

// apply returns the user as it is after the change.
func (d *Directory) apply(h Holder, s body.ServerUserStat) (u user, known bool) {
	u, known = d.find(s.User)
	count, before := u.count(s.Client), u.counts
	switch p := d.byHolder[h]; {
	case s.Status != body.Offline:
		if p == 0 {
			p = d.addPeer(h)
		}
		if !known || d.holdingOf(s.User, &u, p) == nil {
			d.hold(s.User, &u, p)
		}
		if *count < math.MaxUint32 {
			*count++
		}
	case !known || p == 0 || d.holdingOf(s.User, &u, p) == nil:
		return u, known // a peer may remove only what it holds
	default:
		if *count > 0 {
			*count--
		}
		if u.counts == [4]uint32{} {
			d.release(s.User, &u, p)
		}
	}
	if d.summed {
		d.sum += sumOfCounts(s.User, &u.counts) - sumOfCounts(s.User, &before)
	}
	return u, d.store(s.User, u)
}

// find returns a user, after removing the holdings of peers that left. What that costs does not depend
// on how many peers hold the user. Of an indexed user, each peer that is leaving is looked for once.
func (d *Directory) find(id uint32) (u user, known bool) {
	u, known = d.users[id]
	if !known || len(d.leaving) == 0 {
		return u, known
	}
	if !d.releaseLeft(id, &u) {
		return u, true
	}
	if known = d.store(id, u); !known {
		return user{}, false
	}
	return u, true
}

// store writes u back, or removes it if it has no holder.
func (d *Directory) store(id uint32, u user) (known bool) {
	if u.peer == 0 {
		delete(d.users, id)
		if d.summed {
			d.sum -= sumOfCounts(id, &u.counts)
		}
		return false
	}
	d.users[id] = u
	return true
}

// count returns the counter of a type of client. The types are 1 and 2 for PCs, 0x11 and
// 0x12 for phones: bit 0 of the type less one, and bit 4, give the index.
func (u *user) count(client body.ClientType) *uint32 {
	return &u.counts[(client-1)&1|client>>3&2]
}

// online reports whether u has a PC online.
func (u *user) online() bool { return u.counts[0] != 0 || u.counts[1] != 0 }
