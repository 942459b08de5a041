package review

import (
	"context"
	"fmt"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
)

// A RangeClassifier is a Classifier that answers for many commands in a row in less time than
// one call of Classify for each takes.
type RangeClassifier interface {
	Classifier
	// ClassifyRange stores the verdicts on the commands from first on, at most as many as there
	// is room for, and returns how many it has stored. These are fewer only if Classify would
	// fail for the next command; the error is that of Classify.
	ClassifyRange(service pdu.ServiceID, first pdu.CommandID, verdicts []policy.Verdict) (int, error)
}

// rangesOf returns p, or a RangeClassifier that calls p for each command.
func rangesOf(p Classifier) RangeClassifier {
	if r, ok := p.(RangeClassifier); ok {
		return r
	}
	return oneByOne{p}
}

type oneByOne struct{ Classifier }

func (p oneByOne) ClassifyRange(s pdu.ServiceID, first pdu.CommandID, verdicts []policy.Verdict) (int, error) {
	for i := range verdicts {
		v, err := p.Classify(s, first+pdu.CommandID(i))
		if err != nil {
			return i, err
		}
		verdicts[i] = v
	}
	return len(verdicts), nil
}

// blockCommands is how many commands a service is asked about before the next service is. It
// divides the number of all commands.
const blockCommands = 64

// A block holds the results of one service for blockCommands commands.
type block struct {
	verdicts [blockCommands]policy.Verdict
	faults   [blockCommands]policy.FaultKind // empty where it decided; then the verdict counts
}

// A result is what a block holds about one command.
type result struct {
	verdict policy.Verdict
	fault   policy.FaultKind
}

// An extractor asks the questions for one table, a block of commands at a time, and then takes the
// row of each command from the blocks:
//
//	             0x0000 … 0x003f   0x0040 … 0x007f
//	service 0    asked 1st         asked 13th
//	service 1    asked 2nd         asked 14th
//	   …
//	0xffff       asked 12th
//	             └ update          └ update         the answers of all services on this command
type extractor struct {
	ctx      context.Context
	policy   RangeClassifier
	ruler    Ruler // nil if the policy is none
	limits   policy.RateLimits
	services []pdu.ServiceID
	early    map[policy.IDs]result // of the commands of the protocol, which are asked about first
	faults   int                   // of classify
	missed   uint64                // pairs for which classify was not called

	blocks []block  // one for each service
	row    []answer // of the command that update was called for, one for each service
}

// newExtractor returns an extractor that has asked about the commands of the protocol.
func newExtractor(ctx context.Context, p Classifier, services []pdu.ServiceID) *extractor {
	e := &extractor{ctx: ctx, policy: rangesOf(p), limits: policy.RateLimitsOf(p), services: services,
		early: make(map[policy.IDs]result), blocks: make([]block, len(services)), row: make([]answer, len(services))}
	e.ruler, _ = p.(Ruler)
	for _, c := range pdu.KnownCommands() {
		var verdict [1]policy.Verdict
		var fault [1]policy.FaultKind
		e.ask(c.Service, c.ID, verdict[:], fault[:])
		e.early[policy.IDs{Service: c.Service, Command: c.ID}] = result{verdict[0], fault[0]}
	}
	return e
}

// ask stores the results of a service for the commands from first on. It looks at the context once
// for each block, so that looking costs little beside the calls.
func (e *extractor) ask(s pdu.ServiceID, first pdu.CommandID, verdicts []policy.Verdict, faults []policy.FaultKind) {
	clear(faults)
	for n := 0; n < len(verdicts); {
		if e.faults >= mostFaults || e.ctx.Err() != nil {
			verdicts[n], faults[n] = 0, notAsked
			e.missed++
			n++
			continue
		}
		decided, err := e.policy.ClassifyRange(s, first+pdu.CommandID(n), verdicts[n:])
		if n += decided; err != nil {
			verdicts[n], faults[n] = 0, policy.FaultOf(err).Kind
			e.faults++
			n++
		}
	}
}

// askBlock asks each service about the commands of one block, but for those that were asked early.
func (e *extractor) askBlock(first pdu.CommandID) {
	for i, s := range e.services {
		b := &e.blocks[i]
		for n := 0; n < blockCommands; {
			if r, ok := e.known(s, first+pdu.CommandID(n)); ok {
				b.verdicts[n], b.faults[n] = r.verdict, r.fault
				n++
				continue
			}
			end := n + 1
			for end < blockCommands && !e.knows(s, first+pdu.CommandID(end)) {
				end++
			}
			e.ask(s, first+pdu.CommandID(n), b.verdicts[n:end], b.faults[n:end])
			n = end
		}
	}
}

// known returns the early result of a pair of ids of the protocol.
func (e *extractor) known(s pdu.ServiceID, c pdu.CommandID) (r result, ok bool) {
	if c < protocolCommands {
		r, ok = e.early[policy.IDs{Service: s, Command: c}]
	}
	return r, ok
}

func (e *extractor) knows(s pdu.ServiceID, c pdu.CommandID) bool {
	_, ok := e.known(s, c)
	return ok
}

// update sets the row to the answers on c, which has that index in the blocks. It reports whether
// any of them differs from that of the command before.
func (e *extractor) update(c pdu.CommandID, index int) (changed bool) {
	for i := range e.blocks {
		b := &e.blocks[i]
		v, fault := b.verdicts[index], b.faults[index]
		repeated := index > 0 && v == b.verdicts[index-1] && fault == b.faults[index-1]
		if repeated && (e.ruler == nil || !v.Inspected()) {
			continue
		}
		if a := e.answer(e.services[i], c, v, fault); a != e.row[i] {
			e.row[i], changed = a, true
		}
	}
	return changed
}

func (e *extractor) answer(s pdu.ServiceID, c pdu.CommandID, v policy.Verdict, fault policy.FaultKind) answer {
	if fault != "" {
		return answer{fault: fault}
	}
	return answer{verdict: v.WithLimit(0), limit: e.limits.Of(v), cases: e.cases(s, c, v)}
}

// cases returns the cases behind a verdict as one text.
func (e *extractor) cases(s pdu.ServiceID, c pdu.CommandID, v policy.Verdict) string {
	if e.ruler == nil || !v.Inspected() {
		return ""
	}
	var b strings.Builder
	for _, one := range e.ruler.Rule(s, c).Cases {
		fmt.Fprintf(&b, "%s: %s\n", one.If, one.Verdict)
	}
	return b.String()
}
