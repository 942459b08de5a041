//go:build full || race

package order

import (
	"bytes"
	"encoding/gob"
	"math/rand/v2"
	"testing"
	"time"

	"switchyard/pdu"
)

// An outbox that continues in another process says the same under the same numbers, long records in the
// middle of their parts as well, and counts on.
func TestContinueOutbox(t *testing.T) {
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		now := time.Unix(1000, 0)
		o := NewOutbox(3, 7, 1<<20, 1<<30)
		o.Resume()
		said := make(map[uint64][]byte)
		next := func(o *Outbox) {
			b, ok := o.Next(now)
			if !ok {
				return
			}
			r, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if was := said[r.Number]; was != nil && !bytes.Equal(was, b) {
				t.Fatalf("seed %d: number %d is another record", seed, r.Number)
			}
			said[r.Number] = bytes.Clone(b)
		}
		back := uint64(1)
		for range 120 {
			switch rnd.IntN(8) {
			case 0, 1:
				o.Say(&Record{Kind: Batch, Session: rnd.Uint64(), Runs: []Run{{PDUs: 1, Bytes: pdu.Append(nil, pdu.SID_MSG, 1, 0, make([]byte, rnd.IntN(1000)))}}})
			case 2:
				o.Say(&Record{Kind: Beat})
			case 3:
				if rnd.IntN(12) == 0 {
					o.Say(&Record{Kind: Batch, Session: rnd.Uint64(), Runs: []Run{{PDUs: 1, Bytes: pdu.Append(nil, pdu.SID_MSG, 1, 0, make([]byte, rnd.IntN(3*MaxRecord)))}}})
				}
			case 4, 5:
				next(o)
			case 6:
				if b := said[back]; b != nil {
					r, _ := Parse(b)
					o.Back(now, &r)
					back++
				}
			case 7:
				var encoded bytes.Buffer
				var st OutboxState
				if err := gob.NewEncoder(&encoded).Encode(o.Export(now)); err != nil {
					t.Fatal(err)
				}
				if err := gob.NewDecoder(&encoded).Decode(&st); err != nil {
					t.Fatal(err)
				}
				moved, err := ContinueOutbox(now, st, 1<<20, 1<<30)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				records, n, oldest := o.Underway()
				if a, b, c := moved.Underway(); a != records || b != n || !c.Equal(oldest) {
					t.Fatalf("seed %d: %d records of %d bytes are under way since %v, want %d, %d, %v", seed, a, b, c, records, n, oldest)
				}
				o = moved
			}
			now = now.Add(time.Duration(rnd.IntN(100)) * time.Millisecond)
		}
		if c := o.Counts(); c.Appended != uint64(len(said)) || c.Trips.Count > c.Appended {
			t.Errorf("seed %d: counts %+v, and %d records were appended", seed, c, len(said))
		}
	}
}
