package hub_test

import (
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
)

// The commands of groupRules.
const (
	toArchive   = pdu.CID_MSG_READ_ACK           // unicast group archive
	othersAlso  = pdu.CID_MSG_DATA_ACK           // broadcast-except-sender, also group archive
	userAlso    = pdu.CID_MSG_UNREAD_CNT_REQUEST // unicast user 7, also group archive
	fieldsAlso  = pdu.CID_MSG_LIST_REQUEST       // unicast fields 1, also group archive
	elseAlso    = pdu.CID_MSG_LIST_RESPONSE      // the same, else-broadcast
	ifFromAdmin = pdu.CID_OTHER_SERVER_KICK_USER // by inspection: broadcast-all for admins, dropped for others
)

func group(t testing.TB, name string) policy.Group {
	t.Helper()
	g, err := policy.GroupNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// rulesByGroup are rules whose inspection broadcasts the PDU to all if its sender is in the group.
type rulesByGroup struct {
	policytest.Rules
	admin policy.Group
}

func (r rulesByGroup) Inspect(_ policy.Verdict, q policy.Question) (policy.Verdict, error) {
	for _, g := range q.Groups {
		if g == r.admin {
			return abi.BroadcastAll, nil
		}
	}
	return abi.Drop, nil
}

func groupRules(t testing.TB) rulesByGroup {
	r, archive := commonRules(), group(t, "archive")
	r[toArchive] = policy.UnicastTo(archive)
	r[othersAlso] = policy.Verdict(abi.BroadcastExceptSender).WithAlso(archive)
	r[userAlso] = policy.Verdict(abi.Unicast | abi.ToUser<<16 | 7<<32).WithAlso(archive)
	fields := policy.Verdict(abi.Unicast | abi.ToFields<<16 | 1<<33)
	r[fieldsAlso] = policy.Verdict(fields).WithAlso(archive)
	r[elseAlso] = policy.Verdict(fields | abi.ElseBroadcast).WithAlso(archive)
	r[ifFromAdmin] = abi.Drop | abi.InspectHeader
	return rulesByGroup{r, group(t, "admin")}
}

// joinAs gives a new peer a seat that is in the groups.
func joinAs(h *Hub, m *Membership) *hubtest.Peer {
	p := &hubtest.Peer{Hub: h}
	p.Seat = h.Connect(p, m)
	p.Begin()
	return p
}

func in(t testing.TB, names ...string) *Membership {
	m := &Membership{}
	for _, name := range names {
		m.Groups = append(m.Groups, group(t, name))
	}
	return m
}

func muted(t testing.TB, names ...string) *Membership {
	m := in(t, names...)
	m.Muted = true
	return m
}

// A policy that inspects learns the groups of the sender, also those that change while it is
// connected.
func TestPolicyKnowsGroups(t *testing.T) {
	h := New(policytest.Active(groupRules(t)), farBehind)
	a, b := joinAs(h, in(t, "archive", "admin")), joinAs(h, in(t, "archive"))
	kick := message(ifFromAdmin, 1, "")
	a.Send(t, kick)
	b.Send(t, kick)
	b.Expect(t, "b", kick)
	a.SetMembership(nil)
	b.SetMembership(in(t, "admin"))
	a.Send(t, kick)
	b.Send(t, kick)
	a.Expect(t, "a", kick, kick)
	if n := hubtest.Conserved(t, h).Dropped[ByPolicy]; n != 2 {
		t.Errorf("%d PDUs were dropped, want 2", n)
	}
}

// A unicast to a group goes to each of its peers once, and to nobody else.
func TestUnicastGroup(t *testing.T) {
	h := New(policytest.Active(groupRules(t)), farBehind)
	a, b, c := joinAs(h, nil), joinAs(h, in(t, "archive")), joinAs(h, in(t, "admin", "archive"))
	m := message(toArchive, 1, "x")
	a.Send(t, m)
	c.Send(t, m) // it has not the flag NOT_SENDER
	a.Expect(t, "a")
	b.Expect(t, "b", m, m)
	c.Expect(t, "c", m, m)
	if got := h.Groups()[group(t, "archive")]; got != (GroupCount{Peers: 2, Copies: 4}) {
		t.Errorf("the group is counted as %+v", got)
	}
	b.Leave(PeerClosed)
	c.SetMembership(nil)
	a.Send(t, m)
	if n := hubtest.Conserved(t, h).Dropped[NoHolder]; n != 1 {
		t.Errorf("%d PDUs had no receiver, want 1", n)
	}
	if got := h.Groups()[group(t, "archive")]; got != (GroupCount{Copies: 4}) {
		t.Errorf("the group is counted as %+v", got)
	}
}

// The second target gets one copy, whatever the first is, in order with the rest; the sender gets none.
func TestAlsoGroup(t *testing.T) {
	h := New(policytest.Active(groupRules(t)), farBehind)
	a, b := joinAs(h, in(t, "archive")), joinAs(h, nil)
	archive, holder := joinAs(h, in(t, "archive")), joinAs(h, in(t, "archive"))
	holder.Send(t, online(7))
	before := message(others, 1, "before")
	broadcast, toUser := message(othersAlso, 2, "x"), message(userAlso, 3, "x")
	known, unknown := message(fieldsAlso, 4, "\x08\x07"), message(fieldsAlso, 5, "\x08\x09")
	fallback, malformed := message(elseAlso, 6, "\x08\x09"), message(fieldsAlso, 7, "\xff")
	after := message(others, 8, "after")
	all := [][]byte{before, broadcast, toUser, known, unknown, fallback, malformed, after}
	a.Send(t, all...)
	a.Expect(t, "the sender")
	b.Expect(t, "b", before, broadcast, fallback, after)
	archive.Expect(t, "archive", before, broadcast, toUser, known, unknown, fallback, after)
	holder.Expect(t, "the holder, which is in the group too", before, broadcast, toUser, known, unknown, fallback, after)
	c := hubtest.Conserved(t, h)
	if c.Dropped[MalformedBody] != 1 || c.Dropped[NoHolder] != 0 {
		t.Errorf("dropped: %v", c.Dropped)
	}
	if got := h.Groups()[group(t, "archive")]; got != (GroupCount{Peers: 3, Copies: 4}) {
		t.Errorf("the group is counted as %+v, want the copies that it got by no other target", got)
	}
}

// A muted peer gets nothing that is broadcast, but what is sent to it, or to its group.
func TestMutedPeer(t *testing.T) {
	h := New(policytest.Active(groupRules(t)), farBehind)
	a, b := joinAs(h, nil), joinAs(h, nil)
	quiet, archive := joinAs(h, muted(t, "http")), joinAs(h, muted(t, "archive"))
	quiet.Send(t, online(7))
	m1, m2, m3, m4 := message(others, 1, "x"), message(userAlso, 2, "x"), message(othersAlso, 3, "x"), message(toArchive, 4, "x")
	a.Send(t, m1, m2, m1, m3, m1, m4)
	h.Send(quiet.Seat, m4) // as a heartbeat
	b.Expect(t, "b", m1, m1, m3, m1)
	quiet.Expect(t, "quiet", m2, m4)
	archive.Expect(t, "archive", m2, m3, m4)
	quiet.Send(t, m1)
	a.Expect(t, "a", m1)
	b.Expect(t, "b", m1)
	quiet.Expect(t, "quiet")

	quiet.SetMembership(nil)
	a.SetMembership(muted(t, "http"))
	b.Send(t, m1, m3)
	quiet.Expect(t, "quiet, no longer muted", m1, m3)
	a.Expect(t, "a, muted now")
	archive.Expect(t, "archive", m3)
	c := hubtest.Conserved(t, h)
	if c.Pending != 0 || c.Due != c.Delivered {
		t.Errorf("copies: due %d, delivered %d, pending %d", c.Due, c.Delivered, c.Pending)
	}
	for _, p := range []*hubtest.Peer{a, b, quiet, archive} {
		p.Leave(PeerClosed)
	}
	if h.Memory() > MinMemory {
		t.Errorf("the hub keeps %d bytes for nobody", h.Memory())
	}
}

// What was due before a peer is muted is still written, and a writer that looks only where something
// is due finds it.
func TestMutingKeepsWhatIsDue(t *testing.T) {
	h := New(policytest.Active(groupRules(t)), farBehind)
	a, b := joinAs(h, nil), joinAs(h, nil)
	m := message(others, 1, "x")
	a.Send(t, m)
	b.SetMembership(muted(t, "http"))
	a.Send(t, m)
	if !b.Behind(h.Head()) {
		t.Error("nothing seems to be due")
	}
	b.Expect(t, "b", m)
	for range 3 * 256 << 10 / len(m) {
		a.Send(t, m)
	}
	b.Expect(t, "b")
	if b.Lag() > 256<<10 {
		t.Errorf("a muted peer lags %d bytes", b.Lag())
	}
	if n := hubtest.Conserved(t, h).Pending; n != 0 {
		t.Errorf("%d copies are pending", n)
	}
}

// What an operator asks about a PDU is what routing does.
func TestRecipientsWithGroups(t *testing.T) {
	h := New(policytest.Active(groupRules(t)), farBehind)
	joinAs(h, in(t, "archive"))
	joinAs(h, muted(t, "archive"))
	joinAs(h, muted(t, "http"))
	joinAs(h, nil)
	r := groupRules(t)
	// The sender is session 1, in archive; it gets copies of everyone and toArchive only.
	for command, want := range map[pdu.CommandID]int{others: 1, othersAlso: 2, toArchive: 2, userAlso: 1, elseAlso: 2, everyone: 2} {
		got, all := h.Recipients(1, r.Rules[command], message(command, 1, "\x08\x09"), 10)
		if all != want || len(got) != want {
			t.Errorf("%v goes to %v, %d in all, want %d", command, got, all, want)
		}
	}
}
