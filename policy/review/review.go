// Package review extracts the verdicts of a policy by ids as a routing table, and compares
// two tables. It prints nothing and reads no files.
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

// A table holds the verdicts of all pairs of these ids: every pair for which the protocol
// has room, and some that only a peer can have invented.
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

// An answer is the result of classify for one pair of ids.
type answer struct {
	verdict policy.Verdict
	fault   policy.FaultKind // empty if it decided
}

// notAsked is the fault of a pair for which classify was not called.
const notAsked policy.FaultKind = "not-asked"

// mostFaults is the number of faults after which classify is no longer called: each costs
// a fresh instance.
const mostFaults = 100

// A Table holds the verdicts of a policy by ids.
type Table struct {
	answers   map[pdu.CommandID][]answer // by the index of the service
	otherwise []answer                   // of most unknown commands, by the index of the service
}

// Extract calls p for every pair of ids. It begins with the commands of the protocol, each
// with its own service, so that faults of other pairs do not prevent those calls.
func Extract(p Classifier) *Table {
	e := extractor{policy: p, known: make(map[pair]answer)}
	for _, c := range pdu.Commands {
		e.known[pair{c.Service, c.ID}] = e.classify(c.Service, c.ID)
	}
	t := &Table{answers: make(map[pdu.CommandID][]answer, len(commands))}
	for _, c := range commands {
		row := make([]answer, len(services))
		for i, s := range services {
			if a, ok := e.known[pair{s, c}]; ok {
				row[i] = a
			} else {
				row[i] = e.classify(s, c)
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

func (e *extractor) classify(s pdu.ServiceID, c pdu.CommandID) answer {
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

// most returns the answer that most unknown commands of a service get. If several are
// equally frequent, it is the one of the lowest id.
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
