package wasm

import (
	"slices"

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

// remembers reports whether the memo of a generation has an entry for the ids.
func (p *Policy) remembers(s pdu.ServiceID, c pdu.CommandID) bool {
	return policy.InMemo(s, c) || slices.Contains(p.named.Pairs, policy.IDs{Service: s, Command: c})
}
