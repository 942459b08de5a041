package hub_test

import (
	"bytes"
	"testing"

	"switchyard/policy/policytest"
	. "switchyard/proxy/hub"
	"switchyard/proxy/hub/hubtest"
	"switchyard/proxy/order"
)

// An echo is an order of one hub that keeps the last record.
type echo struct {
	record order.Record
	bytes  []byte
}

func (e *echo) Say(r *order.Record) {
	one := *r
	one.Hub, one.Number = 1, 1
	e.bytes = one.Append(e.bytes[:0])
	e.record, _ = order.Parse(e.bytes)
}

// BenchmarkShared routes batches of 64 PDUs of 200 bytes to 8 peers, in a lone hub and through an order
// that costs nothing but writing and parsing the record.
func BenchmarkShared(b *testing.B) {
	batch := bytes.Repeat(message(others, 1, string(make([]byte, 184))), 64)
	for _, name := range []string{"lone", "shared"} {
		b.Run(name, func(b *testing.B) {
			h, e := New(policytest.Active(roleRules{commonRules()}), farBehind), new(echo)
			if name == "shared" {
				h.SetOrder(e, 1)
			}
			var all []*hubtest.Peer
			for range 8 {
				all = append(all, hubtest.Join(h))
				if name == "shared" {
					h.Apply(&e.record)
				}
			}
			vec := make([][]byte, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				h.Handle(all[0].Seat, batch)
				if name == "shared" {
					h.Apply(&e.record)
				}
				head := h.Head()
				for _, p := range all {
					p.Discard(vec, head)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64), "ns/PDU")
		})
	}
}
