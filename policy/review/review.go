// Package review extracts the verdicts of a policy by ids as a routing table, and compares
// two tables. It prints nothing and reads no files.
package review

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
)

// A Classifier is the part of a policy.Policy that is reviewed. If it has the method Named
// of policy.Namer, the services that this names are reviewed as well. If it has the method Rule of
// Ruler, the decisions say where they come from, and which cases they have. If it has the method
// RateLimits of policy.RateLimiter, they have its limits.
type Classifier interface {
	Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error)
}

// A Ruler knows the rules of a policy.
type Ruler interface {
	// Rule returns the rule that decides about the ids; it is empty if that is not known.
	Rule(pdu.ServiceID, pdu.CommandID) policy.Rule
}

// maxFurther bounds the services beyond the protocol that are asked about.
const maxFurther = 64

// protocol is how many services and commands the protocol has room for, from 0 on, and a
// little more. What most unknown commands get is what most of these get.
const (
	protocolServices = 10
	protocolCommands = 0x801
)

// lastCommand is the highest command id. All are asked about.
const lastCommand pdu.CommandID = 0xffff

// Questions are the ids that policies are asked about: every command, of the services that
// the protocol has room for, of those that a policy names, of those that were seen, and of
// one that stands for all others. Policies that are compared get the same questions.
type Questions struct {
	services []pdu.ServiceID // in order
	other    int             // the index of the service that stands for all others
	partial  bool            // a policy may have rules for further services
	left     int             // services that were seen and are not asked about
}

// NewQuestions returns the questions for the policies. seen are further services, of PDUs on
// the wire or in a capture, the most important ones first.
func NewQuestions(seen []pdu.ServiceID, policies ...Classifier) *Questions {
	q := &Questions{}
	for s := range pdu.ServiceID(protocolServices) {
		q.services = append(q.services, s)
	}
	q.services = append(q.services, 0xffff)
	for _, p := range policies {
		if n, ok := p.(interface{ Named() policy.Named }); ok {
			named := n.Named()
			q.partial = !q.add(named.Services...) || q.partial || named.Partial
		}
	}
	for _, c := range pdu.CustomCommands() {
		q.partial = !q.add(c.Service) || q.partial
	}
	for _, s := range seen {
		if !q.add(s) {
			q.left++
		}
	}
	other := pdu.ServiceID(0xfffe)
	for slices.Contains(q.services, other) {
		other--
	}
	q.services = append(q.services, other)
	slices.Sort(q.services)
	q.other = slices.Index(q.services, other)
	return q
}

// add adds services, and reports whether there was room for them.
func (q *Questions) add(services ...pdu.ServiceID) bool {
	for _, s := range services {
		if slices.Contains(q.services, s) {
			continue
		}
		if len(q.services) > protocolServices+maxFurther {
			return false
		}
		q.services = append(q.services, s)
	}
	return true
}

// An answer is the result of classify for one pair of ids.
type answer struct {
	verdict policy.Verdict // without the number of a limit
	limit   policy.RateLimit
	fault   policy.FaultKind // empty if it decided
	cases   string           // the cases of an inspected verdict, to compare; empty if they are not known
}

// notAsked is the fault of a pair for which classify was not called.
const notAsked policy.FaultKind = "not-asked"

// mostFaults is the number of faults after which classify is no longer called: each costs
// a fresh instance.
const mostFaults = 1000

// A Table holds the verdicts of a policy by ids. Answers are indexed like the services of
// the questions.
type Table struct {
	*Questions
	segments  []segment
	otherwise []answer // of most unknown commands
	missed    uint64   // pairs that were not asked about
	ruler     Ruler    // nil if its rules are not known
}

// A segment is a run of commands, from first to the next segment, with equal answers.
type segment struct {
	first   pdu.CommandID
	answers []answer
}

// Asking is exhaustive in the commands and a sample in the services: 65,536 commands times 12
// services are 786,432 calls, and 65,536 services would be four thousand million. It needs no
// analysis of the code, and so works for a policy in any language.
//
// Most neighbouring commands get the same answers, so a table keeps segments:
//
//	commands       services 0 … 9, 0xfffe, 0xffff
//	0x0000-0x0100  drop  drop   … drop  drop           segments[0], first 0x0000
//	0x0101-0x0101  drop  handle … drop  drop           segments[1], first 0x0101
//	0x0102-0xffff  drop  drop   … drop  drop           segments[2], first 0x0102

// Extract asks p about every pair of ids. It begins with the commands of the protocol, each
// with its own service, and continues with other ids of the protocol, so that faults of
// other pairs do not prevent those calls. When ctx ends, it stops asking.
func (q *Questions) Extract(ctx context.Context, p Classifier) *Table {
	e := newExtractor(ctx, p, q.services)
	t := &Table{Questions: q, ruler: e.ruler}
	for first := 0; first <= int(lastCommand); first += blockCommands {
		e.askBlock(pdu.CommandID(first))
		for i := range blockCommands {
			if c := pdu.CommandID(first + i); e.update(c, i) || c == 0 {
				t.segments = append(t.segments, segment{c, slices.Clone(e.row)})
			}
		}
	}
	t.missed = e.missed
	unknown := t.unknownCommands()
	for i := range q.services {
		t.otherwise = append(t.otherwise, t.most(i, unknown))
	}
	return t
}

// answers returns the answers for a command.
func (t *Table) answers(c pdu.CommandID) []answer {
	i, found := slices.BinarySearchFunc(t.segments, c, func(s segment, c pdu.CommandID) int { return int(s.first) - int(c) })
	if !found {
		i--
	}
	return t.segments[i].answers
}

// own returns the index of a known command's service. One that became known meanwhile counts as one of
// all others.
func (q *Questions) own(c pdu.Command) int {
	if i := slices.Index(q.services, c.Service); i >= 0 {
		return i
	}
	return q.other
}

// unknownCommands returns, for each segment, how many of its commands are ids of the protocol that
// no command has.
func (t *Table) unknownCommands() []int {
	counts := make([]int, len(t.segments))
	i := 0
	for c := range pdu.CommandID(protocolCommands) {
		for i+1 < len(t.segments) && t.segments[i+1].first <= c {
			i++
		}
		if _, known := pdu.CommandByID(c); !known {
			counts[i]++
		}
	}
	return counts
}

// most returns the answer that most unknown commands of a service get. If several are
// equally frequent, it is the one of the lowest id.
func (t *Table) most(service int, unknown []int) (best answer) {
	count := make(map[answer]int)
	var order []answer
	for i, n := range unknown {
		if n == 0 {
			continue
		}
		a := t.segments[i].answers[service]
		if count[a] == 0 {
			order = append(order, a)
		}
		count[a] += n
	}
	most := 0
	for _, a := range order {
		if count[a] > most {
			best, most = a, count[a]
		}
	}
	return best
}

// Asked says in words what was asked about, and what was not.
func (t *Table) Asked() string {
	var further []string
	for i, s := range t.services {
		if s >= protocolServices && i != t.other {
			further = append(further, s.String())
		}
	}
	text := fmt.Sprintf("every command id of the services 0x0000-0x%04x, %s; %v stands for all other services",
		protocolServices-1, strings.Join(further, ", "), t.services[t.other])
	if t.partial {
		text += ", for which the policy may have rules that were not found"
	}
	if t.left > 0 {
		text += fmt.Sprintf("; %d more services that were seen were not asked about", t.left)
	}
	if t.missed > 0 {
		text += fmt.Sprintf("; %d pairs of ids were not asked about, because the policy fails or answers too slowly: they are shown as %s", t.missed, notAsked)
	}
	return text
}

// Complete reports whether all questions were asked.
func (t *Table) Complete() bool { return t.missed == 0 }
