package policy

import (
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// Of the decisions for which the policy is called, the first one is measured and then one in
// timeEvery. Those that the memo answers are not.
func TestTiming(t *testing.T) {
	t.Parallel()
	now, looks := int64(0), 0
	timing := NewTiming(func() int64 {
		looks++
		now += int64(30 * time.Microsecond)
		return now
	})
	g := NewGeneration("", "", &keeper{t: t})
	defer g.Release()
	sampler := Sampler{Timing: timing}
	inspected := pdutest.Raw(pdu.CID_MSG_DATA, 1, nil)
	for range 4 { // in batches, as peers send
		b := g.Begin(7, 1, nil)
		b.Time(&sampler)
		for range timeEvery / 2 {
			b.Judge(inspected)
			b.Judge(pdutest.Raw(pdu.CID_OTHER_HEARTBEAT, 1, nil))
		}
		b.Release()
	}
	if c := timing.Counts(); c.Count != 2 || c.Sum != 60*time.Microsecond || looks != 4 {
		t.Errorf("got %+v after %d looks at the clock, want two decisions of 30 µs", c, looks)
	}
	none := Sampler{}
	b := g.Begin(7, 1, nil)
	b.Time(&none)
	b.Judge(inspected)
	b.Release()
	if looks != 4 {
		t.Error("a sampler without a Timing has measured")
	}
}
