package wasm

import (
	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// An Explanation is one decision, step by step.
type Explanation struct {
	ByIDs      Answer  // what classify says
	Remembered bool    // it is asked once for these ids, and not about each PDU
	Inspection *Answer // what inspect or inspect_body says, if one is asked
	Verdict    policy.Verdict
	Fault      *policy.Fault // that kept the policy from deciding; Verdict is what happens instead
}

// Explain asks the policy about one PDU, as a generation does, and routes nothing.
func (p *Policy) Explain(q policy.Question) Explanation {
	h := pdu.ParseHeader(q.Header)
	e := Explanation{ByIDs: p.ExplainClassify(h.Service, h.Command), Remembered: remembers(h.Service, h.Command)}
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

// remembers finds out whether a generation asks a second time about the same ids.
func remembers(s pdu.ServiceID, c pdu.CommandID) bool {
	var asked asked
	g := policy.NewGeneration("", "", &asked)
	defer g.Release()
	g.Classify(s, c)
	first := asked
	g.Classify(s, c)
	return asked == first
}

// asked counts how often it was asked to classify.
type asked int

func (a *asked) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
	*a++
	return abi.Drop, nil
}

func (*asked) Inspect(v policy.Verdict, _ policy.Question) (policy.Verdict, error) { return v, nil }
func (*asked) Close() error                                                        { return nil }
