package check

import (
	"fmt"
	"slices"
	"strings"

	"switchyard/cmd/yardbench/message"
)

// Faults counts faults of deliveries.
type Faults struct {
	Lost       uint64 `json:"lost"`       // never arrived
	Duplicated uint64 `json:"duplicated"` // arrived more than once; each time after the first counts
	Reordered  uint64 `json:"reordered"`  // arrived after a later one of the same sender
	Damaged    uint64 `json:"damaged"`    // arrived with changed bytes
	Echoed     uint64 `json:"echoed"`     // came back to its sender
	Foreign    uint64 `json:"foreign"`    // was never sent, or cannot be recognised
}

// Add adds the counts of other.
func (f *Faults) Add(other Faults) {
	f.Lost += other.Lost
	f.Duplicated += other.Duplicated
	f.Reordered += other.Reordered
	f.Damaged += other.Damaged
	f.Echoed += other.Echoed
	f.Foreign += other.Foreign
}

// Any reports whether there was a fault.
func (f Faults) Any() bool { return f != Faults{} }

// String lists the kinds of faults that there were, with their numbers.
func (f Faults) String() string {
	if !f.Any() {
		return "no fault"
	}
	var parts []string
	for _, p := range []struct {
		n    uint64
		what string
	}{
		{f.Lost, "lost"}, {f.Duplicated, "duplicated"}, {f.Reordered, "reordered"},
		{f.Damaged, "damaged"}, {f.Echoed, "echoed"}, {f.Foreign, "foreign"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

// A gap is a range of messages that were overtaken by later ones of their sender.
type gap struct{ sender, from, to uint32 }

// maxGaps bounds the memory for gaps that a broken hub leaves. Beyond it, missing messages
// count as lost even if they arrive later.
const maxGaps = 1 << 12

// outOfTurn handles a message that is not the next one of its sender: either messages
// before it are late or lost, or it is late itself, or a duplicate.
func (r *Receiver) outOfTurn(m message.Message) {
	next := &r.Next[m.Sender]
	switch {
	case m.Seq >= *next:
		if g := (gap{m.Sender, *next, m.Seq}); len(r.gaps) < maxGaps {
			r.gaps = append(r.gaps, g)
		} else {
			r.Faults.Lost += uint64(g.to - g.from)
		}
		*next = m.Seq + 1
	case r.fill(m):
		r.Faults.Reordered++
	default:
		r.Faults.Duplicated++
	}
}

// fill removes a message from the gap that contains it. It returns false if none does.
func (r *Receiver) fill(m message.Message) bool {
	for i, g := range r.gaps {
		if g.sender != m.Sender || m.Seq < g.from || m.Seq >= g.to {
			continue
		}
		before, behind := gap{g.sender, g.from, m.Seq}, gap{g.sender, m.Seq + 1, g.to}
		r.gaps = slices.Delete(r.gaps, i, i+1)
		for _, rest := range []gap{before, behind} {
			if rest.from < rest.to {
				r.gaps = append(r.gaps, rest)
			}
		}
		return true
	}
	return false
}

// Missing returns how many messages did not arrive, given how many each sender has sent. It
// leaves out messages that Faults counts as lost already.
func (r *Receiver) Missing(sent []uint32) uint64 {
	n := uint64(0)
	for _, g := range r.gaps {
		n += uint64(g.to - g.from)
	}
	for sender, end := range sent {
		if uint32(sender) != r.self && end > r.Next[sender] {
			n += uint64(end - r.Next[sender])
		}
	}
	return n
}

// Progress returns how many messages of a sender have arrived or were overtaken. A sender
// with a full window waits for it to grow.
func (r *Receiver) Progress(sender uint32) uint32 {
	if sender == r.self {
		return 1<<32 - 1
	}
	return r.Next[sender]
}
