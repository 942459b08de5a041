package wasm

import (
	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// An Explanation is one decision, step by step.
type Explanation struct {
	ByIDs      Answer  // of classify
	Remembered bool    // the memo holds it, so that classify is called once for these ids
	Inspection *Answer // of inspect or inspect_body; nil if none is called
	Verdict    policy.Verdict
	Fault      *policy.Fault // why the policy did not decide; Verdict is then the fallback
}

// Explain judges one PDU as a generation does, and explains each step.
func (p *Policy) Explain(q policy.Question) Explanation {
	h := pdu.ParseHeader(q.Header)
	e := Explanation{ByIDs: p.ExplainClassify(h.Service, h.Command), Remembered: p.remembers(h.Service, h.Command)}
	e.Verdict, e.Fault = e.ByIDs.Verdict, e.ByIDs.Fault
	if e.Fault != nil || !e.Verdict.Inspected() {
		return e
	}
	seen := p.ExplainInspect(e.Verdict, q)
	e.Inspection = &seen
	if e.Fault = seen.Fault; e.Fault != nil {
		e.Verdict &^= abi.InspectHeader | abi.InspectBodyOf
	} else {
		e.Verdict = seen.Verdict
	}
	return e
}

// remembers finds out whether the memo of a generation has a place for the ids, by whether
// the generation calls its policy a second time.
func (p *Policy) remembers(s pdu.ServiceID, c pdu.CommandID) bool {
	calls := classifyCounter{named: p.named}
	g := policy.NewGeneration("", "", &calls)
	defer g.Release()
	g.Classify(s, c)
	first := calls.calls
	g.Classify(s, c)
	return calls.calls == first
}

// A classifyCounter is a policy that counts its calls.
type classifyCounter struct {
	calls int
	named policy.Named
}

func (n *classifyCounter) Named() policy.Named { return n.named }

func (n *classifyCounter) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
	n.calls++
	return abi.Drop, nil
}

func (*classifyCounter) Inspect(v policy.Verdict, _ policy.Question) (policy.Verdict, error) {
	return v, nil
}

func (*classifyCounter) Close() error { return nil }
