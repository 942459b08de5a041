package order_test

import (
	"testing"
	"time"

	"switchyard/proxy/order"
)

// A hub that was declared gone continues with what the others say. One that lives is heard by
// whatever it says, also behind a hole.
func TestFollow(t *testing.T) {
	now, at := time.Unix(0, 0), order.Position{Epoch: 1, Sequence: 10}
	m := order.NewMembers(5 * time.Second)
	one, two, three := order.Origin{Hub: 1, Incarnation: 1}, order.Origin{Hub: 2, Incarnation: 1}, order.Origin{Hub: 3, Incarnation: 1}
	read := func(want order.Ignored, r *order.Record) {
		t.Helper()
		at.Sequence++
		if _, got := m.Next(now, order.Entry{Position: at}, r); got != want {
			t.Fatalf("%v %d of %v: got %q, want %q", r.Kind, r.Number, r.Origin, got, want)
		}
	}
	facts := func(o order.Origin) order.Facts {
		return order.Facts{Formats: order.Range{Least: 1, Most: 1}, Rules: order.Range{Least: 1, Most: 1}, Process: uint64(o.Hub)}
	}
	enters := func(o order.Origin) {
		t.Helper()
		read("", &order.Record{Kind: order.Enter, Origin: o, Number: 1, After: at, Facts: facts(o)})
	}
	m.Begin(one)
	read("", &order.Record{Kind: order.Found, Origin: one, Number: 2, After: at, Facts: facts(one)})
	enters(two)
	enters(three)
	now = now.Add(10 * time.Second)
	read(order.Hole, &order.Record{Kind: order.Joined, Origin: two, Number: 3, Session: 1})
	read("", &order.Record{Kind: order.Joined, Origin: one, Number: 3, Session: 1})
	now = now.Add(time.Second)
	for _, due := range m.Due(now) {
		if due == two {
			t.Error("a live hub is declared gone because one of its records is missing")
		}
	}
	read("", &order.Record{Kind: order.Joined, Origin: two, Number: 2, Session: 1})
	read("", &order.Record{Kind: order.Gone, Origin: three, Number: 2, About: one})
	if m.In() {
		t.Fatal("a hub that is gone is a member")
	}
	read(order.Outside, &order.Record{Kind: order.Joined, Origin: two, Number: 3, Session: 1})
	m = m.Follow()
	at.Sequence--
	read("", &order.Record{Kind: order.Joined, Origin: two, Number: 3, Session: 1})
	read(order.Stranger, &order.Record{Kind: order.Joined, Origin: one, Number: 4, Session: 1})
	enters(order.Origin{Hub: 1, Incarnation: 2})
	read("", &order.Record{Kind: order.Gone, Origin: two, Number: 4, About: three})
	if list := m.List(); len(list) != 2 {
		t.Errorf("%d members, want hubs 1 and 2", len(list))
	}
}
