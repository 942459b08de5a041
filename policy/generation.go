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
	keeps  Reserver // the policy, if it is one
	limits *limits  // nil if the policy may do everything
	memo   memo

	// uses counts who may still ask: one for being in force, one for each
	// Acquire. At zero the policy is closed.
	uses   atomic.Int64
	faults [len(FaultKinds)]atomic.Uint64

	// consecutiveFaults counts the faults since the last Forgive.
	consecutiveFaults atomic.Int64
}

// breakerLimit is how many faults a policy may have before it is not asked any more
// until it is forgiven. A fault costs many times what a decision does: the fuel, and
// a fresh instance.
const breakerLimit = 20

// NewGeneration makes a generation of p, which it owns from now on. The verdicts
// of all known commands are in its memo from the start.
func NewGeneration(name, sha256 string, p Policy) *Generation {
	return NewLimitedGeneration(name, sha256, p, nil)
}

// NewLimitedGeneration makes a generation whose policy is held to e: a verdict
// outside of it does not happen, but is a fault of the kind FaultEffect.
func NewLimitedGeneration(name, sha256 string, p Policy, e *Effects) *Generation {
	g := &Generation{Name: name, SHA256: sha256, policy: p}
	g.keeps, _ = p.(Reserver)
	if e != nil {
		g.limits = &limits{effects: e}
	}
	g.uses.Store(1)
	for _, c := range pdu.Commands {
		g.Classify(c.Service, c.ID)
	}
	return g
}

// ResetBreaker has the policy asked again, however often it failed. Called once a second,
// it bounds what a policy that always fails costs.
func (g *Generation) ResetBreaker() { g.consecutiveFaults.Store(0) }

// Classify returns the verdict by ids alone, INSPECT flags included, as the
// routing table shows it.
func (g *Generation) Classify(s pdu.ServiceID, c pdu.CommandID) (Verdict, *Fault) {
	if v, found := g.Recall(s, c); found {
		return v, nil
	}
	return g.fill(s, c)
}

// Recall returns the verdict by ids that the memo holds, INSPECT flags included, if it
// holds one. The policy is not asked.
func (g *Generation) Recall(s pdu.ServiceID, c pdu.CommandID) (v Verdict, found bool) {
	place := g.memo.place(s, c)
	if place == nil {
		return 0, false
	}
	v = ^Verdict(place.Load())
	return v, v&abi.ReservedMask == 0
}

// fill asks the policy for what the memo does not hold yet, if it can. A fault is pure
// like a verdict and remembered too, or a peer could have it repeated at will; only
// what says nothing about the ids may be over next time.
func (g *Generation) fill(s pdu.ServiceID, c pdu.CommandID) (Verdict, *Fault) {
	place := g.memo.place(s, c)
	if place == nil {
		return g.ask(s, c)
	}
	switch v := ^Verdict(place.Load()); {
	case v&abi.ReservedMask == 0:
		return v, nil // by now
	case v == memoEmpty:
	case v == memoExcess:
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
	if g.consecutiveFaults.Load() >= breakerLimit {
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
		g.consecutiveFaults.Add(1)
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
