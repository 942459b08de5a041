package dialogue

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// A difference is where a connection deviates from its recording.
type difference struct {
	step int // the step after which it occurred
	err  error
}

// atEnd is the step of a difference that shows only at the end.
const atEnd = math.MaxInt

// Compare returns nil if every connection received what was recorded: the same
// PDUs in the same order, the same bytes behind them, and the same end. Otherwise
// the error has the first difference of each connection, the earliest first.
//
// When a PDU arrived does not count, only its place among those of its connection: the order between
// connections depends on how the kernel schedules them, with the original too.
func Compare(want, got Transcript) error {
	var all []difference
	received := make(map[string]Connection)
	for _, c := range got.Conns {
		received[c.Name] = c
	}
	for _, w := range want.Conns {
		g, ok := received[w.Name]
		delete(received, w.Name)
		if !ok {
			all = append(all, difference{-1, fmt.Errorf("connection %s is missing", w.Name)})
			continue
		}
		all = append(all, compareConnections(w, g)...)
	}
	for name := range received {
		all = append(all, difference{-1, fmt.Errorf("connection %s is not in the recording", name)})
	}
	slices.SortStableFunc(all, func(a, b difference) int { return cmp.Compare(a.step, b.step) })
	var errs []error
	for _, d := range all {
		errs = append(errs, d.err)
	}
	return errors.Join(errs...)
}

// compareConnections compares what was received, up to the first difference, and the
// connection's end.
func compareConnections(want, got Connection) []difference {
	var all []difference
	if d, ok := comparePDUs(want, got); !ok {
		all = append(all, d)
	} else if want.Tail != got.Tail {
		all = append(all, difference{atEnd, fmt.Errorf("connection %s: bytes behind the last PDU: want %q, got %q", want.Name, want.Tail, got.Tail)})
	}
	if want.State != got.State {
		all = append(all, difference{atEnd, fmt.Errorf("connection %s: state at the end: want %s, got %s", want.Name, want.State, got.State)})
	}
	return all
}

// comparePDUs returns the first PDU that differs, is missing or is one too many. Later ones would
// mostly be the same difference again.
func comparePDUs(want, got Connection) (first difference, same bool) {
	for i := range max(len(want.PDUs), len(got.PDUs)) {
		switch {
		case i >= len(got.PDUs):
			w := want.PDUs[i]
			return difference{w.Step, fmt.Errorf("connection %s: PDU %d is missing, recorded after step %d:\n  want %v", want.Name, i, w.Step, w)}, false
		case i >= len(want.PDUs):
			g := got.PDUs[i]
			return difference{g.Step, fmt.Errorf("connection %s: PDU %d is one too many, received after step %d:\n  got  %v", want.Name, i, g.Step, g)}, false
		case !want.PDUs[i].same(got.PDUs[i]):
			w, g := want.PDUs[i], got.PDUs[i]
			return difference{w.Step, fmt.Errorf("connection %s: PDU %d differs, recorded after step %d, received after step %d:\n  want %v\n  got  %v",
				want.Name, i, w.Step, g.Step, w, g)}, false
		}
	}
	return difference{}, true
}
