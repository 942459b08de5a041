//go:build full || race

package hub_test

import (
	"sync"
	"testing"

	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// While one peer announces many users, others can use the user table. All peers together
// do not get more entries than the limit, and no peer gets less than its own limit allows
// because of the others.
func TestAnnouncingLetsOthersIn(t *testing.T) {
	const users, peers = 200_000, 3
	h := newHub(commonRules())
	h.SetPresenceLimits(2*users, users)
	var all []*hubtest.Peer
	for range peers {
		all = append(all, hubtest.Join(h))
	}
	var announcing sync.WaitGroup
	for i, g := range all {
		p := announce(i*users, users)
		announcing.Go(func() { g.Send(t, p) })
	}
	done := make(chan struct{})
	go func() { announcing.Wait(); close(done) }()
	between := 0
	for over := false; !over; {
		if n := h.Users(); n%users != 0 {
			between++
		}
		select {
		case <-done:
			over = true
		default:
		}
	}
	if between == 0 {
		t.Error("the lock was not released during the announcement")
	}
	if n, c := h.Users(), h.Counts(); n != 2*users || c.Dropped[PresenceFull] != 1 || h.Reserved() != 0 {
		t.Errorf("%d users, %d announcements dropped, room kept for %d; want %d, 1, 0", n, c.Dropped[PresenceFull], h.Reserved(), 2*users)
	}
}

// Announcing users again that are in the table already takes no room from others.
func TestAnnouncingAgainTakesNoRoom(t *testing.T) {
	const users = 50_000
	h := newHub(commonRules())
	a, b, c := hubtest.Join(h), hubtest.Join(h), hubtest.Join(h)
	all := announce(0, users)
	a.Send(t, all)
	h.SetPresenceLimits(users+1000, 0)
	var announcing sync.WaitGroup
	defer announcing.Wait()
	announcing.Go(func() {
		for range 4 {
			a.Send(t, all)
		}
	})
	stop := make(chan struct{})
	go func() { announcing.Wait(); close(stop) }()
	for over := false; !over; {
		b.Send(t, status(3, 1), status(3, 2)) // a user comes and goes
		c.Send(t, announce(users, 500))
		select {
		case <-stop:
			over = true
		default:
		}
	}
	if n := h.Counts().Dropped[PresenceFull]; n > 0 {
		t.Errorf("%d PDUs were dropped though there was room", n)
	}
}
