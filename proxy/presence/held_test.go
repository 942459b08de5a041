package presence

import (
	"math/rand/v2"
	"slices"
	"testing"

	"switchyard/pdu/body"
)

// copyOf makes a Directory from the entries that Held returns, in steps.
func copyOf(d *Directory, holders []Holder) *Directory {
	c := New()
	for _, h := range holders {
		for next := -1; next != 0; {
			var entries []body.ServerUserStat
			entries, next = d.Held(h, next, 3, nil)
			for _, s := range entries {
				c.Apply(h, s)
			}
		}
	}
	return c
}

// A Directory made from another one's entries gives the same answers: who holds whom,
// and who is online.
func TestHeldTellsEverything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	holders := []Holder{1, 2, 3, 4}
	clients := []body.ClientType{body.ClientWindows, body.ClientMac, body.ClientIOS, body.ClientAndroid}
	d := New()
	for i := range 3000 {
		h := holders[random.IntN(len(holders))]
		status := body.Online
		if random.IntN(3) == 0 {
			status = body.Offline
		}
		if random.IntN(300) == 0 {
			d.Leave(h, 2) // not to the end
		}
		d.Apply(h, body.ServerUserStat{User: uint32(random.IntN(40)), Status: status, Client: clients[random.IntN(len(clients))]})
		if i%50 != 0 {
			continue
		}
		c := copyOf(d, holders)
		for user := range uint32(40) {
			got, want := c.Holders(user, nil), d.Holders(user, nil)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) || c.Status(user) != d.Status(user) {
				t.Fatalf("after %d changes user %d is held by %v, %v in the copy, want %v, %v", i, user, got, c.Status(user), want, d.Status(user))
			}
		}
	}
}

// A user with several clients stays online in the copy until the last client has gone.
func TestHeldCountsClients(t *testing.T) {
	d := New()
	for range 3 {
		d.Apply(1, body.ServerUserStat{User: 7, Status: body.Online, Client: body.ClientWindows})
	}
	d.Apply(2, body.ServerUserStat{User: 7, Status: body.Online, Client: body.ClientWindows})
	c := copyOf(d, []Holder{1, 2})
	for range 3 {
		c.Apply(1, body.ServerUserStat{User: 7, Status: body.Offline, Client: body.ClientWindows})
		if c.Status(7) != body.Online {
			t.Fatal("offline in the copy before the last client has gone")
		}
	}
	if c.Apply(2, body.ServerUserStat{User: 7, Status: body.Offline, Client: body.ClientWindows}); c.Status(7) != body.Offline {
		t.Error("online in the copy after the last client has gone")
	}
}

// The index to continue at may be behind the end by then, because the peer has lost users.
func TestHeldOfFewerByNow(t *testing.T) {
	d := New()
	for user := range uint32(3) {
		d.Apply(1, body.ServerUserStat{User: user, Status: body.Online, Client: body.ClientWindows})
	}
	if entries, next := d.Held(1, 10, 10, nil); len(entries) != 3 || next != 0 {
		t.Errorf("%d entries, to continue at %d; want 3, and the end", len(entries), next)
	}
}
