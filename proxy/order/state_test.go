package order_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/order"
)

// exporter returns hub 1 as a donor: hub 2 has earlier incarnations and has begun a batch in parts,
// hub 3 is gone, hub 4 is of a later release and has just entered.
func exporter(t *testing.T) (m *reader, rest []order.Record) {
	m = newReader(t)
	m.enters(origin(2, 7), 2)
	m.wants("", say(order.Joined, origin(2, 7), 2))
	m.enters(origin(2, 8), 2)
	m.enters(origin(3, 7), 3)
	m.wants("", &order.Record{Kind: order.Gone, Origin: origin(3, 7), Number: 2, About: origin(3, 7)})
	_, parts := inParts(origin(2, 8), 2)
	m.wants("", &parts[0])
	later := known(4)
	later.LaterFlags, later.Later = 0x80, "later"
	m.wants("", &order.Record{Kind: order.Enter, Origin: origin(4, 9), Number: 1, After: m.head, Facts: later})
	return m, parts[1:]
}

// importer returns hub 4, which has imported the state.
func importer(t *testing.T, from *reader) *reader {
	m := &reader{t, order.NewMembers(5 * time.Second), from.now, from.head}
	m.Begin(origin(4, 9))
	if err := m.Import(m.now, from.Export(nil)); err != nil {
		t.Fatal(err)
	}
	return m
}

// A hub that has imported the state decides as the one that exported it.
func TestImport(t *testing.T) {
	a, parts := exporter(t)
	if got := string(a.Export([]byte("before"))); !strings.HasPrefix(got, "before") || got[6:] != string(a.Export(nil)) {
		t.Error("Export does not append")
	}
	b := importer(t, a)
	if !b.In() || !bytes.Equal(a.Export(nil), b.Export(nil)) {
		t.Error("the imported state is another one")
	}
	if a.Rules() != b.Rules() || a.Formats() != b.Formats() {
		t.Error("the agreement is another one")
	}
	if f := b.List()[2].Facts; f.LaterFlags != 0x80 || f.Later != "later" {
		t.Errorf("the importer knows %+v of hub 4", f)
	}
	if next, _ := b.NextOf(origin(2, 7)); next != 3 {
		t.Errorf("the next number of an earlier incarnation is %d, want 3", next)
	}
	if _, ignored := b.Next(b.now, order.Entry{Position: b.head}, say(order.Beat, origin(1, 1), 3)); ignored != order.Early {
		t.Errorf("a record at the position of the state: %q", ignored)
	}
	after := a.head
	after.Sequence -= 3
	records := []*order.Record{
		&parts[0], say(order.Beat, origin(4, 9), 2), say(order.Beat, origin(3, 7), 3), &parts[1],
		{Kind: order.Enter, Origin: origin(3, 8), Number: 1, After: after, Facts: known(3)},
		{Kind: order.Enter, Origin: origin(5, 8), Number: 1, After: a.head, Facts: known(5)},
		{Kind: order.Gone, Origin: origin(2, 8), Number: 5, About: origin(4, 9)},
	}
	for _, r := range records {
		wholeA, ignoredA := a.read(r)
		wholeB, ignoredB := b.read(r)
		if fmt.Sprint(wholeA) != fmt.Sprint(wholeB) || ignoredA != ignoredB {
			t.Errorf("%v of %v: %q at the donor, %q at the importer", r.Kind, r.Origin, ignoredA, ignoredB)
		}
	}
	if !bytes.Equal(a.Export(nil), b.Export(nil)) {
		t.Error("the states differ after further records")
	}
	if b.In() {
		t.Error("the importer was declared gone and is in")
	}
}

// A hub that has just imported the state does not declare silent hubs gone.
func TestHeardRestarts(t *testing.T) {
	a, _ := exporter(t)
	a.now = a.now.Add(time.Hour)
	b := importer(t, a)
	b.wants("", say(order.Beat, origin(4, 9), 2))
	b.now = b.now.Add(time.Second)
	b.wants("", say(order.Beat, origin(4, 9), 3))
	if due := b.Due(b.now); len(due) > 0 {
		t.Errorf("due are %v", due)
	}
}

func TestRefusedStates(t *testing.T) {
	a, _ := exporter(t)
	good := a.Export(nil)
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	try := func(self order.Origin, b []byte) error {
		m := order.NewMembers(time.Second)
		m.Begin(self)
		err := m.Import(start, b)
		if m.In() != (err == nil) {
			t.Errorf("in is %v, and the error %v", m.In(), err)
		}
		return err
	}
	for n := range len(good) {
		if n > 400 && n < len(good)-400 {
			continue // within a part
		}
		if try(origin(4, 9), good[:n]) == nil {
			t.Fatalf("the first %d of %d bytes are imported", n, len(good))
		}
	}
	const slots = 2*16 + 2
	for _, c := range []struct {
		name string
		self order.Origin
		b    []byte
		want string
	}{
		{"another incarnation", origin(4, 8), good, "without this hub"},
		{"gone", origin(3, 7), good, "without this hub"},
		{"unknown", origin(9, 9), good, "without this hub"},
		{"more", origin(4, 9), append(bytes.Clone(good), 0), "follow"},
		{"hub 0", origin(4, 9), change(func(b []byte) { b[slots+1] = 0 }), "hub number 0"},
		{"hub 4096", origin(4, 9), change(func(b []byte) { b[slots] = 0x10 }), "hub number"},
		{"twice", origin(4, 9), change(func(b []byte) { b[slots+1] = 2 }), "twice"},
		{"flags", origin(4, 9), change(func(b []byte) { b[slots+6] |= 8 }), "a flag is unknown"},
		{"parts without bytes", origin(4, 9), change(func(b []byte) { b[slots+31+45+1] = 1 }), "cut off"},
		{"facts", origin(4, 9), change(func(b []byte) { binary.BigEndian.PutUint16(b[slots+31:], 0xffff) }), "the state of the members"},
	} {
		if err := try(c.self, c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want …%s…", c.name, err, c.want)
		}
	}
}

// Whatever is imported can be exported, and is the same then.
func FuzzImport(f *testing.F) {
	m := order.NewMembers(time.Second)
	m.Begin(origin(1, 1))
	m.Next(start, order.Entry{Position: order.Position{Epoch: 1, Sequence: 2}}, &order.Record{Kind: order.Found, Origin: origin(1, 1), Number: 2,
		After: order.Position{Epoch: 1, Sequence: 1}, Facts: facts()})
	m.Next(start, order.Entry{Position: order.Position{Epoch: 1, Sequence: 3}}, &order.Record{Kind: order.Enter, Origin: origin(2, 1), Number: 1,
		After: order.Position{Epoch: 1, Sequence: 2}, Facts: facts()})
	f.Add(m.Export(nil))
	m.Next(start, order.Entry{Position: order.Position{Epoch: 1, Sequence: 4}}, &order.Record{Kind: order.Part, Origin: origin(2, 1), Number: 2, Left: 7, Piece: []byte("piece")})
	f.Add(m.Export(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := order.NewMembers(time.Second)
		m.Begin(origin(1, 1))
		if m.Import(start, b) != nil {
			return
		}
		again := m.Export(nil)
		if err := m.Import(start, again); err != nil || !bytes.Equal(m.Export(nil), again) {
			t.Errorf("exported % x, imported: %v", again, err)
		}
	})
}
