package hub

import (
	"slices"
	"sync"
	"testing"

	"switchyard/pdu"
)

func TestLengthy(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
	long, short := announce(0, lengthy/8), announce(0, 10)
	large := message(others, 1, string(make([]byte, 2*lengthy)))
	for name, tt := range map[string]struct {
		batch []byte
		want  bool
	}{
		"one that names many users": {long, true},
		"behind others":             {slices.Concat(large, short, long), true},
		"a long list of questions":  {ask(0, lengthy), true},
		"few users":                 {short, false},
		"few users, many times":     {slices.Repeat(short, lengthy), false}, // between which others have their turn
		"many bytes for everybody":  {large, false},
		"unknown, and long":         {pdu.Append(nil, 0x7777, 0x7777, 0, make([]byte, 2*lengthy)), true},
	} {
		longest := 0
		for p, rest := cutPDU(tt.batch); p != nil; p, rest = cutPDU(rest) {
			longest = max(longest, len(p))
		}
		if got := h.Lengthy(tt.batch, longest); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// While one peer announces many users, others have their turn. All of them together do
// not announce more than there is room for, and nobody's own room is less because of others.
func TestAnnouncingLetsOthersIn(t *testing.T) {
	const users, peers = 200_000, 3
	h := New(judge(commonRules()), farBehind)
	h.SetPresenceLimits(2*users, users)
	var all []*guest
	for range peers {
		all = append(all, join(h))
	}
	var announcing sync.WaitGroup
	for i, g := range all {
		p := announce(i*users, users)
		announcing.Go(func() { g.say(t, p) })
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
		t.Error("nobody else had a turn meanwhile")
	}
	if n, c := h.Users(), h.Counts(); n != 2*users || c.Dropped[PresenceFull] != 1 || h.announced != 0 {
		t.Errorf("%d users, %d announcements dropped, room kept for %d; want %d, 1, 0", n, c.Dropped[PresenceFull], h.announced, 2*users)
	}
}

// What one peer announces anew, and is there already, takes no room from others.
func TestAnnouncingAgainTakesNoRoom(t *testing.T) {
	const users = 50_000
	h := New(judge(commonRules()), farBehind)
	a, b, c := join(h), join(h), join(h)
	all := announce(0, users)
	a.say(t, all)
	h.SetPresenceLimits(users+1000, 0)
	var announcing sync.WaitGroup
	defer announcing.Wait()
	announcing.Go(func() {
		for range 10 {
			a.say(t, all)
		}
	})
	stop := make(chan struct{})
	go func() { announcing.Wait(); close(stop) }()
	for over := false; !over; {
		b.say(t, status(3, 1), status(3, 2)) // comes and goes
		c.say(t, announce(users, 500))
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
