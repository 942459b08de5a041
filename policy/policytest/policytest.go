// Package policytest helps tests that need a policy: fakes whose verdicts the test
// writes down, in force or as a generation. It loads no modules.
package policytest

import (
	"errors"
	"sync/atomic"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// Rules is a policy with a verdict for each command; other commands are dropped. An
// inspection changes nothing. A test that needs more embeds Rules and overrides a method.
type Rules map[pdu.CommandID]policy.Verdict

// Classify implements policy.Policy.
func (r Rules) Classify(_ pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) { return r[c], nil }

// Inspect implements policy.Policy.
func (Rules) Inspect(byIDs policy.Verdict, _ policy.Question) (policy.Verdict, error) {
	return Final(byIDs), nil
}

// Close implements policy.Policy.
func (Rules) Close() error { return nil }

// A Policy decides by functions of the test and counts its calls. Several goroutines may
// use it if its functions allow that.
type Policy struct {
	OnClassify func(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error)    // nil: drop
	OnInspect  func(policy.Verdict, policy.Question) (policy.Verdict, error) // nil: the verdict by ids, made final

	Classified, Inspected, Closed atomic.Int64 // calls so far
}

// Always returns a policy with one verdict for everything.
func Always(v policy.Verdict) *Policy {
	return &Policy{OnClassify: func(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) { return v, nil }}
}

// Classify implements policy.Policy.
func (p *Policy) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	p.Classified.Add(1)
	if p.OnClassify == nil {
		return abi.Drop, nil
	}
	return p.OnClassify(s, c)
}

// Inspect implements policy.Policy.
func (p *Policy) Inspect(byIDs policy.Verdict, q policy.Question) (policy.Verdict, error) {
	p.Inspected.Add(1)
	if p.OnInspect == nil {
		return Final(byIDs), nil
	}
	return p.OnInspect(byIDs, q)
}

// Close implements policy.Policy.
func (p *Policy) Close() error {
	p.Closed.Add(1)
	return nil
}

// Final returns v without the flags that ask for an inspection.
func Final(v policy.Verdict) policy.Verdict { return v &^ (abi.InspectHeader | abi.InspectBodyOf) }

// Trap returns the error of a policy whose guest trapped.
func Trap(why string) error { return Fault(policy.FaultTrap, why) }

// Fault returns the error of a policy that failed in the given way.
func Fault(kind policy.FaultKind, why string) error {
	return &policy.Fault{Kind: kind, Err: errors.New(why)}
}

// Generation returns a generation named test of p, which it closes when it is released.
func Generation(p policy.Policy) *policy.Generation { return policy.NewGeneration("test", "", p) }

// Active puts p in force, in a generation named test.
func Active(p policy.Policy) *policy.Active { return policy.NewActive(Generation(p)) }
