package wasm

import (
	"errors"

	"github.com/tetratelabs/wazero/api"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// An Answer is what a guest said to one question, and what that took. It is for
// tools; traffic is judged by Classify and Inspect, which say the same.
type Answer struct {
	Export  string         // that was called: one of classify, inspect and inspect_body
	Verdict policy.Verdict // zero after a fault
	Fault   *policy.Fault  // nil if it decided
	Fuel    uint64         // that the call used; without that of buffer, which has as much of its own
	Memory  uint64         // of the instance afterwards, in bytes
}

// ExplainClassify is Classify.
func (p *Policy) ExplainClassify(service pdu.ServiceID, command pdu.CommandID) Answer {
	return p.explain(abi.Classify, 0, func(in *instance) (policy.Verdict, error) {
		v, err := in.callClassify(uint16(service), uint16(command))
		if err == nil {
			err = in.canInspect(v)
		}
		return v, err
	})
}

// ExplainInspect is Inspect of a verdict by ids that asks for an inspection.
func (p *Policy) ExplainInspect(byIDs policy.Verdict, q policy.Question) Answer {
	export := abi.Inspect
	if byIDs.Has(abi.InspectBodyOf) {
		export = abi.InspectBody
	}
	return p.explain(export, q.Session, func(in *instance) (policy.Verdict, error) { return in.inspectPDU(byIDs, &q) })
}

// explain asks one instance and reads its gauges before it is given back.
func (p *Policy) explain(export string, hint uint64, ask func(*instance) (policy.Verdict, error)) Answer {
	a := Answer{Export: export}
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

// Exports lists what the guest exports of the ABI's functions, in the order in which
// docs/abi.md has them.
func (p *Policy) Exports() []string {
	var names []string
	for _, name := range []string{abi.Classify, abi.Inspect, abi.InspectBody, abi.Buffer, abi.Configure, abi.Initialize} {
		if p.has(name) {
			names = append(names, name)
		}
	}
	return names
}
