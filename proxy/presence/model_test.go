package presence

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"switchyard/pdu/body"
)

// A model is the user table as docs/protocol.md describes it, slow and plain.
type model map[uint32]*modelUser

type modelUser struct {
	owners map[Holder]bool
	counts map[body.ClientType]int
}

func (m model) apply(h Holder, s body.ServerUserStat) {
	u := m[s.User]
	switch {
	case u == nil && s.Status != body.Offline:
		m[s.User] = &modelUser{map[Holder]bool{h: true}, map[body.ClientType]int{s.Client: 1}}
	case u == nil:
	case s.Status != body.Offline:
		u.owners[h] = true
		u.counts[s.Client]++
	case u.owners[h]:
		if u.counts[s.Client]--; u.counts[s.Client] <= 0 {
			delete(u.counts, s.Client)
		}
		if len(u.counts) == 0 {
			delete(u.owners, h)
		}
		if len(u.owners) == 0 {
			delete(m, s.User)
		}
	}
}

func (m model) update(h Holder, s body.ServerUserStat) Notices {
	m.apply(h, s)
	u := m[s.User]
	pc := m.status(s.User) == body.Online
	switch {
	case s.Status != body.Offline && s.Client.PC():
		return Notices{LoginOn, true}
	case s.Status != body.Offline && pc:
		return Notices{LoginOn, false}
	case s.Status != body.Offline:
		return Notices{NoLogin, false}
	case !s.Client.PC():
		return Notices{NoLogin, false}
	case u == nil:
		return Notices{NoLogin, true}
	case !pc:
		return Notices{LoginOff, true}
	}
	return Notices{NoLogin, false}
}

func (m model) status(user uint32) body.Status {
	if u := m[user]; u != nil && u.counts[body.ClientWindows]+u.counts[body.ClientMac] > 0 {
		return body.Online
	}
	return body.Offline
}

func (m model) holders(user uint32) []Holder {
	if u := m[user]; u != nil {
		return slices.Sorted(maps.Keys(u.owners))
	}
	return nil
}

func (m model) leave(h Holder) {
	for id, u := range m {
		if delete(u.owners, h); len(u.owners) == 0 {
			delete(m, id)
		}
	}
}

// There are few peers and few users, so that all combinations occur.
func TestDirectoryAgreesWithModel(t *testing.T) {
	const steps = 20_000
	for _, size := range []struct{ peers, users int }{{1, 1}, {2, 2}, {3, 4}, {8, 5}, {4, 60}, {near + 2, 2}} {
		t.Run(fmt.Sprintf("%d peers, %d users", size.peers, size.users), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(size.peers), uint64(size.users)))
			w := walk{t: t, r: r, d: New(), m: model{}, users: size.users}
			w.d.KeepSum()
			for range size.peers {
				w.connect()
			}
			for n := range steps {
				w.step()
				if n%100 == 0 {
					checkInvariants(t, w.d)
				}
				if t.Failed() {
					t.Fatalf("after %d steps, the last: %s", n+1, w.last)
				}
			}
		})
	}
}

// A walk drives a Directory and the model alike, by random steps.
type walk struct {
	t     *testing.T
	r     *rand.Rand
	d     *Directory
	m     model
	users int

	peers   []Holder // connected
	session Holder   // the last one given out
	closing []Holder // Leave returned true
	last    string   // step
}

func (w *walk) connect() {
	w.session++
	w.peers = append(w.peers, w.session)
}

func (w *walk) step() {
	p := w.r.IntN(len(w.peers))
	h := w.peers[p]
	switch n := w.r.IntN(100); {
	case n < 30:
		s := w.stat([]body.Status{1, 2, 3})
		w.last = fmt.Sprintf("apply %d %+v", h, s)
		w.d.Apply(h, s)
		w.m.apply(h, s)
	case n < 90:
		s := w.stat([]body.Status{1, 2, 2, 3, 0, 77})
		w.last = fmt.Sprintf("update %d %+v", h, s)
		if got, want := w.d.Update(h, s), w.m.update(h, s); got != want {
			w.t.Errorf("notices: got %+v, want %+v", got, want)
		}
	case n < 96:
		w.last = "go on leaving"
		w.leave()
	default:
		w.last = fmt.Sprintf("leave %d", h)
		w.peers = slices.Delete(w.peers, p, p+1)
		w.connect()
		w.m.leave(h)
		w.closing = append(w.closing, h)
		w.leave()
	}
	w.compare(w.user())
	if w.r.IntN(10) == 0 {
		for id := range w.users {
			w.compare(spread(id))
		}
	}
}

// leave calls Leave for the peer that left last.
func (w *walk) leave() {
	if n := len(w.closing); n > 0 && !w.d.Leave(w.closing[n-1], 1+w.r.IntN(3)) {
		w.closing = nil
	}
}

func (w *walk) stat(of []body.Status) body.ServerUserStat {
	clients := []body.ClientType{body.ClientWindows, body.ClientMac, body.ClientIOS, body.ClientAndroid}
	return body.ServerUserStat{User: w.user(), Status: of[w.r.IntN(len(of))], Client: clients[w.r.IntN(len(clients))]}
}

func (w *walk) user() uint32 { return spread(w.r.IntN(w.users)) }

// spread makes user ids of 0, 1 ...: the extremes are ordinary ids.
func spread(n int) uint32 { return []uint32{0, 0xffffffff, 0x80000000}[n%3] + uint32(n/3) }

func (w *walk) compare(id uint32) {
	w.t.Helper()
	if got, want := w.d.Status(id), w.m.status(id); got != want {
		w.t.Errorf("status of %d: got %d, want %d", id, got, want)
	}
	got := w.d.Holders(id, nil)
	slices.Sort(got)
	if want := w.m.holders(id); !slices.Equal(got, want) {
		w.t.Errorf("holders of %d: got %v, want %v", id, got, want)
	}
	if u, known := w.d.users[id]; known {
		for client, n := range w.m[id].counts {
			if got := *u.count(client); int(got) != n {
				w.t.Errorf("user %d, client %#x: got count %d, want %d", id, client, got, n)
			}
		}
	}
	if got, want := w.d.Users(), len(w.m); got < want || got > want && len(w.closing) == 0 {
		w.t.Errorf("got %d users, want %d; %v leaving", got, want, w.closing)
	}
}

// checkInvariants checks the invariants that the doc comment of Directory gives.
func checkInvariants(t *testing.T, d *Directory) {
	t.Helper()
	if want := d.sumUp(); d.summed && d.Sum() != want {
		t.Errorf("the sum is %#x, want %#x", d.Sum(), want)
	}
	named := 0   // holdings
	indexed := 0 // of them
	used := map[uint32]bool{0: true}
	for id, u := range d.users {
		if u.peer == 0 {
			t.Errorf("user %d has no holder", id)
		}
		peers := map[uint32]bool{}
		if n := checkIndex(t, d, id, &u); n > 0 {
			indexed += n
		} else if d.checked[id] != 0 {
			t.Errorf("user %d is not indexed, and checked up to %d", id, d.checked[id])
		}
		for h := u.holding; ; h = *d.more.at(h.next) {
			named++
			if held := &d.peers[h.peer].held; int(h.at) >= held.n || *held.at(h.at) != id {
				t.Errorf("user %d: peer %d does not hold it at %d: %v", id, h.peer, h.at, held)
			}
			if peers[h.peer] {
				t.Errorf("user %d is held twice by peer %d", id, h.peer)
			}
			peers[h.peer] = true
			if h.next == 0 {
				break
			}
			if used[h.next] {
				t.Fatalf("user %d: holding %d is used twice", id, h.next)
			}
			used[h.next] = true
		}
	}
	for n := d.spare; n != 0; n = d.more.at(n).next {
		if used[n] {
			t.Fatalf("holding %d is spare and used", n)
		}
		used[n] = true
	}
	if len(used) != d.more.n {
		t.Errorf("%d of %d holdings are lost", d.more.n-len(used), d.more.n)
	}
	if len(d.places) != indexed {
		t.Errorf("the index has %d holdings, want %d", len(d.places), indexed)
	}
	entries, left := named, 0
	for n, p := range d.peers {
		named -= p.held.n
		if (p.left != 0) != slices.Contains(d.leaving, uint32(n)) {
			t.Errorf("peer %d says left = %d, leaving are %v", n, p.left, d.leaving)
		}
		if p.left != 0 {
			left += p.held.n
		}
	}
	if d.entries != entries || d.left != left {
		t.Errorf("%d entries are counted, %d of them of peers that left, want %d, %d", d.entries, d.left, entries, left)
	}
	if named != 0 {
		t.Errorf("users name %d holdings more than peers hold users", named)
	}
	if got, want := len(d.byHolder)+len(d.leaving)+len(d.vacant)+1, len(d.peers); got != want {
		t.Errorf("%d peers are in some list, want %d", got, want)
	}
	for h, p := range d.byHolder {
		if d.peers[p].holder != h {
			t.Errorf("peer %d is %+v, want holder %d", p, d.peers[p], h)
		}
	}
}

// checkIndex checks that the index has the further holdings of an indexed user, and returns how
// many they are; 0 of another user.
func checkIndex(t *testing.T, d *Directory, id uint32, u *user) (indexed int) {
	t.Helper()
	if d.holders(u) <= near {
		return 0
	}
	for n := u.next; n != 0; n = d.more.at(n).next {
		indexed++
		if got := d.places[place{id, d.more.at(n).peer}]; got != n {
			t.Errorf("user %d: the index has the holding of peer %d at %d, want %d", id, d.more.at(n).peer, got, n)
		}
	}
	return indexed
}
