package hub_test

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

func TestLengthy(t *testing.T) {
	r := commonRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Consume | abi.InspectHeader
	h := newHub(r)
	long, short := announce(0, LengthyBytes/8), announce(0, 10)
	large := message(others, 1, string(make([]byte, 2*LengthyBytes)))
	for name, tt := range map[string]struct {
		batch []byte
		want  bool
	}{
		"one that names many users": {long, true},
		"behind others":             {slices.Concat(large, short, long), true},
		"a long list of questions":  {ask(0, LengthyBytes), true},
		"few users":                 {short, false},
		"few users, many times":     {slices.Repeat(short, LengthyBytes), false}, // the lock is released between them
		"many bytes for everybody":  {large, false},
		"long, and inspected":       {message(pdu.CID_MSG_READ_ACK, 1, string(make([]byte, VeryLengthy/2))), false},
		"very long, and inspected":  {message(pdu.CID_MSG_READ_ACK, 1, string(make([]byte, VeryLengthy))), true},
		"unknown, and long":         {pdu.Append(nil, 0x7777, 0x7777, 0, make([]byte, 2*LengthyBytes)), true},
	} {
		longest := 0
		for p, rest := CutPDU(tt.batch); p != nil; p, rest = CutPDU(rest) {
			longest = max(longest, len(p))
		}
		if got := h.Lengthy(tt.batch, longest); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// While one peer announces many users, others cannot take the room that is reserved for
// the rest of them.
func TestReservedRoomIsKept(t *testing.T) {
	const users, limit = 100_000, 100_000 + 100
	h := newHub(commonRules())
	h.SetPresenceLimits(limit, 0)
	a, b := hubtest.Join(h), hubtest.Join(h)
	all, few := announce(0, users), announce(users, 500)
	var announcing sync.WaitGroup
	announcing.Go(func() { a.Send(t, all) })
	done := make(chan struct{})
	go func() { announcing.Wait(); close(done) }()
	for h.Users() == 0 {
		runtime.Gosched()
	}
	for over := false; !over; {
		b.Send(t, few)
		select {
		case <-done:
			over = true
		default:
		}
	}
	if _, entries := h.Presence(); entries != users || h.Holds(a.Session()) != users {
		t.Errorf("%d entries, %d of them of the peer that announced %d; the limit is %d", entries, h.Holds(a.Session()), users, limit)
	}
}

// Before the first step of a long announcement, the room for all of it is reserved. What
// another peer announces meanwhile, and has no room, is left for when the announcement is
// over.
func TestRoomIsReservedFirst(t *testing.T) {
	const limit = 1000
	const announcing = abi.Handle | abi.OnlineUserInfo<<32
	h := newHub(commonRules())
	h.SetPresenceLimits(limit, 0)
	a, b := hubtest.Join(h), hubtest.Join(h)
	if added, fits := h.Reserve(a.Seat, announce(0, limit-10)); added != limit-10 || !fits || h.Reserved() != added {
		t.Errorf("reserved %d for %d users (%v), want all", h.Reserved(), added, fits)
	}
	if h.TryByPresence(b.Seat, announcing, announce(limit, 11)) || h.Users() != 0 || h.Counts().Received != 0 {
		t.Error("an announcement was dropped, though its room is only reserved")
	}
	if !h.TryByPresence(b.Seat, announcing, announce(limit, 10)) || h.Users() != 10 {
		t.Error("an announcement that has room was not carried out")
	}
}

// A question about more users than may be looked up at once is dropped, for which the user
// table is not locked.
func TestAsksTooMuch(t *testing.T) {
	h := newHub(commonRules())
	a := hubtest.Join(h)
	a.Send(t, ask(0, MaxAsked))
	if len(a.Read()) < 5*MaxAsked {
		t.Errorf("%d bytes of an answer about %d users", len(a.Got), MaxAsked)
	}
	a.Got = nil
	WithPresenceLocked(h, func() { a.Send(t, ask(0, MaxAsked+1)) })
	a.Expect(t, "the answer")
	if c := hubtest.Conserved(t, h); c.Dropped[TooManyUsers] != 1 || c.Received != 2 {
		t.Errorf("dropped %v of %d", c.Dropped, c.Received)
	}
}

// Announcing users again near the limit is counted exactly, and adds what there is room
// for, however often a user is named.
func TestAnnouncingNearTheLimit(t *testing.T) {
	const users = 20_000
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	a.Send(t, announce(0, users))
	h.SetPresenceLimits(users+10, 0)
	a.Send(t, announce(0, users+10)) // adds 10, and names all the others again
	b.Send(t, announce(users+10, users))
	if c := h.Counts(); c.Dropped[PresenceFull] != 1 || h.Users() != users+10 || h.Reserved() != 0 {
		t.Errorf("dropped %v, %d users, room kept for %d; want one PDU, %d, 0", c.Dropped, h.Users(), h.Reserved(), users+10)
	}
}

// In a stage, a long PDU is lengthy if it is for one of both policies.
func TestLengthyInStage(t *testing.T) {
	const fields = abi.Unicast | abi.ToFields<<16 | 6<<32
	p := pdu.Append(nil, pdu.SID_MSG, others, 1, make([]byte, LengthyBytes))
	for name, tt := range map[string]struct {
		stable, candidate policy.Verdict
		want              bool
	}{
		"alike":     {abi.BroadcastAll, abi.BroadcastAll, false},
		"broadcast": {abi.BroadcastAll, abi.BroadcastExceptSender, false},
		"stable":    {fields, abi.BroadcastAll, true},
		"candidate": {abi.BroadcastAll, fields, true},
	} {
		h := stage(with(others, tt.stable), with(others, tt.candidate), 0)
		if got := h.Lengthy(p, len(p)); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
