package check

import (
	"fmt"
	"slices"
	"strings"

	"switchyard/cmd/yardbench/message"
)

// Faults counts what was wrong with deliveries.
type Faults struct {
	Lost       uint64 `json:"lost"`       // never arrived
	Duplicated uint64 `json:"duplicated"` // arrived more than once; each time after the first counts
	Reordered  uint64 `json:"reordered"`  // arrived after a later one of the same sender
	Damaged    uint64 `json:"damaged"`    // arrived, but not as it was sent
	Echoed     uint64 `json:"echoed"`     // came back to who sent it
	Foreign    uint64 `json:"foreign"`    // is nothing that was sent, or cannot be recognised
}

// Add adds what other counts.
func (f *Faults) Add(other Faults) {
	f.Lost += other.Lost
	f.Duplicated += other.Duplicated
	f.Reordered += other.Reordered
	f.Damaged += other.Damaged
	f.Echoed += other.Echoed
	f.Foreign += other.Foreign
}

// Any says whether there was a fault at all.
func (f Faults) Any() bool { return f != Faults{} }

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

// maxGaps bounds the memory for what a broken hub leaves out here and there. Above it,
// what is left out is lost even if it still comes.
const maxGaps = 1 << 12

// outOfTurn takes a message that is not the next one of its sender: those in between
// are late or lost, or it was late itself, or is there again.
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

// fill takes a message out of the gap that it belongs to, if there is one.
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

// Missing says how many messages did not arrive, if each sender has sent as many as
// sent says. Messages that a fault already counts as lost are not among them.
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

// Progress is how many messages of a sender have arrived or are overdue: what a sender
// waits for that may only have so many under way.
func (r *Receiver) Progress(sender uint32) uint32 {
	if sender == r.self {
		return 1<<32 - 1
	}
	return r.Next[sender]
}
