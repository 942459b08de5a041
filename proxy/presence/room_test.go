package presence

import (
	"math"
	"slices"
	"testing"

	"switchyard/pdu/body"
)

func onlineAs(users ...uint32) (stats []body.ServerUserStat) {
	for _, user := range users {
		stats = append(stats, body.ServerUserStat{User: user, Status: online, Client: windows})
	}
	return stats
}

// populate lets A hold 1 to 4 and B hold 4 and 5.
func populate() *Directory {
	d := New()
	for _, s := range onlineAs(1, 2, 3, 4) {
		d.Apply(A, s)
	}
	for _, s := range onlineAs(4, 5) {
		d.Apply(B, s)
	}
	return d
}

func TestRoom(t *testing.T) {
	for name, c := range map[string]struct {
		h                Holder
		users, peerUsers int
		want             int
	}{
		"no limits":          {A, 0, 0, math.MaxInt},
		"of all":             {A, 10, 0, 4}, // a user with two holders counts twice
		"of all, full":       {C, 6, 0, 0},
		"of all, lowered":    {C, 2, 0, -4},
		"of the peer":        {A, 0, 5, 1},
		"of a new peer":      {C, 0, 5, 5},
		"the lower of both":  {A, 7, 9, 1},
		"the lower of both ": {A, 99, 4, 0},
		"as many as can be":  {A, math.MaxInt, math.MaxInt, math.MaxInt - 6},
	} {
		if got := populate().Room(c.h, c.users, c.peerUsers); got != c.want {
			t.Errorf("%s: room for %d, want %d", name, got, c.want)
		}
	}
}

// A peer that left makes room at once, although its entries are still to be removed; but
// such entries take up at most one further table.
func TestRoomOfThoseWhoLeft(t *testing.T) {
	d := New()
	for round := range Holder(10) {
		for user := range uint32(100) {
			d.Apply(1+round, onlineAs(100*uint32(round) + user)[0])
		}
		d.Leave(1+round, 0)
		left := 100 * (int(round) + 1)
		if got, want := d.Room(99, 100, 0), 100-max(0, left-100); got != want {
			t.Errorf("%d entries of peers that left: room for %d, want %d", left, got, want)
		}
	}
	for d.Leave(99, 7) {
		checkInvariants(t, d)
	}
	if d.Entries() != 0 || d.Room(99, 100, 0) != 100 {
		t.Errorf("%d entries when all is taken away, room for %d", d.Entries(), d.Room(99, 100, 0))
	}
}

func TestAddsAtMost(t *testing.T) {
	offline := body.ServerUserStat{User: 9, Status: offline, Client: windows}
	for name, c := range map[string]struct {
		h     Holder
		stats []body.ServerUserStat
		adds  int
	}{
		"nothing":                      {A, nil, 0},
		"those it holds":               {A, onlineAs(1, 2, 3, 4), 0},
		"one that another holds":       {A, onlineAs(5), 1},
		"new ones":                     {A, onlineAs(6, 1, 7), 2},
		"each once":                    {A, onlineAs(6, 7, 6, 7, 6), 2},
		"who comes with its first one": {C, onlineAs(1, 2), 2},
		"who goes takes nothing":       {A, []body.ServerUserStat{offline}, 0},
	} {
		d := populate()
		for n := -1; n < 4; n++ {
			if got, want := d.AddsAtMost(n, c.h, slices.Values(c.stats)), c.adds == 0 || c.adds <= n; got != want {
				t.Errorf("%s: adds at most %d: %v, want %v", name, n, got, want)
			}
		}
		before := d.Entries()
		for _, s := range c.stats {
			d.Apply(c.h, s)
		}
		if got := d.Entries() - before; got != c.adds {
			t.Errorf("%s: %d entries were added, want %d", name, got, c.adds)
		}
	}
}

// A user that only a peer that left held counts as new.
func TestAddsWhatWasLeft(t *testing.T) {
	d := populate()
	d.Leave(A, 0)
	if d.AddsAtMost(2, C, slices.Values(onlineAs(1, 2, 3))) || !d.AddsAtMost(3, C, slices.Values(onlineAs(1, 2, 3))) {
		t.Error("a user whose holder left is not new to the next one")
	}
}
