package wasm

import (
	"errors"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
)

// A range gets what its commands get one by one, also where they fail or let the memory grow.
func TestRangeAgrees(t *testing.T) {
	p := load(t, newEngine(t, DefaultLimits(), nil), "neighbours")
	const first, last = 0x08e0, 0x0960
	faults := 0
	for c := pdu.CommandID(first); c <= last; {
		var verdicts [last + 1 - first]policy.Verdict
		n, err := p.ClassifyRange(pdu.SID_MSG, c, verdicts[c-first:])
		for _, got := range verdicts[c-first:][:n] {
			if want, err := p.Classify(pdu.SID_MSG, c); err != nil || got != want {
				t.Errorf("%v gets %v as one of a range, and %v, %v alone", c, got, want, err)
			}
			c++
		}
		if err == nil && c <= last {
			t.Fatalf("the range ends before %v without an error", c)
		}
		if err == nil {
			break
		}
		faults++
		var got, want *policy.Fault
		if _, alone := p.Classify(pdu.SID_MSG, c); !errors.As(err, &got) || !errors.As(alone, &want) || got.Kind != want.Kind {
			t.Errorf("%v fails with %v as one of a range, and with %v alone", c, err, alone)
		}
		c++
	}
	if faults != 3 {
		t.Errorf("%d commands fail, want 3", faults)
	}
	p.replacements.running.Wait()
}
