package order_test

import (
	"bytes"
	"reflect"
	"testing"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
)

// inParts splits a batch that is longer than a record.
func inParts(o order.Origin, number uint64) (batch order.Record, parts []order.Record) {
	batch = order.Record{Kind: order.Batch, Origin: o, Session: 5, Runs: []order.Run{{Verdict: policy.Verdict(abi.BroadcastAll), PDUs: 1, Bytes: pdus(1, 700<<10)}}}
	box := order.NewOutbox(o.Hub, o.Incarnation, 4<<20, 4<<20)
	box.Resume()
	for range number - 1 {
		box.Say(&order.Record{Kind: order.Beat})
		box.Next(start)
	}
	box.Say(&batch)
	for {
		record, ok := box.Next(start)
		if !ok {
			return batch, parts
		}
		r, _ := order.Parse(record)
		parts = append(parts, r)
	}
}

// A batch in parts counts where its last part is. Other records may be between the parts.
func TestBatchInParts(t *testing.T) {
	m := newReader(t)
	two := origin(2, 7)
	m.enters(two, 2)
	batch, parts := inParts(two, 2)
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	for i := range parts[:2] {
		if whole, ignored := m.read(&parts[i]); whole != nil || ignored != "" {
			t.Fatalf("part %d: %v, %q", i, whole, ignored)
		}
		m.wants("", say(order.Beat, origin(1, 1), uint64(3+i)))
	}
	m.wants(order.Broken, say(order.Joined, two, 4))
	wrong := parts[2]
	wrong.Piece = wrong.Piece[1:]
	m.wants(order.Broken, &wrong)
	wrong = parts[2]
	wrong.Left = 1
	m.wants(order.Broken, &wrong)
	whole, ignored := m.read(&parts[2])
	batch.Number = 4
	if ignored != "" || !reflect.DeepEqual(*whole, batch) {
		t.Errorf("the whole batch is another one: %q", ignored)
	}
	m.wants("", say(order.Joined, two, 5))
}

// A hub whose limit for PDUs was changed while one was under way is not stuck: all members assemble
// what the largest limit admits.
func TestLongestBatchInParts(t *testing.T) {
	m := newReader(t)
	two := origin(2, 7)
	m.enters(two, 2)
	m.wants("", &order.Record{Kind: order.Part, Origin: two, Number: 2, Piece: make([]byte, 10), Left: 1 << 30})
}

// What the parts are together is checked as any record is, and their length before there is memory.
func TestBadParts(t *testing.T) {
	m := newReader(t)
	two := origin(2, 7)
	m.enters(two, 2)
	part := func(number uint64, piece []byte, left uint32) *order.Record {
		return &order.Record{Kind: order.Part, Origin: two, Number: number, Piece: piece, Left: left}
	}
	m.wants(order.Broken, part(2, make([]byte, 10), 0)) // a batch in one part
	m.wants(order.Broken, part(2, make([]byte, 10), 1<<30+order.MaxRecord))
	m.wants(order.Broken, part(2, make([]byte, 10), 1<<32-1))
	m.wants("", part(2, make([]byte, 10), 20))
	m.wants(order.Broken, part(3, bytes.Repeat([]byte{1}, 20), 0)) // no run
	m.wants("", part(3, make([]byte, 10), 10))
	m.enters(origin(2, 8), 2)
	m.wants("", say(order.Joined, origin(2, 8), 2)) // the parts of 7 are forgotten
	before := len(m.Export(nil))
	m.wants("", &order.Record{Kind: order.Part, Origin: origin(2, 8), Number: 3, Piece: make([]byte, 1000), Left: 10})
	m.wants("", &order.Record{Kind: order.Gone, Origin: origin(1, 1), Number: 3, About: origin(2, 8)})
	if after := len(m.Export(nil)); after > before+100 {
		t.Errorf("the state grows from %d to %d bytes by parts of a hub that is gone", before, after)
	}
}
