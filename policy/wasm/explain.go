package wasm

import (
	"errors"

	"github.com/tetratelabs/wazero/api"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// An Answer is the result of one call of a guest and what the call used. It is for tools;
// traffic is judged by Classify and Inspect, with the same results.
type Answer struct {
	Export  string         // the called one: classify, inspect or inspect_body
	Verdict policy.Verdict // zero after a fault
	Fault   *policy.Fault  // nil if it decided
	Fuel    uint64         // that the call used, without that of buffer, which has its own
	Memory  uint64         // of the instance afterwards, in bytes
}

// ExplainClassify is Classify with its costs.
func (p *Policy) ExplainClassify(service pdu.ServiceID, command pdu.CommandID) Answer {
	a := p.explain(0, func(in *instance) (policy.Verdict, error) {
		v, err := in.callClassify(uint16(service), uint16(command))
		if err == nil {
			err = in.canInspect(v)
		}
		return v, err
	})
	a.Export = abi.Classify
	return a
}

// ExplainInspect is Inspect with its costs. The verdict by ids asks for an inspection.
func (p *Policy) ExplainInspect(byIDs policy.Verdict, q policy.Question) Answer {
	export := abi.Inspect
	a := p.explain(q.Session, func(in *instance) (policy.Verdict, error) {
		if in.inspectsBody(byIDs, &q) {
			export = abi.InspectBody
		}
		return in.inspectPDU(byIDs, &q)
	})
	a.Export = export
	return a
}

// explain calls one instance and reads its fuel and memory before releasing it. The caller names the
// export. The fuel that a call used is what it began with, less what is left; below zero it used all.
func (p *Policy) explain(hint uint64, ask func(*instance) (policy.Verdict, error)) (a Answer) {
	s, err := p.claim(hint)
	if err != nil {
		errors.As(err, &a.Fault)
		return a
	}
	full := p.limits.Fuel
	s.in.fuel.(api.MutableGlobal).Set(full) // for a fault before the call, which refills it
	a.Verdict, err = ask(s.in)
	a.Fuel = full - uint64(max(0, int64(s.in.fuel.Get())))
	if s.in.memory != nil {
		a.Memory = uint64(s.in.memory.Size())
	}
	s.release(err)
	if errors.As(err, &a.Fault) {
		a.Verdict = 0
	}
	return a
}

// Exports lists which of the ABI's functions the guest exports, in the order of
// docs/abi.md.
func (p *Policy) Exports() []string {
	var names []string
	for _, name := range []string{abi.Classify, abi.Inspect, abi.InspectBody, abi.Buffer, abi.Configure, abi.Groups, abi.RateLimit, abi.Initialize} {
		if p.has(name) {
			names = append(names, name)
		}
	}
	return names
}
