package message

import (
	"bytes"
	"slices"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/body"
)

func format(t testing.TB, size int) Format {
	t.Helper()
	f, err := NewFormat(size)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReadWhatWasAppended(t *testing.T) {
	for _, size := range []int{MinSize, MinSize + 1, 200, 64 << 10, MaxSize} {
		f := format(t, size)
		for _, m := range []Message{{}, {Sender: 3, Seq: 70_000, Due: 1 << 40}, {Sender: Probe, Seq: 1<<32 - 1, Due: -1}} {
			p := f.Append([]byte("x"), m)[1:]
			if got, state := f.Read(p); got != m || state != Sound {
				t.Errorf("size %d: %+v is read as %+v, state %d", size, m, got, state)
			}
			if h := pdu.ParseHeader(p); len(p) != size || int(h.Length) != size || h.Command != pdu.CID_MSG_DATA {
				t.Errorf("size %d: a message has %d bytes and the header %+v", size, len(p), h)
			}
		}
	}
}

// A hub finds a user in each body, many of them, and none of the receivers that a body names.
func TestUsers(t *testing.T) {
	f := format(t, 200)
	var froms []uint32
	for sender := range uint32(4) {
		for seq := range uint32(Users / 10) {
			p := f.Append(nil, Message{Sender: sender, Seq: seq})[pdu.HeaderLen:]
			from, err := body.ReadValues(p, 1<<1)
			to, err2 := body.ReadValues(p, 1<<2)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			if got := slices.Collect(to.All()); len(got) != 1 || got[0] <= Users {
				t.Fatalf("sent to %v", got)
			}
			froms = append(froms, slices.Collect(from.All())...)
		}
	}
	slices.Sort(froms)
	if n := len(slices.Compact(slices.Clone(froms))); n < Users/10 || froms[0] < 1 || froms[len(froms)-1] > Users {
		t.Errorf("%d users, %d to %d", n, froms[0], froms[len(froms)-1])
	}
}

// A change of any single bit is found.
func TestEveryBitIsChecked(t *testing.T) {
	f := format(t, 300)
	m := Message{Sender: 5, Seq: 77, Due: 123456789}
	for i := range 300 * 8 {
		p := f.Append(nil, m)
		p[i/8] ^= 1 << (i % 8)
		got, state := f.Read(p)
		if state == Sound {
			t.Errorf("bit %d of byte %d changed, and nothing is noticed", i%8, i/8)
		}
		if state == Damaged && got != m {
			t.Errorf("bit %d of byte %d changed, and the message is taken for %+v", i%8, i/8, got)
		}
	}
}

func TestFillersDiffer(t *testing.T) {
	f := format(t, 200)
	seen := map[string]uint32{}
	for seq := range uint32(variants) {
		p := f.Append(nil, Message{Seq: seq})
		if other, ok := seen[string(p[MinSize:])]; ok {
			t.Fatalf("messages %d and %d have the same filler", other, seq)
		}
		seen[string(p[MinSize:])] = seq
	}
}

func TestReadForeign(t *testing.T) {
	f := format(t, 200)
	for name, p := range map[string][]byte{
		"nothing":     nil,
		"a heartbeat": Heartbeat,
		"shorter":     f.Append(nil, Message{})[:199],
		"noise":       noise[:200],
	} {
		if _, state := f.Read(p); state != Foreign {
			t.Errorf("%s has state %d, want %d", name, state, Foreign)
		}
	}
	var zero Format
	if _, state := zero.Read(nil); state != Foreign {
		t.Errorf("a format that was not made finds state %d, want %d", state, Foreign)
	}
	if !IsHeartbeat(Heartbeat) || IsHeartbeat(f.Append(nil, Message{})) {
		t.Error("a heartbeat is not told from a message")
	}
}

func TestSizesThatCannotBe(t *testing.T) {
	for _, size := range []int{-1, 0, MinSize - 1, MaxSize + 1} {
		if _, err := NewFormat(size); err == nil {
			t.Errorf("messages of %d bytes are made", size)
		}
	}
}

func TestProtocols(t *testing.T) {
	for _, p := range []Protocol{PDU, NATS} {
		if got, err := ParseProtocol(p.String()); got != p || err != nil {
			t.Errorf("%v is read as %v, %v", p, got, err)
		}
	}
	if _, err := ParseProtocol("redis"); err == nil {
		t.Error("redis is spoken")
	}
}

func TestWireOfNATS(t *testing.T) {
	w, err := NewWire(NATS, 100)
	if err != nil {
		t.Fatal(err)
	}
	m := Message{Sender: 1, Seq: 2, Due: 3}
	want := append(w.Format.Append([]byte("PUB hub 100\r\n"), m), "\r\n"...)
	if got := w.Append(nil, m); !bytes.Equal(got, want) {
		t.Errorf("published as\n%q\nwant\n%q", got, want)
	}
	if !bytes.HasSuffix(NATS.Greeting(), []byte("\r\nSUB hub 1\r\n")) || PDU.Greeting() != nil {
		t.Errorf("greetings are %q and %q", NATS.Greeting(), PDU.Greeting())
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	for _, p := range []Protocol{PDU, NATS} {
		w, err := NewWire(p, 200)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 0, 1000)
		if n := testing.AllocsPerRun(100, func() { w.Append(b, Message{Seq: 1}) }); n != 0 {
			t.Errorf("%v: %v allocations for each message, want none", p, n)
		}
	}
}
