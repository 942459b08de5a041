package hub

import (
	"fmt"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy/abi"
)

// A witness is a tap of the tests: it writes down what it is shown.
type witness struct{ saw []string }

func (w *witness) note(format string, args ...any) {
	w.saw = append(w.saw, fmt.Sprintf(format, args...))
}
func (w *witness) Present(session uint64, master bool) {
	w.note("%d present, master %t", session, master)
}
func (w *witness) Joined(session uint64) { w.note("%d joined", session) }
func (w *witness) Left(session uint64)   { w.note("%d left", session) }
func (w *witness) Judged(j Judged) {
	n := 0
	for rest := j.PDUs; len(rest) > 0; n++ {
		rest = rest[pdu.ParseHeader(rest).Length:]
	}
	w.note("%d says %d: %v", j.Session, n, j.Verdict)
}

func (w *witness) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(w.saw, want) {
		t.Errorf("the tap saw\n%q, want\n%q", w.saw, want)
	}
	w.saw = nil
}

func TestTap(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
	a, b := join(h), join(h)
	b.say(t, message(pdu.CID_OTHER_ROLE_SET, 1, "\x08\x01"))
	var w, other witness
	detach := h.Attach(&w)
	w.want(t, "1 present, master false", "2 present, master true")
	defer h.Attach(&other)()
	c := join(h)
	a.say(t, message(others, 1, "x"), message(others, 2, "y"), message(everyone, 3, "z"))
	h.Leave(c.Seat)
	want := []string{"3 joined", "1 says 2: broadcast-except-sender", "1 says 1: broadcast-all", "3 left"}
	w.want(t, want...)
	other.want(t, append([]string{"1 present, master false", "2 present, master true"}, want...)...)
	detach()
	a.say(t, message(others, 1, "x"))
	w.want(t)
	other.want(t, "1 says 1: broadcast-except-sender")
}

// What follows from a PDU is shown after it: the tap sees it before anybody gets it.
func TestTapSeesBeforeRouting(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
	a, b := join(h), join(h)
	early := &earlyTap{t: t, b: b}
	h.Attach(early)
	a.say(t, message(others, 1, "x"))
	if !early.asked || len(b.read()) == 0 {
		t.Error("the tap was not shown the PDU, or it went nowhere")
	}
}

type earlyTap struct {
	witness
	t     *testing.T
	b     *guest
	asked bool
}

func (e *earlyTap) Judged(Judged) {
	e.asked = true
	if got := e.b.read(); len(got) > 0 {
		e.t.Errorf("%x was sent before the tap saw it", got)
	}
}

// When nobody looks on any more, nothing is left of it on the path of a PDU.
func TestDetachedTapCostsNothing(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
	h.Attach(&witness{})()
	if h.taps.Load() != nil {
		t.Error("there is still a list of taps")
	}
}

func TestJoinAs(t *testing.T) {
	h := New(judge(rules{others: abi.Unicast | abi.ToSession<<abi.SelectorShift | 70<<abi.ArgumentShift}), farBehind)
	g := &guest{hub: h}
	var err error
	if g.Seat, err = h.JoinAs(g, 70); err != nil || g.Session() != 70 {
		t.Fatalf("session %d, %v, want 70", g.Session(), err)
	}
	if _, err := h.JoinAs(&guest{}, 70); err == nil {
		t.Error("a number was given out twice")
	}
	next := join(h)
	if next.Session() != 71 {
		t.Errorf("the session after it is %d, want 71", next.Session())
	}
	m := message(others, 1, "x")
	next.say(t, m)
	if got := g.read(); string(got) != string(m) {
		t.Errorf("session 70 got %x, want %x", got, m)
	}
}

// What a hub tells of its users makes another hub know the same.
func TestHeld(t *testing.T) {
	h := New(judge(commonRules()), farBehind)
	a, b := join(h), join(h)
	a.say(t, online(1, 2, 3))
	b.say(t, online(3, 4))
	told := func(s *Seat) (users []uint32) {
		for next := -1; next != 0; {
			var stats []body.ServerUserStat
			stats, next = h.Held(s.Session(), next, 2, nil)
			for _, stat := range stats {
				users = append(users, stat.User)
			}
		}
		slices.Sort(users)
		return users
	}
	if got, want := told(a.Seat), []uint32{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("of the first peer it tells %v, want %v", got, want)
	}
	if got, want := told(b.Seat), []uint32{3, 4}; !slices.Equal(got, want) {
		t.Errorf("of the second peer it tells %v, want %v", got, want)
	}
	if _, next := h.Held(99, -1, 2, nil); next != 0 {
		t.Error("it goes on telling of a session that is not there")
	}
}
