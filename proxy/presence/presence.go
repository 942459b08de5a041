// Package presence knows which peers hold which users, and what a status update
// changes and is to be announced. It answers, never sends.
package presence

import (
	"math"

	"switchyard/pdu/body"
)

// A Holder is the session number of a peer's connection, which no other
// connection ever has.
type Holder uint64

// A Directory is a tenant's table of users. Who holds a user, and by which types
// of client the user is online, are kept apart: the counts belong to the user, so
// that one peer may take away what another one counted, and what a peer counted
// stays when it leaves and others still hold the user.
//
// It is not safe for concurrent use. It keeps the size of its fullest moment; what
// becomes free is used again.
//
// Invariants: a user in users has a holder. A peer's held lists a user exactly
// if one of the user's holdings names the peer, and that holding says where in
// the list. A peer is in byHolder, or left and in leaving, or vacant.
type Directory struct {
	users map[uint32]user
	more  list[holding] // of users with several holders; the first is unused
	spare uint32        // first unused element of more, which are linked by next; or 0

	peers    []peer // by holding.peer; [0] is unused
	byHolder map[Holder]uint32
	leaving  []uint32 // peers that left and may still be named by holdings
	vacant   []uint32 // peers to be used again

	entries int // holdings that there are
	left    int // of them, those of peers in leaving
}

// A user is 28 bytes and free of pointers, so that the garbage collector has
// nothing to do with millions of them.
type user struct {
	holding // the first one
	// counts are those of Windows, Mac, iOS and Android. They stop at the largest
	// number; the original's begin again at 0.
	counts [4]uint32
}

// A holding says that a peer holds a user.
type holding struct {
	peer uint32 // in Directory.peers, or 0 for none
	at   uint32 // where the peer's held has the user
	next uint32 // the user's next holding, in Directory.more, or 0
}

type peer struct {
	holder Holder
	held   list[uint32] // user ids
	left   bool         // it is in leaving
}

// New returns an empty Directory.
func New() *Directory {
	d := &Directory{
		users:    make(map[uint32]user),
		peers:    make([]peer, 1),
		byHolder: make(map[Holder]uint32),
	}
	d.more.push(holding{})
	return d
}

// Apply takes in what h says about one of its users: an entry of 0x0708.
func (d *Directory) Apply(h Holder, s body.ServerUserStat) { d.apply(h, s) }

// A Login says whether a login status notify (0x070e) is to be sent, and which.
type Login uint8

const (
	NoLogin Login = iota
	LoginOn
	LoginOff
)

// Notices are what goes to every peer, the reporting one too: first the login
// status notify, then the status notify.
type Notices struct {
	Login  Login // 0x070e about the user
	Status bool  // 0x0203 with the user and the status as reported
}

// Update takes in a status update, 0x070a, and returns what to announce. Whether
// s may be taken in at all is for s.Announceable to say.
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

// Status answers for one user of a users status request, 0x020a: Online if a PC
// counts for the user, else Offline. A user with nothing but phones is Offline.
func (d *Directory) Status(id uint32) body.Status {
	if u, known := d.find(id); known && u.online() {
		return body.Online
	}
	return body.Offline
}

// Holders appends the holders of a user to dst, each once, in no order.
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

// Users returns how many users have a holder. It still counts those whose last
// holder has left but was not done with yet (Leave).
func (d *Directory) Users() int { return len(d.users) }

// apply returns the user as it is after the change.
func (d *Directory) apply(h Holder, s body.ServerUserStat) (u user, known bool) {
	u, known = d.find(s.User)
	count := u.count(s.Client)
	switch p := d.byHolder[h]; {
	case s.Status != body.Offline:
		if p == 0 {
			p = d.enter(h)
		}
		if !known || d.holdingOf(&u, p) == nil {
			d.hold(s.User, &u, p)
		}
		if *count < math.MaxUint32 {
			*count++
		}
	case !known || p == 0 || d.holdingOf(&u, p) == nil:
		return u, known // a peer speaks for the users that it holds
	default:
		if *count > 0 {
			*count--
		}
		if u.counts == [4]uint32{} {
			d.release(s.User, &u, p)
		}
	}
	return u, d.store(s.User, u)
}

// find returns a user without the holdings of peers that left.
func (d *Directory) find(id uint32) (u user, known bool) {
	u, known = d.users[id]
	if !known || len(d.leaving) == 0 {
		return u, known
	}
	for _, p := range d.leaving {
		d.release(id, &u, p)
	}
	if known = d.store(id, u); !known {
		return user{}, false
	}
	return u, true
}

// store writes u back, or removes it if nobody holds it any more.
func (d *Directory) store(id uint32, u user) (known bool) {
	if u.peer == 0 {
		delete(d.users, id)
		return false
	}
	d.users[id] = u
	return true
}

// count returns where client is counted. Of the four types, PCs differ in bit 0
// from each other, and so do phones, which have bit 4.
func (u *user) count(client body.ClientType) *uint32 {
	return &u.counts[(client-1)&1|client>>3&2]
}

// online reports whether any PC counts for u.
func (u *user) online() bool { return u.counts[0] != 0 || u.counts[1] != 0 }
