package hub_test

import (
	"bytes"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/order"
)

// A wire is an order that holds back what was said until pass.
type wire struct {
	t    *testing.T
	hubs []*Hub
	held []*order.Record
}

// A wireEnd is the order of one hub.
type wireEnd struct {
	*wire
	hub uint16
}

func (e wireEnd) Say(r *order.Record) { e.held = append(e.held, e.copied(r)) }

func (e wireEnd) copied(r *order.Record) *order.Record {
	one := *r
	one.Hub, one.Number = e.hub, 1
	parsed, err := order.Parse(one.Append(nil))
	if err != nil {
		e.t.Errorf("a hub says what cannot be parsed: %v", err)
	}
	return &parsed
}

func newWire(t *testing.T, active *policy.Active, hubs int) *wire {
	w := &wire{t: t}
	for n := range hubs {
		h := New(active, 1<<40)
		h.SetOrder(&wireEnd{w, uint16(n + 1)}, uint16(n+1))
		w.hubs = append(w.hubs, h)
	}
	return w
}

// pass has all hubs apply what was said.
func (w *wire) pass() {
	for len(w.held) > 0 {
		r := w.held[0]
		w.held = w.held[1:]
		for _, h := range w.hubs {
			h.Apply(r)
		}
	}
}

func (w *wire) sums() (all []uint64) {
	for _, h := range w.hubs {
		all = append(all, h.TableSum())
	}
	return slices.Compact(all)
}

func sharedRules() policytest.Rules {
	r := handoverRules()
	r[pdu.CID_MSG_READ_ACK] = abi.Unicast | abi.ToUser<<16 | 7<<32
	r[pdu.CID_MSG_UNREAD_CNT_RESPONSE] = abi.BroadcastExceptSender | abi.Log
	return r
}

// A PDU has receivers if some are at other hubs: holders, masters. A session that a verdict names is
// one of the sender's hub.
func TestUnicastToOtherHubs(t *testing.T) {
	w := newWire(t, policytest.Active(roleRules{sharedRules()}), 2)
	a, b := hubtest.Join(w.hubs[0]), hubtest.Join(w.hubs[1])
	first := hubtest.Join(w.hubs[0])
	toUser, toMasters, toSession := message(pdu.CID_MSG_READ_ACK, 1, "for the holder"), message(pdu.CID_MSG_UNREAD_CNT_REQUEST, 2, "for masters"), message(0x0601, 3, "for session 1")
	all := bytes.Join([][]byte{toUser, toMasters, toSession}, nil)
	a.Send(t, all)
	w.pass()
	if c := hubtest.Conserved(t, w.hubs[0]); c.Dropped[NoHolder] != 2 {
		t.Errorf("dropped %v; want two for which there is nobody", c.Dropped)
	}
	b.Send(t, online(7), pdu.Append(nil, 7, pdu.CID_OTHER_ROLE_SET, 0, []byte{8, 1}))
	w.pass()
	first.Send(t, all)
	w.pass()
	if c := hubtest.Conserved(t, w.hubs[0]); c.Dropped[NoHolder] != 2 || c.Actions[policy.Unicast] != 4 {
		t.Errorf("dropped %v, accepted %v", c.Dropped, c.Actions)
	}
	if c := hubtest.Conserved(t, w.hubs[1]); c.Received != 2 || c.Delivered != 0 || c.Due != 2 {
		t.Errorf("the other hub: %+v", c)
	}
	a.Expect(t, "session 1", toSession, toSession)
	b.Expect(t, "holder and master", toUser, toMasters)
	if len(a.Notes) != 2 || len(b.Notes)+len(first.Notes) != 0 {
		t.Errorf("notes: %v, %v, %v; want two drops", a.Notes, b.Notes, first.Notes)
	}
}

// What is under way is counted so, and asked questions wait for it.
func TestUnderway(t *testing.T) {
	w := newWire(t, policytest.Active(roleRules{sharedRules()}), 1)
	a := hubtest.Join(w.hubs[0])
	w.pass()
	ask := pdu.Append(nil, 2, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, 3, []byte{8, 1, 0x10, 7})
	a.Send(t, ask, message(0x7770, 0, "consumed"), message(0x7777, 0, "dropped"), status(7, 1), ask, ask)
	a.Send(t, ask)
	offline := body.AppendUsersStatusResponse(pdu.Append(nil, 2, pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, 3, nil), 1)
	answer := func(s body.Status) []byte {
		p := body.AppendAttachData(body.AppendUserStat(bytes.Clone(offline), 7, s), nil)
		pdu.SetLength(p)
		return p
	}
	c := hubtest.Conserved(t, w.hubs[0])
	if n := w.hubs[0].UnderwayBytes(); c.Received != 7 || c.Underway != 4 || n < 4*pdu.HeaderLen {
		t.Errorf("%+v; %d bytes under way", c, n)
	}
	a.Expect(t, "before", answer(body.Offline))
	before := a.Out()
	w.pass()
	if c = hubtest.Conserved(t, w.hubs[0]); c.Underway != 0 || c.Unstaged != 7 || a.Out() <= before {
		t.Errorf("%+v, out %d and %d", c, before, a.Out())
	}
	got := a.Read()
	if want := bytes.Repeat(answer(body.Online), 3); !bytes.HasSuffix(got, want) || len(got) <= len(want) {
		t.Errorf("got %q", dump(got))
	}
}

// Notes name the policy that judged, also if another one is in force when the PDUs come back. It is closed
// only then.
func TestNotesNameWhoJudged(t *testing.T) {
	first := &policytest.Policy{OnClassify: sharedRules().Classify}
	active := policy.NewActive(policy.NewGeneration("first", "", first))
	w := newWire(t, active, 1)
	a := hubtest.Join(w.hubs[0])
	bad := pdu.Append(nil, 7, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{8})
	a.Send(t, message(pdu.CID_MSG_UNREAD_CNT_RESPONSE, 1, "logged"), bad, message(0x7777, 2, "dropped and logged"))
	if len(a.Notes) != 1 || a.Notes[0].Dropped != ByPolicy {
		t.Errorf("notes %+v; want the drop", a.Notes)
	}
	active.Install(policytest.Generation(policytest.Always(abi.Drop)))
	if first.Closed.Load() != 0 {
		t.Error("the policy is closed, and its PDUs are under way")
	}
	w.pass()
	if len(a.Notes) != 3 || a.Notes[1].Dropped != "" || a.Notes[2].Dropped != MalformedBody || a.Notes[1].Policy.Name != "first" || !bytes.Equal(a.Notes[2].PDU, bad) {
		t.Errorf("notes %+v", a.Notes)
	}
	if first.Closed.Load() != 1 {
		t.Error("the policy is not closed")
	}
}

// A stage weighs a PDU where it was judged. One that goes to peers of other hubs is not undelivered.
func TestWeighedWhereJudged(t *testing.T) {
	h := stage(with(others, abi.BroadcastAll), with(others, abi.Unicast|abi.ToUser<<16|7<<32), 0.5)
	w := newWire(t, h.active, 2)
	a, b := hubtest.Join(w.hubs[0]), hubtest.Join(w.hubs[1])
	a.Send(t, message(others, 1, "\x08\x01"))
	w.pass()
	b.Send(t, online(7))
	w.pass()
	a.Send(t, message(others, 1, "\x08\x01"), message(0x7770, 1, ""))
	w.pass()
	got := policy.Weights{}
	for _, c := range h.Weighed(h.tally).Commands {
		if c.Command == others {
			got = c.Weights
		}
	}
	if got.PDUs != 2 || got.Undelivered != 1 || got.Unweighed != 0 || got.Copies[0].PDUs != 2 {
		t.Errorf("%+v; want 2 PDUs, 1 of them undelivered", got)
	}
	one, two := hubtest.Conserved(t, w.hubs[0]), hubtest.Conserved(t, w.hubs[1])
	all := h.Weighed(h.tally)
	if one.Unstaged+two.Unstaged != 0 || all.Alike+all.ByStable+all.ByCandidate != one.Received+two.Received {
		t.Errorf("%+v, %+v, %+v", one, two, all)
	}
}

// A session that leaves is served until its last words have come back, and its users stay until then. One
// that does not wait has said them all the same.
func TestLeaveOrdered(t *testing.T) {
	w := newWire(t, policytest.Active(roleRules{sharedRules()}), 2)
	a, b, c := hubtest.Join(w.hubs[0]), hubtest.Join(w.hubs[0]), hubtest.Join(w.hubs[1])
	a.Send(t, online(7))
	w.pass()
	last := message(everyone, 1, "last words")
	a.Send(t, last)
	back := w.hubs[0].LeaveOrdered(a.Seat)
	if again := w.hubs[0].LeaveOrdered(a.Seat); again != back || w.hubs[1].Users() != 1 {
		t.Error("leaving twice is not leaving once")
	}
	select {
	case <-back:
		t.Error("back before it is in the order")
	default:
	}
	w.pass()
	<-back
	b.Send(t, message(everyone, 2, "after"))
	w.pass()
	a.Expect(t, "a", last)
	b.Expect(t, "b", last, message(everyone, 2, "after"))
	a.Leave(PeerClosed)

	b.Send(t, online(8), last)
	b.Leave(PeerClosed)
	if w.hubs[0].Users() != 0 {
		t.Error("a user came before the order")
	}
	w.pass()
	c.Expect(t, "c", last, message(everyone, 2, "after"), last)
	for i, h := range w.hubs {
		if users := h.Users(); users != 0 {
			t.Errorf("hub %d has %d users of sessions that left", i, users)
		}
		hubtest.Conserved(t, h)
	}
	if back = w.hubs[0].LeaveOrdered(w.hubs[0].Connect(a, nil)); back == nil {
		t.Fatal("no channel")
	}
	<-back // nobody knows of a connection that was not a session
}

// Records that no hub says change nothing, at any hub.
func TestForgedRecords(t *testing.T) {
	w := newWire(t, policytest.Active(roleRules{sharedRules()}), 2)
	a := hubtest.Join(w.hubs[0])
	w.pass()
	mine, far := a.Session(), uint64(3)<<HubShift+1
	run := func(v policy.Verdict, pdus ...[]byte) []order.Run {
		return []order.Run{{Verdict: v, PDUs: uint32(len(pdus)), Bytes: bytes.Join(pdus, nil)}}
	}
	announce := run(abi.Handle|abi.OnlineUserInfo<<32, online(1))
	for name, r := range map[string]order.Record{
		"session of another hub": {Kind: order.Batch, Session: mine, Origin: order.Origin{Hub: 3}, Runs: announce},
		"not joined":             {Kind: order.Batch, Session: far, Origin: order.Origin{Hub: 3}, Runs: announce},
		"left, not joined":       {Kind: order.Left, Session: far, Origin: order.Origin{Hub: 3}},
		"question":               {Kind: order.Batch, Session: mine, Origin: order.Origin{Hub: 1}, Runs: run(abi.Handle|abi.UsersStatusRequest<<32, online(1))},
		"two PDUs for a handler": {Kind: order.Batch, Session: mine, Origin: order.Origin{Hub: 1}, Runs: run(abi.Handle|abi.OnlineUserInfo<<32, online(1), online(2))},
		"close":                  {Kind: order.Batch, Session: mine, Origin: order.Origin{Hub: 1}, Runs: run(abi.Close, online(1))},
		"beat":                   {Kind: order.Beat, Origin: order.Origin{Hub: 1}},
	} {
		for i, h := range w.hubs {
			if h.Apply(&r); h.Users() != 0 || len(a.Read()) > 0 || h.Counts().Received+h.Counts().Underway != 0 {
				t.Errorf("%s: hub %d has taken it", name, i+1)
			}
		}
	}
	a.Send(t, message(everyone, 1, ""), online(5))
	w.hubs[0].Apply(&order.Record{Kind: order.Batch, Session: mine, Origin: order.Origin{Hub: 1}, Runs: run(abi.BroadcastAll, message(everyone, 2, "forged"))})
	if c := w.hubs[0].Counts(); c.Underway != 2 {
		t.Errorf("%d PDUs are under way, want the 2 that were said", c.Underway)
	}
	w.pass()
	if c := hubtest.Conserved(t, w.hubs[0]); c.Underway != 0 || w.hubs[0].Users() != 1 {
		t.Errorf("%d PDUs under way, %d users; want none, and 1", c.Underway, w.hubs[0].Users())
	}
}

// A hub that other hubs have counted without it learns that its records have come back, and delivers
// nothing of them. What else cannot be routed is counted as well.
func TestUnroutedIsCounted(t *testing.T) {
	h := stage(sharedRules(), with(others, abi.Drop), 1)
	w := &wire{t: t, hubs: []*Hub{h.Hub}}
	h.SetOrder(&wireEnd{w, 1}, 1)
	a, b := hubtest.Join(h.Hub), hubtest.Join(h.Hub)
	w.pass()
	a.Send(t, message(everyone, 1, "counted elsewhere"), online(7))
	w.held[0].Runs[0].Verdict, w.held[0].Runs[0].Bytes = abi.Consume, nil
	w.pass()
	if c := hubtest.Conserved(t, h.Hub); c.Actions[policy.BroadcastAll] != 1 || c.Underway != 0 || h.Users() != 1 {
		t.Errorf("%+v, %d users", c, h.Users())
	}
	b.Expect(t, "b")
	h.DropHub(1)
	a.Send(t, message(everyone, 1, "not joined"))
	w.pass()
	if c := hubtest.Conserved(t, h.Hub); c.Dropped[SessionEnded] != 1 || c.Underway != 0 {
		t.Errorf("%+v", c)
	}
	b.Expect(t, "b")
	if len(w.held) != 0 {
		t.Error("something is left")
	}
}

// Other hubs need not admit the client types of this one.
func TestClientTypesAreRestated(t *testing.T) {
	w := newWire(t, policytest.Active(roleRules{sharedRules()}), 2)
	w.hubs[0].SetClientTypes(body.ClientTypes{0x13: body.ClientAndroid, 3: body.ClientWindows})
	a, b := hubtest.Join(w.hubs[0]), hubtest.Join(w.hubs[1])
	a.Send(t, pdu.Append(nil, 7, pdu.CID_OTHER_ONLINE_USER_INFO, 0, []byte{0xa, 6, 8, 5, 0x10, 1, 0x18, 3}),
		pdu.Append(nil, 7, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{8, 1, 0x10, 6, 0x18, 0x13}),
		pdu.Append(nil, 7, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{8, 1, 0x10, 6, 0x18, 4}))
	w.pass()
	if w.hubs[1].Users() != 2 || len(w.sums()) != 1 {
		t.Errorf("%d users, sums %x", w.hubs[1].Users(), w.sums())
	}
	if c := hubtest.Conserved(t, w.hubs[0]); c.Dropped[MalformedBody] != 1 || len(a.Notes) != 1 || a.Notes[0].Header.Command != pdu.CID_OTHER_USER_STATUS_UPDATE {
		t.Errorf("dropped %v, notes %v; want the unknown client", c.Dropped, a.Notes)
	}
	b.Read()
}

// All hubs read the same in a record, whichever further client types they admit: what is unknown at
// the hub of the sender is refused by all.
func TestClientTypesOfOtherHubsDoNotCount(t *testing.T) {
	w := newWire(t, policytest.Active(roleRules{sharedRules()}), 2)
	w.hubs[1].SetClientTypes(body.ClientTypes{0x13: body.ClientAndroid, 3: body.ClientWindows})
	a, b := hubtest.Join(w.hubs[0]), hubtest.Join(w.hubs[1])
	long := pdu.Append(nil, 7, pdu.CID_OTHER_ONLINE_USER_INFO, 0, bytes.Repeat([]byte{0xa, 6, 8, 7, 0x10, 1, 0x18, 3}, 4<<10))
	a.Send(t, pdu.Append(nil, 7, pdu.CID_OTHER_ONLINE_USER_INFO, 0, []byte{0xa, 6, 8, 5, 0x10, 1, 0x18, 3}),
		pdu.Append(nil, 7, pdu.CID_OTHER_USER_STATUS_UPDATE, 0, []byte{8, 1, 0x10, 6, 0x18, 0x13}), long)
	w.pass()
	if users := w.hubs[1].Users(); users != 0 || len(w.sums()) != 1 {
		t.Errorf("%d users, sums %x; want none, as the other hub has none", users, w.sums())
	}
	if c := hubtest.Conserved(t, w.hubs[0]); c.Dropped[MalformedBody] != 3 {
		t.Errorf("dropped %v; want all", c.Dropped)
	}
	b.Expect(t, "b")
}

// All hubs end up with the holders of a user in the same order when a hub with several of them is
// gone, whatever order their maps have: by it Rejoin decides who says the user's counts.
func TestDropHubKeepsTheOrderOfHolders(t *testing.T) {
	var want []body.ServerUserStat
	for try := range 30 {
		w := newWire(t, policytest.Active(roleRules{sharedRules()}), 3)
		at := []*Hub{w.hubs[0], w.hubs[1], w.hubs[1], w.hubs[2], w.hubs[1], w.hubs[1], w.hubs[0]}
		peers := make([]*hubtest.Peer, len(at))
		for i, h := range at {
			peers[i] = hubtest.Join(h)
			peers[i].Send(t, online(7))
		}
		w.pass()
		w.hubs[0].DropHub(2)
		held, _ := w.hubs[0].Held(peers[len(at)-1].Session(), -1, 9, nil)
		if try == 0 {
			want = held
		} else if !slices.Equal(held, want) {
			t.Fatalf("the last peer holds %v, and %v at another hub", want, held)
		}
	}
}
