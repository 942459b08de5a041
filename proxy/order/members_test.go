package order_test

import (
	"slices"
	"testing"
	"time"

	"switchyard/proxy/order"
)

// A reader gives Members one record after the other, each at the next position.
type reader struct {
	*testing.T
	*order.Members
	now  time.Time
	head order.Position
}

func origin(hub uint16, incarnation uint32) order.Origin {
	return order.Origin{Hub: hub, Incarnation: incarnation}
}

// newReader returns hub 1, which has founded the tenant, alone.
func newReader(t *testing.T) *reader {
	r := &reader{t, order.NewMembers(5 * time.Second), start, order.Position{Epoch: 1, Sequence: 10}}
	r.Begin(origin(1, 1))
	r.wants("", &order.Record{Kind: order.Found, Origin: origin(1, 1), Number: 2, After: r.head, Facts: known(1)})
	return r
}

// known are the facts of the process p.
func known(p uint64) order.Facts {
	return order.Facts{Formats: order.Range{Least: 1, Most: 1}, Rules: order.Range{Least: 1, Most: 2}, Process: p}
}

// read reads the record.
func (m *reader) read(r *order.Record) (*order.Record, order.Ignored) {
	m.head.Sequence++
	return m.Next(m.now, order.Entry{Position: m.head}, r)
}

// wants checks why the record is ignored, or "" if it counts.
func (m *reader) wants(want order.Ignored, r *order.Record) {
	m.Helper()
	if _, got := m.read(r); got != want {
		m.Fatalf("%v %d of %v: got %q, want %q", r.Kind, r.Number, r.Origin, got, want)
	}
}

// enters has a hub enter that has read everything.
func (m *reader) enters(o order.Origin, process uint64) {
	m.Helper()
	m.wants("", &order.Record{Kind: order.Enter, Origin: o, Number: 1, After: m.head, Facts: known(process)})
}

func say(kind order.Kind, o order.Origin, number uint64) *order.Record {
	r := &order.Record{Kind: kind, Origin: o, Number: number, Session: 1}
	if kind == order.Beat {
		r.Facts = known(uint64(o.Hub))
	}
	return r
}

func (m *reader) wantList(want ...order.Origin) {
	m.Helper()
	var got []order.Origin
	for _, member := range m.List() {
		got = append(got, member.Origin)
	}
	if !slices.Equal(got, want) {
		m.Fatalf("the members are %v, want %v", got, want)
	}
}

// A record counts if its incarnation has entered and is not gone, and its number is the next one.
func TestFilter(t *testing.T) {
	m := newReader(t)
	two := origin(2, 7)
	m.wants(order.Stranger, say(order.Batch, two, 1))
	m.enters(two, 2)
	m.wants(order.Doubled, &order.Record{Kind: order.Enter, Origin: two, Number: 1, After: m.head, Facts: known(2)})
	m.wants(order.Hole, say(order.Joined, two, 3))
	m.wants("", say(order.Joined, two, 2))
	m.wants(order.Doubled, say(order.Joined, two, 2))
	m.wants(order.Stranger, say(order.Joined, origin(2, 8), 3))
	m.wants("", say(order.Left, two, 3))
	m.wants("", &order.Record{Kind: order.Gone, Origin: origin(1, 1), Number: 3, About: two})
	m.wants(order.Stranger, say(order.Joined, two, 4))
	m.wantList(origin(1, 1))
	if next, ok := m.NextOf(two); !ok || next != 4 {
		t.Errorf("the next of one that is gone is %d, %v", next, ok)
	}
	if whole, ignored := m.read(&order.Record{Kind: order.Gone, Origin: origin(1, 1), Number: 4, About: two}); whole != nil || ignored != "" {
		t.Errorf("gone again: %v, %q; want no effect, but it counts", whole, ignored)
	}
	m.wants("", say(order.Beat, origin(1, 1), 5))
	if _, ignored := m.Next(m.now, order.Entry{Position: m.head}, say(order.Beat, origin(1, 1), 6)); ignored != order.Early {
		t.Errorf("at a position that was read already: %q", ignored)
	}
	m.head.Epoch++
	m.wants(order.Early, say(order.Beat, origin(1, 1), 6))
}

func TestEnter(t *testing.T) {
	m := newReader(t)
	two := origin(2, 7)
	before := m.head
	enter := func(o order.Origin, number uint64, after order.Position, f order.Facts) *order.Record {
		return &order.Record{Kind: order.Enter, Origin: o, Number: number, After: after, Facts: f}
	}
	m.wants(order.Hole, enter(two, 2, m.head, known(2)))
	m.wants(order.Stale, enter(two, 1, order.Position{Epoch: 2, Sequence: 1}, known(2)))
	m.wants(order.Stale, enter(two, 1, order.Position{Epoch: 1, Sequence: 10}, known(2))) // before Found
	m.wants(order.Stale, enter(two, 1, order.Position{Epoch: 1, Sequence: m.head.Sequence + 1}, known(2)))
	if before.Sequence != 11 {
		t.Fatal("the test assumes that Found is at 11")
	}
	later := known(2)
	later.Formats = order.Range{Least: 2, Most: 3}
	m.wants(order.Disagreed, enter(two, 1, m.head, later))
	m.enters(two, 2)
	m.wants(order.NumberTaken, enter(origin(2, 8), 1, m.head, known(3)))
	m.wants(order.Stale, enter(origin(2, 8), 1, before, known(2)))
	m.wants("", say(order.Joined, two, 2))
	m.enters(origin(2, 8), 2) // the same process
	m.wantList(origin(1, 1), origin(2, 8))
	m.wants(order.Stranger, say(order.Joined, two, 3))
	if next, _ := m.NextOf(two); next != 3 {
		t.Errorf("the next of one that was replaced is %d, want 3", next)
	}
	at := m.head
	m.wants("", &order.Record{Kind: order.Gone, Origin: origin(1, 1), Number: 3, About: origin(2, 8)})
	m.wants(order.Stale, enter(origin(2, 9), 1, at, known(2))) // it does not know that it is gone
	m.enters(origin(2, 9), 3)
}

// The next numbers of the last incarnations of which records about sessions have counted are known.
func TestPast(t *testing.T) {
	m := newReader(t)
	for i := range uint32(12) {
		m.enters(origin(2, i+1), 2)
		if i != 6 {
			m.wants("", say(order.Joined, origin(2, i+1), 2))
		}
	}
	for i, want := range []uint64{0, 0, 3, 3, 3, 3, 0, 3, 3, 3, 3, 3} {
		if next, known := m.NextOf(origin(2, uint32(i+1))); next != want || known != (want > 0) {
			t.Errorf("incarnation %d: got %d, %v, want %d", i+1, next, known, want)
		}
	}
	m.Begin(origin(1, 2))
	if next, _ := m.NextOf(origin(2, 12)); next != 3 {
		t.Errorf("after Begin the next of hub 2 is %d, want 3", next)
	}
	m.wants("", &order.Record{Kind: order.Found, Origin: origin(1, 2), Number: 4, After: m.head, Facts: known(1)})
	if next, _ := m.NextOf(origin(2, 12)); next != 3 {
		t.Errorf("after Found the next of hub 2 is %d, want 3", next)
	}
	m.wantList(origin(1, 2))
}

func TestFound(t *testing.T) {
	m := newReader(t)
	two := origin(2, 7)
	early := m.head
	m.enters(two, 2)
	after := m.head
	found := &order.Record{Kind: order.Found, Origin: two, Number: 9, After: after, Facts: known(2)}
	if whole, _ := m.read(found); whole != found || m.In() {
		t.Errorf("got %v; this hub is a member: %v", whole, m.In())
	}
	m.wants(order.Stale, found)
	m.wants(order.Outside, say(order.Joined, two, 10))
	m.wants(order.Stale, &order.Record{Kind: order.Found, Origin: origin(1, 1), Number: 3, After: early, Facts: known(1)})
	m.wants(order.Stale, &order.Record{Kind: order.Found, Origin: origin(1, 1), Number: 3, After: order.Position{Epoch: 3}, Facts: known(1)})
	m.Begin(origin(1, 2))
	m.wants(order.Stale, &order.Record{Kind: order.Found, Origin: origin(1, 2), Number: 2, After: after, Facts: known(1)})
	m.wants("", &order.Record{Kind: order.Found, Origin: origin(1, 2), Number: 2, After: m.head, Facts: known(1)})
	m.wantList(origin(1, 2))
	m.wants("", say(order.Beat, origin(1, 2), 3))
}

// A hub that reads that it is gone is outside.
func TestGoneItself(t *testing.T) {
	m := newReader(t)
	m.enters(origin(2, 7), 2)
	m.wants("", &order.Record{Kind: order.Gone, Origin: origin(2, 7), Number: 2, About: origin(1, 1)})
	if m.In() {
		t.Error("a hub that is gone is a member")
	}
	m.wants(order.Outside, say(order.Beat, origin(2, 7), 3))
}

// The donor is the member with the lowest number that has the state.
func TestDonor(t *testing.T) {
	m := newReader(t)
	donor := func(entering, want order.Origin) {
		t.Helper()
		if got, ok := m.Donor(entering); got != want || ok != (want != order.Origin{}) {
			t.Errorf("got donor %v, %v, want %v", got, ok, want)
		}
	}
	donor(origin(2, 7), origin(1, 1))
	m.enters(origin(2, 7), 2)
	m.enters(origin(3, 8), 3)
	m.wants("", say(order.Joined, origin(3, 8), 2))
	m.wants("", &order.Record{Kind: order.Gone, Origin: origin(3, 8), Number: 3, About: origin(2, 7)})
	donor(origin(1, 1), origin(3, 8))
	m.enters(origin(2, 9), 2)
	entering := say(order.Beat, origin(2, 9), 2)
	entering.Facts.Entering = true
	m.wants("", entering)
	donor(origin(1, 1), origin(3, 8))
	m.wants("", say(order.Beat, origin(2, 9), 3))
	donor(origin(1, 1), origin(2, 9))
	donor(order.Origin{}, origin(1, 1))
}

// A member of which nothing counts for five seconds is due, if our own records come back meanwhile.
func TestDue(t *testing.T) {
	m := newReader(t)
	number := uint64(3)
	pass := func(seconds int) {
		for range seconds {
			m.now = m.now.Add(time.Second)
			m.wants("", say(order.Beat, origin(1, 1), number))
			number++
		}
	}
	want := func(origins ...order.Origin) {
		t.Helper()
		if got := m.Due(m.now); !slices.Equal(got, origins) {
			t.Errorf("due are %v, want %v", got, origins)
		}
	}
	pass(1)
	m.enters(origin(2, 7), 2)
	m.enters(origin(3, 7), 3)
	pass(4)
	m.wants("", say(order.Beat, origin(3, 7), 2))
	want()
	pass(1)
	want(origin(2, 7))
	m.now = m.now.Add(2600 * time.Millisecond)
	want() // we read nothing ourselves
	pass(1)
	want()
	pass(4)
	want()
	pass(1)
	want(origin(2, 7), origin(3, 7))
	m.wants("", say(order.Beat, origin(2, 7), 2))
	want(origin(3, 7))
}

func TestAgreement(t *testing.T) {
	m := newReader(t)
	want := func(rules uint8, formats order.Range) {
		t.Helper()
		if m.Rules() != rules || m.Formats() != formats {
			t.Errorf("got rules %d, formats %v, want %d, %v", m.Rules(), m.Formats(), rules, formats)
		}
	}
	one := order.Range{Least: 1, Most: 1}
	want(2, one)
	older := known(2)
	older.Formats, older.Rules = order.Range{Least: 0, Most: 1}, order.Range{Least: 0, Most: 1}
	m.wants("", &order.Record{Kind: order.Enter, Origin: origin(2, 7), Number: 1, After: m.head, Facts: older})
	want(1, one)
	later := say(order.Beat, origin(2, 7), 2)
	later.Facts.Rules.Most = 9
	m.wants("", later)
	want(1, one)
	newest := known(3)
	newest.Rules = order.Range{Least: 2, Most: 3}
	m.wants(order.Disagreed, &order.Record{Kind: order.Enter, Origin: origin(3, 7), Number: 1, After: m.head, Facts: newest})
	newest.Process = 2 // an upgrade of hub 2
	m.wants("", &order.Record{Kind: order.Enter, Origin: origin(2, 8), Number: 1, After: m.head, Facts: newest})
	want(2, one)
	m.wants("", &order.Record{Kind: order.Gone, Origin: origin(2, 8), Number: 2, About: origin(2, 8)})
	m.wants("", &order.Record{Kind: order.Enter, Origin: origin(2, 9), Number: 1, After: m.head, Facts: older})
	want(1, one)
	m.wants("", &order.Record{Kind: order.Gone, Origin: origin(1, 1), Number: 3, About: origin(2, 9)})
	want(2, one)
}
