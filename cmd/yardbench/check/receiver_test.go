package check

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"switchyard/cmd/yardbench/message"
	"switchyard/pdu"
)

const size = 200

func wire(t testing.TB, p message.Protocol) *message.Wire {
	t.Helper()
	w, err := message.NewWire(p, size)
	if err != nil {
		t.Fatal(err)
	}
	return &w
}

// take passes PDUs to a receiver.
func take(t testing.TB, r *Receiver, pdus ...[]byte) {
	t.Helper()
	b := slices.Concat(pdus...)
	if used, err := r.Take(b, 0); used != len(b) || err != nil {
		t.Fatalf("took %d of %d bytes: %v", used, len(b), err)
	}
}

// Each fault is given to the receiver of a connection that sends as number 1, beside
// senders 0 and 2. Sender 0 has sent four messages, 2 none.
func TestFaults(t *testing.T) {
	w := wire(t, message.PDU)
	m := func(sender, seq uint32) []byte { return w.Append(nil, message.Message{Sender: sender, Seq: seq}) }
	damaged := func(p []byte, at int) []byte { p[at] ^= 0x10; return p }
	other := pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_STOP_RECV_PACKET, 0, nil)
	for name, c := range map[string]struct {
		in      [][]byte
		want    Faults
		missing uint64
	}{
		"nothing wrong":                 {in: [][]byte{m(0, 0), m(0, 1), m(0, 2), m(0, 3)}},
		"a heartbeat":                   {in: [][]byte{m(0, 0), message.Heartbeat, m(0, 1), m(0, 2), m(0, 3)}},
		"a probe":                       {in: [][]byte{m(message.Probe, 0), m(0, 0), m(0, 1), m(0, 2), m(0, 3)}},
		"one lost":                      {in: [][]byte{m(0, 0), m(0, 1), m(0, 3)}, missing: 1},
		"the first lost":                {in: [][]byte{m(0, 1), m(0, 2), m(0, 3)}, missing: 1},
		"the last lost":                 {in: [][]byte{m(0, 0), m(0, 1), m(0, 2)}, missing: 1},
		"all lost":                      {missing: 4},
		"one repeated":                  {in: [][]byte{m(0, 0), m(0, 1), m(0, 1), m(0, 2), m(0, 3)}, want: Faults{Duplicated: 1}},
		"one repeated late":             {in: [][]byte{m(0, 0), m(0, 1), m(0, 2), m(0, 3), m(0, 0)}, want: Faults{Duplicated: 1}},
		"two swapped":                   {in: [][]byte{m(0, 0), m(0, 2), m(0, 1), m(0, 3)}, want: Faults{Reordered: 1}},
		"three turned round":            {in: [][]byte{m(0, 0), m(0, 3), m(0, 2), m(0, 1)}, want: Faults{Reordered: 2}},
		"swapped, and the late one too": {in: [][]byte{m(0, 0), m(0, 2), m(0, 1), m(0, 1), m(0, 3)}, want: Faults{Reordered: 1, Duplicated: 1}},
		"the filler damaged":            {in: [][]byte{m(0, 0), damaged(m(0, 1), size-1), m(0, 2), m(0, 3)}, want: Faults{Damaged: 1}},
		"the header damaged":            {in: [][]byte{m(0, 0), damaged(m(0, 1), 6), m(0, 2), m(0, 3)}, want: Faults{Damaged: 1}},
		"the key damaged":               {in: [][]byte{m(0, 0), damaged(m(0, 1), message.KeyOffset+4), m(0, 2), m(0, 3)}, want: Faults{Foreign: 1}, missing: 1},
		"its own back":                  {in: [][]byte{m(0, 0), m(1, 0), m(0, 1), m(0, 2), m(0, 3)}, want: Faults{Echoed: 1}},
		"of another sender":             {in: [][]byte{m(0, 0), m(3, 0), m(0, 1), m(0, 2), m(0, 3)}, want: Faults{Foreign: 1}},
		"another PDU":                   {in: [][]byte{m(0, 0), other, m(0, 1), m(0, 2), m(0, 3)}, want: Faults{Foreign: 1}},
	} {
		r := NewReceiver(w, 1, 3, new(Recorder))
		take(t, r, c.in...)
		if missing := r.Missing([]uint32{4, 9, 0}); r.Faults != c.want || missing != c.missing {
			t.Errorf("%s: found %v and %d missing, want %v and %d", name, r.Faults, missing, c.want, c.missing)
		}
	}
}

// Beyond maxGaps, missing messages count as lost even if they arrive later.
func TestGapsAreBounded(t *testing.T) {
	w := wire(t, message.PDU)
	r := NewReceiver(w, message.Nobody, 1, new(Recorder))
	const n = 3 * maxGaps
	for i := range uint32(n) {
		take(t, r, w.Append(nil, message.Message{Seq: 2 * i}))
	}
	if len(r.gaps) != maxGaps {
		t.Errorf("%d gaps are remembered, want %d", len(r.gaps), maxGaps)
	}
	if lost := r.Faults.Lost + r.Missing([]uint32{2 * n}); lost != n {
		t.Errorf("%d are lost, want %d", lost, n)
	}
}

func TestProgress(t *testing.T) {
	w := wire(t, message.PDU)
	r := NewReceiver(w, 1, 2, new(Recorder))
	for _, seq := range []uint32{0, 1, 4, 2} {
		take(t, r, w.Append(nil, message.Message{Seq: seq}))
	}
	if got := r.Progress(0); got != 5 {
		t.Errorf("progress with sender 0 is %d, want 5: what is overdue is not waited for", got)
	}
	if got := r.Progress(1); got != math.MaxUint32 {
		t.Errorf("progress with its own messages is %d, want no bound", got)
	}
}

func TestProbes(t *testing.T) {
	w := wire(t, message.PDU)
	r := NewReceiver(w, 1, 2, new(Recorder))
	take(t, r, w.Append(nil, message.Message{Sender: message.Probe, Seq: 1}))
	if r.Joined {
		t.Error("a connection's own probe shows it nothing of the others")
	}
	take(t, r, w.Append(nil, message.Message{Sender: message.Probe, Seq: 0}))
	if !r.Joined {
		t.Error("the probe of another does not count")
	}
}

func TestShortLivedSenders(t *testing.T) {
	w := wire(t, message.PDU)
	r := NewReceiver(w, message.Nobody, 1, new(Recorder))
	short := func(i, seq uint32) []byte {
		return w.Append(nil, message.Message{Sender: message.FirstShort + i, Seq: seq})
	}
	take(t, r, short(0, 0), short(2, 0), short(0, 1), short(2, 1))
	if !slices.Equal(r.Short, []uint32{2, 0, 2}) || r.Faults.Any() || r.Delivered != 0 {
		t.Errorf("got %v of each, %v, and %d others", r.Short, r.Faults, r.Delivered)
	}
	take(t, r, short(0, 1), short(2, 3), short(maxShort, 0))
	if want := (Faults{Duplicated: 1, Lost: 1, Foreign: 1}); r.Faults != want {
		t.Errorf("found %v, want %v", r.Faults, want)
	}
}

func TestLatencyIsThatOfTheSpan(t *testing.T) {
	w := wire(t, message.PDU)
	rec := &Recorder{From: 100, Span: 50}
	r := NewReceiver(w, message.Nobody, 1, rec)
	for i, due := range []int64{99, 100, 149, 150} {
		r.Take(w.Append(nil, message.Message{Seq: uint32(i), Due: due}), 200)
	}
	if n, longest := rec.Latency.Count(), rec.Latency.Max(); n != 2 || longest != 100 {
		t.Errorf("%d latencies up to %d ns, want 2 up to 100", n, longest)
	}
}

func TestSameOrder(t *testing.T) {
	w := wire(t, message.PDU)
	// receive lets a receiver have the first message of each of four senders, but its own.
	receive := func(self uint32, senders ...uint32) *Receiver {
		r := NewReceiver(w, self, 4, new(Recorder))
		for _, s := range senders {
			if s != self {
				take(t, r, w.Append(nil, message.Message{Sender: s}))
			}
		}
		return r
	}
	const nobody = message.Nobody
	for name, c := range map[string]struct {
		receivers   []*Receiver
		same, known bool
	}{
		"one alone":                {[]*Receiver{receive(nobody, 0, 1, 2, 3)}, false, false},
		"the same":                 {[]*Receiver{receive(nobody, 2, 1, 0, 3), receive(nobody, 2, 1, 0, 3)}, true, true},
		"another":                  {[]*Receiver{receive(nobody, 2, 1, 0, 3), receive(nobody, 2, 0, 1, 3)}, false, true},
		"one of each half":         {[]*Receiver{receive(0, 2, 1, 0, 3), receive(2, 3, 2, 1, 0)}, false, false},
		"senders, the same":        {[]*Receiver{receive(0, 2, 1, 0, 3), receive(1, 2, 1, 0, 3)}, true, true},
		"senders, another":         {[]*Receiver{receive(0, 2, 1, 0, 3), receive(1, 3, 1, 0, 2)}, false, true},
		"senders of the last half": {[]*Receiver{receive(2, 0, 1, 2, 3), receive(3, 1, 0, 2, 3)}, false, true},
	} {
		if same, known := SameOrder(c.receivers); same != c.same || known != c.known {
			t.Errorf("%s: same %t, known %t; want %t, %t", name, same, known, c.same, c.known)
		}
	}
}

func TestPingsAreCounted(t *testing.T) {
	r := NewReceiver(wire(t, message.NATS), message.Nobody, 1, new(Recorder))
	r.Take([]byte("INFO {}\r\nPING\r\nPI"), 0)
	if r.Pings != 1 {
		t.Errorf("%d pings, want 1", r.Pings)
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	for _, p := range []message.Protocol{message.PDU, message.NATS} {
		w := wire(t, p)
		var b []byte
		for i := range uint32(10) {
			b = appendDelivered(b, w, message.Message{Seq: i})
		}
		r := NewReceiver(w, message.Nobody, 1, new(Recorder))
		if n := testing.AllocsPerRun(100, func() { r.Next[0] = 0; r.Take(b, 0) }); n != 0 {
			t.Errorf("%v: %v allocations for ten messages, want none", p, n)
		}
	}
}

// The findings do not depend on where the input is split.
func FuzzTake(f *testing.F) {
	for nats, p := range []message.Protocol{message.PDU, message.NATS} {
		w := wire(f, p)
		var b []byte
		for i, m := range []message.Message{{Seq: 0}, {Seq: 2}, {Seq: 1}, {Sender: 1}, {Sender: message.Probe}, {Sender: message.FirstShort + 2}} {
			b = appendDelivered(b, w, m)
			f.Add(b, i*50, nats == 1)
		}
		b[220] ^= 1
		f.Add(append(b, "PING\r\n"...), 300, nats == 1)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int, nats bool) {
		p := message.PDU
		if nats {
			p = message.NATS
		}
		w := wire(t, p)
		whole := taken(t, w, b, len(b))
		if split := taken(t, w, b, min(max(cut, 0), len(b))); split != whole {
			t.Errorf("at once:     %s\ncut at %4d: %s", whole, cut, split)
		}
	})
}

// taken returns the findings of a receiver in b, which arrives in two pieces split at cut.
func taken(t *testing.T, w *message.Wire, b []byte, cut int) string {
	r := NewReceiver(w, 1, 3, &Recorder{Span: math.MaxInt64})
	used, err := r.Take(b[:cut], 0)
	if err == nil {
		var more int
		more, err = r.Take(b[used:], 0)
		used += more
	}
	if used < 0 || used > len(b) {
		t.Fatalf("took %d bytes of %d", used, len(b))
	}
	return fmt.Sprint(used, err, r.Faults, r.Next, r.Delivered, r.Joined, r.Pings, r.Short, r.order, r.Missing([]uint32{9, 9, 9}))
}
