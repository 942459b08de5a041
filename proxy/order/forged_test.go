package order_test

import (
	"slices"
	"testing"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
)

// A record in this hub's name that it has not said is forged, also if the hub says another one with
// that number.
func TestForged(t *testing.T) {
	b := newBox(t, 1<<20, 1<<20)
	b.say(1)
	b.Say(&order.Record{Kind: order.Batch, Session: 3, Runs: []order.Run{{Verdict: policy.Verdict(abi.BroadcastAll), PDUs: 1, Bytes: pdus(1, 300<<10)}}})
	var said [][]byte
	for record, ok := b.Next(b.now); ok; record, ok = b.Next(b.now) {
		said = append(said, record)
	}
	forged := func(want bool, record []byte) {
		t.Helper()
		r, err := order.Parse(record)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Forged(&r, record); got != want {
			t.Errorf("%v %d is forged: %v, want %v", r.Kind, r.Number, got, want)
		}
	}
	for _, record := range said {
		forged(false, record)
		other := slices.Clone(record)
		other[len(other)-1] ^= 1
		forged(true, other)
	}
	forged(true, (&order.Record{Kind: order.Left, Origin: b.Origin(), Number: 1, Session: 2}).Append(nil))
	forged(true, (&order.Record{Kind: order.Left, Origin: b.Origin(), Number: 3, Session: 1}).Append(nil))
	forged(true, (&order.Record{Kind: order.Left, Origin: b.Origin(), Number: 4, Session: 1}).Append(nil))
	b.read(1)
	forged(false, said[0])
	forged(false, (&order.Record{Kind: order.Left, Origin: order.Origin{Hub: 1, Incarnation: 6}, Number: 9, Session: 1}).Append(nil))
}
