package policy

import (
	"errors"
	"sync/atomic"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// A Generation is one policy with its configuration and its memo: what is in
// force, swapped whole. Functions stand in the order of its life: made, used to
// judge, retired by count.
type Generation struct {
	Name   string // as the configuration names the policy
	SHA256 string // of the module, in hex
	Config []byte // JSON that the policy was configured with, or nil; set before the generation is in force

	policy Policy
	limits *limits // nil if the policy may do everything
	memo   memo

	// uses counts who may still ask: one for being in force, one for each
	// Acquire. At zero the policy is closed.
	uses   atomic.Int64
	faults [len(FaultKinds)]atomic.Uint64

	// failing counts the faults since the last Forgive.
	failing atomic.Int64
}

// patience is how many faults a policy may have before it is not asked any more
// until it is forgiven. A fault costs many times what a decision does: the fuel, and
// a fresh instance.
const patience = 20

// NewGeneration makes a generation of p, which it owns from now on. The verdicts
// of all known commands are in its memo from the start.
func NewGeneration(name, sha256 string, p Policy) *Generation {
	return NewLimitedGeneration(name, sha256, p, nil)
}

// NewLimitedGeneration makes a generation whose policy is held to e: a verdict
// outside of it does not happen, but is a fault of the kind FaultEffect.
func NewLimitedGeneration(name, sha256 string, p Policy, e *Effects) *Generation {
	g := &Generation{Name: name, SHA256: sha256, policy: p}
	if e != nil {
		g.limits = &limits{effects: e}
	}
	g.uses.Store(1)
	for _, c := range pdu.Commands {
		g.classify(c.Service, c.ID)
	}
	return g
}

// Judge decides about the PDU, which is whole. A fault says that the policy
// failed to; the verdict is then what its verdict by ids says for that case, or
// Drop if there is none. If the fault is that the policy may not do what it said,
// the verdict is what its Effects say instead. The verdict carries no INSPECT flag.
func (g *Generation) Judge(p []byte, session, attributes uint64) (Verdict, *Fault) {
	// The header as a whole would be copied, which takes longer than the memo.
	service, command := pdu.ParseHeader(p).Service, pdu.ParseHeader(p).Command
	v, fault := g.classify(service, command)
	if !v.Inspected() || fault != nil {
		return v, fault
	}
	const inspect = abi.InspectHeader | abi.InspectBodyOf
	q := Question{Header: p[:pdu.HeaderLen], Body: p[pdu.HeaderLen:], Session: session, Attributes: attributes}
	if g.failing.Load() >= patience {
		return v &^ inspect, g.count(notAsked)
	}
	seen, err := g.policy.Inspect(v, q)
	if err != nil {
		return v &^ inspect, g.count(err)
	}
	return g.within(service, command, seen)
}

var notAsked = &Fault{Kind: FaultBudget, Err: errors.New("the policy has failed too often lately to be asked")}

// Forgive has the policy asked again, however often it failed. Called once a second,
// it bounds what a policy that always fails costs.
func (g *Generation) Forgive() { g.failing.Store(0) }

// Classify returns the verdict by ids alone, INSPECT flags included, as the
// routing table shows it.
func (g *Generation) Classify(s pdu.ServiceID, c pdu.CommandID) (Verdict, *Fault) {
	return g.classify(s, c)
}

func (g *Generation) classify(s pdu.ServiceID, c pdu.CommandID) (Verdict, *Fault) {
	place := g.memo.place(s, c)
	if place == nil {
		return g.ask(s, c)
	}
	v := ^Verdict(place.Load())
	if v&abi.ReservedMask == 0 {
		return v, nil
	}
	return g.fill(place, v, s, c)
}

// fill asks the policy for what the memo does not hold yet. A fault is pure like
// a verdict and remembered too, or a peer could have it repeated at will; only
// what says nothing about the ids may be over next time.
func (g *Generation) fill(place *atomic.Uint64, v Verdict, s pdu.ServiceID, c pdu.CommandID) (Verdict, *Fault) {
	switch v {
	case memoEmpty:
	case memoExcess:
		return g.limits.remembered(s, c)
	default:
		return 0, &rememberedFaults[v&abi.ActionMask]
	}
	v, fault := g.ask(s, c)
	switch {
	case fault == nil:
		place.Store(^uint64(v))
	case fault.Kind == FaultEffect && g.limits != nil:
		g.limits.remember(s, c, fault) // before the memo says that it is there
		place.Store(^uint64(memoExcess))
	case fault.Kind != FaultInstance && fault.Kind != FaultBudget:
		place.Store(^(uint64(memoFault) | uint64(fault.Kind.index())))
	}
	return v, fault
}

// ask asks the policy for the verdict by ids. A fault comes with Drop, or with what
// its Effects say if it may not do what it said.
func (g *Generation) ask(s pdu.ServiceID, c pdu.CommandID) (Verdict, *Fault) {
	if g.failing.Load() >= patience {
		return 0, g.count(notAsked)
	}
	v, err := g.policy.Classify(s, c)
	if err != nil {
		return 0, g.count(err)
	}
	return g.within(s, c, v)
}

var rememberedFaults = func() (faults [len(FaultKinds)]Fault) {
	for i, kind := range FaultKinds {
		faults[i] = Fault{Kind: kind, Err: errors.New("classify failed for these ids before")}
	}
	return faults
}()

func (k FaultKind) index() int {
	for i, kind := range FaultKinds {
		if k == kind {
			return i
		}
	}
	return 0
}

// count counts the policy's failure and returns it as the fault it is.
func (g *Generation) count(err error) *Fault {
	var fault *Fault
	if !errors.As(err, &fault) {
		fault = &Fault{Kind: FaultTrap, Err: err}
	}
	g.faults[fault.Kind.index()].Add(1)
	switch fault.Kind {
	case FaultBody, FaultEffect: // cost nothing, and a peer could bring them about at will
	default:
		g.failing.Add(1)
	}
	return fault
}

// Faults returns how often the policy failed in that way, counting failures that
// the memo remembers once.
func (g *Generation) Faults(k FaultKind) uint64 { return g.faults[k.index()].Load() }

// Policy returns the policy itself, for tools that explain it; what it says is not held
// to what it may do. It may be asked until Release.
func (g *Generation) Policy() Policy { return g.policy }

// acquire takes one more use, unless the generation is retired already.
func (g *Generation) acquire() bool {
	for {
		n := g.uses.Load()
		if n == 0 {
			return false
		}
		if g.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives back one use. The last one closes the policy.
func (g *Generation) Release() {
	if g.uses.Add(-1) == 0 {
		g.policy.Close()
	}
}
