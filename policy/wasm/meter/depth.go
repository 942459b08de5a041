package meter

// A function is what metering knows of a function after it has walked its code.
type function struct {
	locals []byte // declarations, with those that metering adds
	code   []byte // with all charges but that of the entry
	entry  cost
	fuel   counter // where the function keeps the fuel

	depth    uint64 // of its frame
	calls    []uint32
	indirect bool // it calls a function through a table
}

// counted returns which functions hold depth: all that recurse, call through a table, or can
// nest frames of more than smallFrame units. The other ones call none of these, so together
// they never have more than smallFrame units at a time:
//
//	counted ─▶ counted ─▶ … ─▶ not counted ─▶ not counted      at most smallFrame units
//
// The depth that a function can need is its own and the most that one of its calls can need.
// Each round looks one call further. A frame has at least one unit, so after some rounds
// nothing changes, or a function is counted.
func (m *module) counted() []bool {
	needs := make([]uint64, len(m.funcs))
	for i := range needs[:m.imported] {
		needs[i] = 1
	}
	for changed := true; changed; {
		changed = false
		for i, f := range m.metered {
			need := uint64(0)
			for _, c := range f.calls {
				need = max(need, needs[c])
			}
			if need += f.depth; f.indirect || need > smallFrame {
				need = smallFrame + 1
			}
			if at := &needs[m.imported+i]; *at != need {
				*at, changed = need, true
			}
		}
	}
	counted := make([]bool, len(m.metered))
	for i := range counted {
		counted[i] = needs[m.imported+i] > smallFrame
	}
	return counted
}
