package presence

import (
	"math/rand/v2"
	"slices"
	"testing"

	"switchyard/pdu/body"
)

func stats(user uint32, clients ...body.ClientType) (all []body.ServerUserStat) {
	for _, c := range clients {
		all = append(all, body.ServerUserStat{User: user, Status: body.Online, Client: c})
	}
	return all
}

// The table in takeover.go. Afterwards the old holder can go without a trace, and the user is offline when the
// new one has reported that its clients are.
func TestTakeOver(t *testing.T) {
	const win, mac, android = body.ClientWindows, body.ClientMac, body.ClientAndroid
	for _, c := range []struct {
		name      string
		old       []body.ClientType
		other     []body.ClientType
		announced []body.ClientType
		counts    [4]uint32
	}{
		{"alone", []body.ClientType{win}, nil, []body.ClientType{win, mac}, [4]uint32{1, 1, 0, 0}},
		{"alone, more before", []body.ClientType{win, win, android}, nil, []body.ClientType{win}, [4]uint32{1, 0, 0, 0}},
		{"with another", []body.ClientType{win}, []body.ClientType{android}, []body.ClientType{win, mac}, [4]uint32{1, 1, 0, 1}},
		{"with another on the same", []body.ClientType{win}, []body.ClientType{win}, []body.ClientType{win}, [4]uint32{2, 0, 0, 0}},
	} {
		d := New()
		d.KeepSum()
		for _, s := range stats(7, c.old...) {
			d.Apply(1, s)
		}
		for _, s := range stats(7, c.other...) {
			d.Apply(2, s)
		}
		if !d.TakeOver(3, 1, stats(7, c.announced...)) {
			t.Fatalf("%s: nothing was taken over", c.name)
		}
		if u, _ := d.find(7); u.counts != c.counts {
			t.Errorf("%s: counts %v, want %v", c.name, u.counts, c.counts)
		}
		if d.Leave(1, 10); d.Holds(1) != 0 || d.Holds(3) != 1 || d.Sum() != d.sumUp() {
			t.Errorf("%s: the old one holds %d, the new one %d; the sum is %#x, should be %#x", c.name, d.Holds(1), d.Holds(3), d.Sum(), d.sumUp())
		}
		for by, clients := range [][]body.ClientType{2: c.other, 3: c.announced} {
			for _, client := range clients {
				d.Update(Holder(by), body.ServerUserStat{User: 7, Status: body.Offline, Client: client})
			}
		}
		if d.Status(7) != body.Offline {
			t.Errorf("%s: the user is online after all clients have gone", c.name)
		}
	}
}

func TestNothingToTakeOver(t *testing.T) {
	d := New()
	d.Apply(1, stats(7, body.ClientMac)[0])
	offline := stats(7, body.ClientMac)
	offline[0].Status = body.Offline
	if d.TakeOver(3, 1, stats(8, body.ClientMac)) || d.TakeOver(3, 2, stats(7, body.ClientMac)) || d.TakeOver(3, 1, offline) || d.Holds(1) != 1 {
		t.Error("something was taken over")
	}
}

// A msg_server that goes over from one link to another, again and again, leaves the counts of its users as
// they are, whoever else holds them.
func TestTakeOverIsTheIdentity(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 14))
		d, still := New(), New()
		d.KeepSum()
		of := map[Holder]Holder{1: 1, 2: 2, 3: 3} // the present link of each msg_server
		aside := map[Holder]*Directory{1: New(), 2: New(), 3: New()}
		next := Holder(10)
		for range 200 {
			by := Holder(1 + rnd.IntN(3))
			if rnd.IntN(10) > 0 {
				s := body.ServerUserStat{User: uint32(rnd.IntN(5)), Status: body.Status(1 + rnd.IntN(2)), Client: clients[rnd.IntN(4)]}
				if held := holds(aside[by], by, s); s.Status == body.Offline != held {
					continue // each client logs in once, and out once
				}
				aside[by].Apply(by, s)
				if got, want := d.Update(of[by], s), still.Update(by, s); got != want {
					t.Fatalf("seed %d: notices %+v, want %+v", seed, got, want)
				}
				continue
			}
			goOver(d, aside[by], by, of[by], next)
			of[by] = next
			next++
		}
		for id := range uint32(5) {
			u, _ := d.find(id)
			if want, _ := still.find(id); u.counts != want.counts {
				t.Fatalf("seed %d: user %d: counts %v, want %v", seed, id, u.counts, want.counts)
			}
		}
		if d.Sum() != d.sumUp() || d.Entries() > still.Entries() { // a link does not take over users that it has not announced
			t.Fatalf("seed %d: %d entries, not %d; sum %#x, want %#x", seed, d.Entries(), still.Entries(), d.Sum(), d.sumUp())
		}
	}
}

func holds(d *Directory, h Holder, s body.ServerUserStat) bool {
	u, known := d.find(s.User)
	return known && *u.count(s.Client) > 0
}

// goOver announces over the holder next what the msg_server has.
func goOver(d, aside *Directory, by, old, next Holder) {
	all, _ := aside.Held(by, -1, 100, nil)
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(s body.ServerUserStat) bool { return s.User != all[0].User })
		if n < 0 {
			n = len(all)
		}
		if !d.TakeOver(next, old, all[:n]) {
			for _, s := range all[:n] {
				d.Apply(next, s)
			}
		}
		all = all[n:]
	}
	for d.Leave(old, 1) {
	}
}

// Users that others hold as well, and those who are online nowhere, are not held alone. A user is doubled if each
// type of client is there twice.
func TestHoldsAloneAndDoubled(t *testing.T) {
	const win, android = body.ClientWindows, body.ClientAndroid
	d := New()
	apply := func(h Holder, all ...body.ServerUserStat) {
		for _, s := range all {
			d.Apply(h, s)
		}
	}
	apply(1, stats(1, win)...)
	apply(1, stats(2, win, android)...)
	apply(2, stats(2, win, android)...) // doubled
	apply(1, stats(3, win)...)
	apply(2, stats(3, android)...)
	apply(1, stats(4, win)...)
	apply(3, stats(4, win)...) // doubled by a third one
	apply(1, stats(5, win)...)
	apply(2, stats(5, win, android)...) // a phone more
	if got := d.HoldsAlone(1); got != 1 {
		t.Errorf("1 holds %d users alone, want 1", got)
	}
	apply(3, body.ServerUserStat{User: 4, Status: body.Offline, Client: win}, body.ServerUserStat{User: 4, Status: body.Offline, Client: win})
	if d.Leave(2, 100); d.HoldsAlone(1) != 4 || d.HoldsAlone(2) != 0 || d.HoldsAlone(3) != 0 {
		t.Errorf("1 holds %d users alone, want 4; 2, which has left, %d, and 3 %d", d.HoldsAlone(1), d.HoldsAlone(2), d.HoldsAlone(3))
	}
	apply(2, stats(2, win, android)...)
	apply(3, stats(1, win)...)
	looked, with := d.Doubled(1, 100)
	if looked != 5 || len(with) != 2 || with[3] != 1 || with[2] != 1 {
		t.Errorf("of %d users %v are doubled", looked, with)
	}
	if looked, _ := d.Doubled(1, 2); looked != 2 {
		t.Errorf("%d users were looked at, want 2", looked)
	}
}
