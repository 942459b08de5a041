package order_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
)

func pdus(n, body int) (b []byte) {
	for range n {
		b = pdu.Append(b, pdu.SID_MSG, 1, 0, make([]byte, body))
	}
	return b
}

func facts() order.Facts {
	return order.Facts{Formats: order.Range{Least: 1, Most: 2}, Rules: order.Range{Least: 0, Most: 3}, Process: 0x0102030405060708,
		Entering: true, Table: order.TableSum{Position: order.Position{Epoch: 9, Sequence: 8}, Sum: 7}, Policies: []uint64{5, 6}, Name: "hub-a"}
}

// records holds one record of each kind.
func records() []order.Record {
	from := order.Origin{Hub: 0x0102, Incarnation: 0x03040506}
	after := order.Position{Epoch: -5, Sequence: 6}
	checks := facts()
	checks.Entering, checks.Check = false, true
	return []order.Record{
		{Kind: order.Batch, Origin: from, Number: 1, Session: 1<<40 + 1, Runs: []order.Run{
			{Verdict: policy.Verdict(abi.BroadcastAll), PDUs: 2, Bytes: pdus(2, 3)},
			{Verdict: policy.Verdict(abi.Handle) | 1<<abi.ArgumentShift, PDUs: 1, Users: 100, PeerUsers: 50, Bytes: pdus(1, 0)},
		}},
		{Kind: order.Joined, Origin: from, Number: 2, Session: 1 << 63, Link: order.Link{Source: 0x1112131415161718, Users: 0x01020304, TakesOver: true, Again: true}},
		{Kind: order.Left, Origin: from, Number: 3, Session: 3},
		{Kind: order.Part, Origin: from, Number: 4, Piece: []byte("piece"), Left: 77},
		{Kind: order.Beat, Origin: from, Number: 5, Facts: checks},
		{Kind: order.Enter, Origin: from, Number: 6, After: after, Facts: facts()},
		{Kind: order.Found, Origin: from, Number: 7, After: after, Facts: order.Facts{}},
		{Kind: order.Gone, Origin: from, Number: 8, About: order.Origin{Hub: 9, Incarnation: 10}},
		{Kind: order.Joined, Origin: from, Number: 2, Session: 1 << 63, Link: order.Link{Replaced: true}},
	}
}

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	for _, want := range records() {
		b := want.Append([]byte("before"))[len("before"):]
		got, err := order.Parse(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", want.Kind, got, err, want)
		}
	}
}

// The header is what every release writes.
func TestHeader(t *testing.T) {
	r := records()[1]
	want := []byte{1, 2, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 1, 2, 3, 4, 3}
	if got := r.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("got % x\nwant % x", got, want)
	}
}

// A record that was cut off anywhere, or to which a byte was added, is an error, unless what remains
// is a shorter batch or piece.
func TestCutRecords(t *testing.T) {
	for _, r := range records() {
		b := r.Append(nil)
		for n := range b {
			short, err := order.Parse(b[:n])
			whole := r.Kind == order.Batch && bytes.Equal(short.Append(nil), b[:n]) || r.Kind == order.Part && n > 20
			if err == nil && !whole {
				t.Errorf("%s: the first %d of %d bytes are parsed", r.Kind, n, len(b))
			}
		}
		if _, err := order.Parse(append(b, 0)); err == nil && r.Kind != order.Part {
			t.Errorf("%s: a byte that follows is ignored", r.Kind)
		}
	}
}

func TestRefusedRecords(t *testing.T) {
	change := func(r order.Record, f func(b []byte)) []byte {
		b := r.Append(nil)
		f(b)
		return b
	}
	all := records()
	empty := all[0]
	empty.Runs = []order.Run{{Verdict: policy.Verdict(abi.BroadcastAll)}}
	long := all[3]
	long.Piece = make([]byte, order.MaxRecord)
	for _, c := range []struct {
		name  string
		bytes []byte
		want  string
	}{
		{"format", change(all[1], func(b []byte) { b[0] = 2 }), order.ErrFormat.Error()},
		{"kind 0", change(all[1], func(b []byte) { b[1] = 0 }), "kind is unknown"},
		{"kind 9", change(all[1], func(b []byte) { b[1] = 9 }), "kind is unknown"},
		{"hub 0", change(all[1], func(b []byte) { b[2], b[3] = 0, 0 }), "no hub"},
		{"hub 4096", change(all[1], func(b []byte) { b[2], b[3] = 0x10, 0 }), "no hub"},
		{"number 0", change(all[1], func(b []byte) { clear(b[8:16]) }), "no number"},
		{"too long", long.Append(nil), "longer than"},
		{"verdict", change(all[0], func(b []byte) { b[24+4] = 0xff }), "verdict"},
		{"run beyond the end", change(all[0], func(b []byte) { b[24+12] = 0xff }), "cut off"},
		{"count of PDUs", change(all[0], func(b []byte) { b[24+11] = 3 }), "it has 2 PDUs, not 3"},
		{"no PDUs", empty.Append(nil), "it has 0 PDUs"},
		{"length of a PDU", change(all[0], func(b []byte) { b[24+24+3] = 15 }), "below the header"},
		{"PDU beyond the run", change(all[0], func(b []byte) { b[24+24] = 1 }), "cut off"},
		{"flags", change(all[1], func(b []byte) { b[24+12] = 8 }), "a flag is unknown"},
		{"formats", change(all[4], func(b []byte) { b[18] = 9 }), "empty"},
		{"policies", change(all[4], func(b []byte) { b[18+37] = 17 }), "cut off"},
		{"name", change(all[4], func(b []byte) { b[18+38+16] = 65 }), "cut off"},
		{"facts too short", change(all[4], func(b []byte) { binary.BigEndian.PutUint16(b[16:], 10) }), "cut off"},
	} {
		if _, err := order.Parse(c.bytes); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want …%s…", c.name, err, c.want)
		}
	}
}

// later returns the bytes of a record that ends with facts, to which a later release has added flags and
// text. They begin at byte at.
func later(r order.Record, at int) []byte {
	b := r.Append(nil)
	binary.BigEndian.PutUint16(b[at:], binary.BigEndian.Uint16(b[at:])+3)
	b[at+2+4] |= 0x84
	return append(b, 1, 2, 3)
}

// A later release may tell more of itself, which is written as it was read.
func TestLaterFacts(t *testing.T) {
	want := records()[5]
	b := later(want, 16+16)
	got, err := order.Parse(b)
	want.Facts.LaterFlags, want.Facts.Later = 0x84, "\x01\x02\x03"
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if again := got.Append(nil); !bytes.Equal(again, b) {
		t.Errorf("read % x\nwrote % x", b, again)
	}
}

func TestTooMuchToTell(t *testing.T) {
	r := order.Record{Kind: order.Beat, Origin: order.Origin{Hub: 1}, Number: 1, Facts: order.Facts{Policies: make([]uint64, 17), Name: strings.Repeat("n", 65)}}
	got, err := order.Parse(r.Append(nil))
	if err != nil || len(got.Facts.Policies) != 16 || len(got.Facts.Name) != 64 {
		t.Errorf("got %d policies and a name of %d bytes, %v", len(got.Facts.Policies), len(got.Facts.Name), err)
	}
}

// What is parsed is written as it was.
func FuzzParse(f *testing.F) {
	for _, r := range records() {
		f.Add(r.Append(nil))
	}
	f.Add(later(records()[4], 16))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := order.Parse(b)
		if err != nil {
			return
		}
		again := r.Append(nil)
		if !bytes.Equal(again, b) {
			t.Errorf("read % x\nwrote % x", b, again)
		}
		if r2, err := order.Parse(again); err != nil || !reflect.DeepEqual(r, r2) {
			t.Errorf("read %+v\nthen %+v, %v", r, r2, err)
		}
	})
}
