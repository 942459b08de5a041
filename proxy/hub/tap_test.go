package hub_test

import (
	"fmt"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// A recordingTap writes down what it is shown.
type recordingTap struct{ saw []string }

func (w *recordingTap) note(format string, args ...any) {
	w.saw = append(w.saw, fmt.Sprintf(format, args...))
}
func (w *recordingTap) Present(session uint64, master bool, m *Membership) {
	w.note("%d present, master %t%s", session, master, groupsNote(m))
}
func (w *recordingTap) Joined(session uint64, m *Membership) {
	w.note("%d joined%s", session, groupsNote(m))
}
func (w *recordingTap) Grouped(session uint64, m *Membership) {
	w.note("%d grouped%s", session, groupsNote(m))
}
func (w *recordingTap) Left(session uint64) { w.note("%d left", session) }
func (w *recordingTap) Judged(j Judged) {
	n := 0
	for rest := j.PDUs; len(rest) > 0; n++ {
		rest = rest[pdu.ParseHeader(rest).Length:]
	}
	w.note("%d sends %d: %v", j.Session, n, j.Verdict)
}

// groupsNote spells the groups of a peer; "" if it is in none.
func groupsNote(m *Membership) string {
	if m == nil {
		return ""
	}
	return fmt.Sprintf(", in %v, muted %t", m.Groups, m.Muted)
}

func (w *recordingTap) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(w.saw, want) {
		t.Errorf("the tap saw\n%q, want\n%q", w.saw, want)
	}
	w.saw = nil
}

func TestTap(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	b.Send(t, message(pdu.CID_OTHER_ROLE_SET, 1, "\x08\x01"))
	var w, other recordingTap
	detach := h.Attach(&w)
	w.want(t, "1 present, master false", "2 present, master true")
	defer h.Attach(&other)()
	c := hubtest.Join(h)
	a.Send(t, message(others, 1, "x"), message(others, 2, "y"), message(everyone, 3, "z"))
	h.Leave(c.Seat)
	want := []string{"3 joined", "1 sends 2: broadcast-except-sender", "1 sends 1: broadcast-all", "3 left"}
	w.want(t, want...)
	other.want(t, append([]string{"1 present, master false", "2 present, master true"}, want...)...)
	detach()
	a.Send(t, message(others, 1, "x"))
	w.want(t)
	other.want(t, "1 sends 1: broadcast-except-sender")
}

// A tap is shown the groups of peers with their sessions, and only what changes of them.
func TestTapOfGroups(t *testing.T) {
	h := newHub(commonRules())
	joinAs(h, muted(t, "http", "far"))
	var w recordingTap
	h.Attach(&w)
	b, c := joinAs(h, in(t, "admin")), joinAs(h, nil)
	b.SetMembership(in(t, "admin"))
	b.SetMembership(muted(t, "admin"))
	c.SetMembership(nil)
	c.SetMembership(in(t, "admin"))
	c.SetMembership(nil)
	h.Leave(b.Seat)
	b.SetMembership(nil)
	early := h.Connect(new(hubtest.Peer), nil)
	early.SetMembership(in(t, "http"))
	early.Begin()
	w.want(t, "1 present, master false, in [http far], muted true",
		"2 joined, in [admin], muted false", "3 joined", "2 grouped, in [admin], muted true",
		"3 grouped, in [admin], muted false", "3 grouped", "2 left", "4 joined, in [http], muted false")
}

// The tap sees a PDU before any peer gets it, so what the PDU causes is shown after it.
func TestTapSeesBeforeRouting(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	early := &earlyTap{t: t, b: b}
	h.Attach(early)
	a.Send(t, message(others, 1, "x"))
	if !early.asked || len(b.Read()) == 0 {
		t.Error("the tap was not shown the PDU, or it went nowhere")
	}
}

type earlyTap struct {
	recordingTap
	t     *testing.T
	b     *hubtest.Peer
	asked bool
}

func (e *earlyTap) Judged(Judged) {
	e.asked = true
	if got := e.b.Read(); len(got) > 0 {
		e.t.Errorf("%x was sent before the tap saw it", got)
	}
}

// After the last tap is detached, the routing path tests one nil pointer.
func TestDetachedTapCostsNothing(t *testing.T) {
	h := newHub(commonRules())
	h.Attach(&recordingTap{})()
	if h.Tapped() {
		t.Error("there is still a list of taps")
	}
}

func TestJoinAs(t *testing.T) {
	h := newHub(policytest.Rules{others: abi.Unicast | abi.ToSession<<abi.SelectorShift | 70<<abi.ArgumentShift})
	g := &hubtest.Peer{Hub: h}
	var err error
	if g.Seat, err = h.JoinAs(g, 70); err != nil || g.Session() != 70 {
		t.Fatalf("session %d, %v, want 70", g.Session(), err)
	}
	if _, err := h.JoinAs(&hubtest.Peer{}, 70); err == nil {
		t.Error("a number was given out twice")
	}
	next := hubtest.Join(h)
	if next.Session() != 71 {
		t.Errorf("the session after it is %d, want 71", next.Session())
	}
	m := message(others, 1, "x")
	next.Send(t, m)
	if got := g.Read(); string(got) != string(m) {
		t.Errorf("session 70 got %x, want %x", got, m)
	}
}

// Held returns announcements from which another hub learns the same users.
func TestHeld(t *testing.T) {
	h := newHub(commonRules())
	a, b := hubtest.Join(h), hubtest.Join(h)
	a.Send(t, online(1, 2, 3))
	b.Send(t, online(3, 4))
	held := func(s *Seat) (users []uint32) {
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
	if got, want := held(a.Seat), []uint32{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("the first peer holds %v, want %v", got, want)
	}
	if got, want := held(b.Seat), []uint32{3, 4}; !slices.Equal(got, want) {
		t.Errorf("the second peer holds %v, want %v", got, want)
	}
	if _, next := h.Held(99, -1, 2, nil); next != 0 {
		t.Error("there is more to read of a session that does not exist")
	}
}
