package hub_test

import (
	"testing"

	"switchyard/policy"
	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/order"
)

// A relay is the order of several hubs: what one says all apply, as bytes, when drain is called.
type relay struct {
	t       *testing.T
	hubs    []*Hub
	records [][]byte
	number  map[uint16]uint64
}

// A speaker is the Order of one hub of a relay.
type speaker struct {
	*relay
	hub uint16
}

func (s speaker) Say(r *order.Record) {
	one := *r
	s.number[s.hub]++
	one.Origin, one.Number = order.Origin{Hub: s.hub, Incarnation: 1}, s.number[s.hub]
	s.records = append(s.records, one.Append(nil))
}

func newRelay(t *testing.T, p policy.Policy, hubs int) *relay {
	r := &relay{t: t, number: make(map[uint16]uint64)}
	for n := range hubs {
		h := New(policytest.Active(p), farBehind)
		h.SetOrder(speaker{r, uint16(n + 1)}, uint16(n+1))
		r.hubs = append(r.hubs, h)
	}
	return r
}

func (r *relay) drain() {
	r.t.Helper()
	for len(r.records) > 0 {
		record, err := order.Parse(r.records[0])
		if err != nil {
			r.t.Fatal(err)
		}
		r.records = r.records[1:]
		for _, h := range r.hubs {
			h.Apply(&record)
		}
	}
}

// Each hub delivers to its own peers of a group, at the same place in the order, whatever peers of
// other hubs are in it.
func TestGroupsOfSeveralHubs(t *testing.T) {
	r := newRelay(t, groupRules(t), 2)
	one, two := r.hubs[0], r.hubs[1]
	a, here, muted1 := joinAs(one, nil), joinAs(one, in(t, "archive")), joinAs(one, muted(t, "archive"))
	b, there := joinAs(two, nil), joinAs(two, muted(t, "archive", "far"))
	b.Send(t, online(7))
	r.drain()
	m1, m2, m3, m4, m5 := message(others, 1, "x"), message(toArchive, 2, "x"), message(othersAlso, 3, "x"), message(userAlso, 4, "x"), message(fieldsAlso, 5, "\x08\x09")
	a.Send(t, m1, m2, m3, m4, m5)
	r.drain()
	a.Expect(t, "the sender")
	here.Expect(t, "archive at its hub", m1, m2, m3, m4, m5)
	muted1.Expect(t, "muted archive at its hub", m2, m3, m4, m5)
	b.Expect(t, "holder of the user at the other hub", m1, m3, m4)
	there.Expect(t, "archive at the other hub", m2, m3, m4, m5)

	// The group has peers at the other hub only, and then nowhere: the hub of the sender cannot know
	// that as long as the other one has sessions.
	here.SetMembership(nil)
	muted1.SetMembership(nil)
	a.Send(t, m2)
	r.drain()
	there.Expect(t, "archive at the other hub", m2)
	there.SetMembership(nil)
	a.Send(t, m2)
	r.drain()
	if c := hubtest.Conserved(t, one); c.Dropped[NoHolder] != 0 || c.Underway != 0 {
		t.Errorf("dropped %v, %d under way", c.Dropped, c.Underway)
	}
	if c := two.Counts(); c.Received != 1 {
		t.Errorf("the other hub has counted %d PDUs of its peers, want 1", c.Received)
	}
}
