// Package review extracts what a policy does by ids as a routing table, and compares
// two. It asks and compares, and neither prints nor reads files.
package review

import (
	"slices"

	"switchyard/pdu"
	"switchyard/policy"
)

// A Classifier is the part of a policy.Policy that is reviewed.
type Classifier interface {
	Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error)
}

// What a policy is asked about: all pairs of ids that the protocol has room for, so
// that within them a table is complete, and some that only a peer can have made up.
var (
	services = append(upTo[pdu.ServiceID](9), 0xffff)
	commands = append(upTo[pdu.CommandID](0x800), 0x0fff, 0x1000, 0x7fff, 0xffff)
)

// upTo returns the ids from 0 to last.
func upTo[ID ~uint16](last ID) []ID {
	ids := make([]ID, last+1)
	for i := range ids {
		ids[i] = ID(i)
	}
	return ids
}

// An answer is what classify says about one pair of ids.
type answer struct {
	verdict policy.Verdict
	fault   policy.FaultKind // empty if it decided
}

// notAsked is the fault of a pair that was not asked about any more.
const notAsked policy.FaultKind = "not-asked"

// mostFaults is how many faults are enough to know what the policy is worth: each
// costs a fresh instance.
const mostFaults = 100

// A Table is what a policy says by ids.
type Table struct {
	answers   map[pdu.CommandID][]answer // by the index of the service
	otherwise []answer                   // what most unknown commands get, likewise
}

// Extract asks p. The commands of the protocol come first, each with its own
// service, so that they are asked in any case.
func Extract(p Classifier) *Table {
	e := extractor{policy: p, known: make(map[pair]answer)}
	for _, c := range pdu.Commands {
		e.known[pair{c.Service, c.ID}] = e.ask(c.Service, c.ID)
	}
	t := &Table{answers: make(map[pdu.CommandID][]answer, len(commands))}
	for _, c := range commands {
		row := make([]answer, len(services))
		for i, s := range services {
			if a, ok := e.known[pair{s, c}]; ok {
				row[i] = a
			} else {
				row[i] = e.ask(s, c)
			}
		}
		t.answers[c] = row
	}
	for i := range services {
		t.otherwise = append(t.otherwise, t.most(i))
	}
	return t
}

type pair struct {
	service pdu.ServiceID
	command pdu.CommandID
}

type extractor struct {
	policy Classifier
	known  map[pair]answer
	faults int
}

func (e *extractor) ask(s pdu.ServiceID, c pdu.CommandID) answer {
	if e.faults >= mostFaults {
		return answer{fault: notAsked}
	}
	v, err := e.policy.Classify(s, c)
	if err == nil {
		return answer{verdict: v}
	}
	e.faults++
	if fault, ok := err.(*policy.Fault); ok {
		return answer{fault: fault.Kind}
	}
	return answer{fault: policy.FaultTrap}
}

// most returns what most unknown commands of a service get; of several, what the
// lowest id gets.
func (t *Table) most(service int) answer {
	count := make(map[answer]int)
	var first []answer
	for _, c := range commands {
		if _, known := pdu.CommandByID(c); known {
			continue
		}
		a := t.answers[c][service]
		if count[a]++; count[a] == 1 {
			first = append(first, a)
		}
	}
	best := first[0]
	for _, a := range first {
		if count[a] > count[best] {
			best = a
		}
	}
	return best
}

// own returns the index of a known command's service.
func own(c pdu.Command) int { return slices.Index(services, c.Service) }
