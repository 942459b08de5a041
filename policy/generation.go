package policy

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"switchyard/pdu"
	"switchyard/policy/abi"
)

// An Origin returns what is known about the rule of a policy that decides about the ids.
type Origin func(pdu.ServiceID, pdu.CommandID) Rule

// A Rule is where a rule is written, as FILE:LINE, empty if that is not known, and its cases. The first
// case that holds decides; the verdict by ids does if none holds.
type Rule struct {
	Source string
	Cases  []Case
}

// A Case is a condition on a PDU and what is done with it. The names in JSON do not change.
type Case struct {
	If      string `json:"if"`      // as a table spells it: msg_type = 1-2
	Verdict string `json:"verdict"` // as tables and logs spell it
	Source  string `json:"source"`  // where the case is written, as FILE:LINE
}

// A Generation is one loaded policy with its configuration and its memo. A tenant's
// generation is replaced as a whole. The functions are in the order of its life: it is
// made, judges, and is closed when the count of its uses reaches zero.
type Generation struct {
	Name   string // as the configuration names the policy
	SHA256 string // of the module, in hex

	// Set before the generation is in force.
	FileSHA256 string // of the policy's file, in hex; empty if that is the module
	Config     []byte // JSON that the policy was configured with, or nil
	Origin     Origin // where its rules are written; nil if that is not known

	stage *Stage // nil unless the generation is made of two others

	policy Policy    // in a stage, the policy of the stable generation, which closes it
	keeps  Reserver  // the policy, if it is one
	limits *limits   // nil if the policy may do everything
	rates  *limitSet // nil if the policy has no rate limits
	memo   memo
	named  *namedMemo // what the policy names beyond the memo; nil if nothing

	seen seenServices

	// uses is 1 for being in force, plus 1 for each Acquire without its Release. At zero
	// the policy is closed.
	uses   atomic.Int64
	faults [len(FaultKinds)]atomic.Uint64

	// consecutiveFaults counts the faults since the last ResetBreaker, each as faultWeight.
	// When the count reaches breakerLimit, the circuit breaker opens: the policy is not called
	// until the next reset.
	consecutiveFaults atomic.Int64
	faultWeight       int64 // set before the generation is in force
}

// breakerLimit is how many faults a policy may have between two resets of its circuit
// breaker. A fault costs many times as much as a decision: it uses all of the decision's fuel,
// which takes up to decisionTime, and requires a fresh instance. For each further decisionTime
// that the instance takes, the fault counts once more. So with a reset in each second, a
// policy that always fails takes at most 0.4 s of CPU time in a second, and what its last
// fault takes:
//
//	an instance takes       0–9 ms   10–19 ms   …   100 ms
//	a fault counts as       1        2              11
//	faults in a second      20       10             2
//	CPU time at most        0.4 s    0.3 s          0.22 s
const (
	breakerLimit = 20
	decisionTime = 10 * time.Millisecond
)

// NewGeneration makes a generation of p and takes ownership of p. Its memo holds the
// verdicts of all known commands from the start.
func NewGeneration(name, sha256 string, p Policy) *Generation {
	return NewLimitedGeneration(name, sha256, p, nil)
}

// NewLimitedGeneration makes a generation that enforces e: a verdict that e does not allow
// is not carried out, and is a fault of kind FaultEffect.
func NewLimitedGeneration(name, sha256 string, p Policy, e *Effects) *Generation {
	g := &Generation{Name: name, SHA256: sha256, policy: p}
	g.keeps, _ = p.(Reserver)
	g.faultWeight = 1
	if r, restarts := p.(Restarter); restarts {
		g.faultWeight += int64(r.RestartTime() / decisionTime)
	}
	if pairs := namedBy(p).Pairs; len(pairs) > 0 {
		g.named = newNamedMemo(pairs)
	}
	if e != nil {
		g.limits = newLimits(e, g.named)
	}
	g.rates = newLimitSet(RateLimitsOf(p))
	g.uses.Store(1)
	for _, c := range pdu.KnownCommands() {
		g.Classify(c.Service, c.ID)
	}
	return g
}

// Sum returns the sum by which operators know the policy, in hex: that of its file, which for
// a table is not the module's.
func (g *Generation) Sum() string {
	if g.FileSHA256 != "" {
		return g.FileSHA256
	}
	return g.SHA256
}

// ResetBreaker closes the circuit breaker. Calling it once a second bounds what a policy
// that always fails costs: see breakerLimit.
//
// In a stage, it resets both generations and the quota of fuel.
func (g *Generation) ResetBreaker() {
	g.consecutiveFaults.Store(0)
	if g.stage != nil {
		g.stage.Split.resetQuota()
		g.stage.Split.Stable.ResetBreaker()
		g.stage.Split.Candidate.ResetBreaker()
	}
}

// Classify returns the verdict by ids alone, INSPECT flags included, as the
// routing table shows it. For a stage it is the stable generation's.
func (g *Generation) Classify(s pdu.ServiceID, c pdu.CommandID) (Verdict, *Fault) {
	if g.stage != nil {
		return g.stage.Split.Stable.Classify(s, c)
	}
	if v, found := g.Recall(s, c); found {
		return v, nil
	}
	return g.fill(s, c)
}

// Recall returns the verdict by ids that the memo holds, INSPECT flags included, if it
// holds one. It never calls the policy. A stage's memo holds the verdicts on which both
// generations agree.
func (g *Generation) Recall(s pdu.ServiceID, c pdu.CommandID) (v Verdict, found bool) {
	entry := g.memo.entry(s, c)
	if entry == nil {
		if entry = g.named.entry(s, c); entry == nil {
			return 0, false
		}
	}
	v = ^Verdict(entry.Load())
	return v, v&memoSpecial == 0
}

// entry returns the memo's entry for the verdict by ids, or nil if there is none.
func (g *Generation) entry(s pdu.ServiceID, c pdu.CommandID) *atomic.Uint64 {
	if entry := g.memo.entry(s, c); entry != nil {
		return entry
	}
	return g.named.entry(s, c)
}

// fill calls the policy for a verdict that the memo does not hold, and stores it if the
// ids have an entry. A fault is stored too: a policy is a pure function and would fail
// again, and a peer could repeat the costly call at will. Faults of the kinds
// FaultInstance and FaultBudget say nothing about the ids, so they are not stored.
func (g *Generation) fill(s pdu.ServiceID, c pdu.CommandID) (Verdict, *Fault) {
	entry := g.entry(s, c)
	if entry == nil {
		g.seen.note(s)
		return g.callClassify(s, c)
	}
	switch v := ^Verdict(entry.Load()); {
	case v&memoSpecial == 0:
		return v, nil // another goroutine stored it
	case v == memoEmpty:
	case v == memoExcess:
		return g.limits.remembered(g.entryIndex(s, c))
	default:
		return 0, &rememberedFaults[v&abi.ActionMask&^memoSpecial]
	}
	v, fault := g.callClassify(s, c)
	switch {
	case fault == nil:
		entry.Store(^uint64(v))
	case fault.Kind == FaultEffect && g.limits != nil:
		g.limits.faults[g.entryIndex(s, c)].Store(fault) // stored first, because the memo's entry refers to it
		entry.Store(^uint64(memoExcess))
	case fault.Kind != FaultInstance && fault.Kind != FaultBudget:
		entry.Store(^uint64(memoFault | Verdict(fault.Kind.index())))
	}
	return v, fault
}

// entryIndex returns the number of the pair's entry, which exists: those of the memo come
// first.
func (g *Generation) entryIndex(s pdu.ServiceID, c pdu.CommandID) int {
	if InMemo(s, c) {
		return memoIndex(s, c)
	}
	return memoServices*memoCommands + g.named.index(s, c)
}

// callClassify calls the policy for the verdict by ids, unless its breaker is open. A
// fault comes with Drop, or with the verdict that replaces one which is not allowed.
func (g *Generation) callClassify(s pdu.ServiceID, c pdu.CommandID) (Verdict, *Fault) {
	if g.consecutiveFaults.Load() >= breakerLimit {
		return 0, g.count(errBreakerOpen)
	}
	v, err := g.policy.Classify(s, c)
	if err != nil {
		return 0, g.count(err)
	}
	return g.enforceAndCount(s, c, v)
}

var rememberedFaults = func() (faults [len(FaultKinds)]Fault) {
	for i, kind := range FaultKinds {
		faults[i] = Fault{Kind: kind, Err: errors.New("classify failed for these ids before")}
	}
	return faults
}()

func (k FaultKind) index() int { return max(0, slices.Index(FaultKinds[:], k)) }

// count counts an error of the policy and returns it as a fault.
func (g *Generation) count(err error) *Fault {
	fault := FaultOf(err)
	g.faults[fault.Kind.index()].Add(1)
	switch fault.Kind {
	case FaultBody, FaultEffect: // they cost nothing, and a peer could cause them at will
	default:
		g.consecutiveFaults.Add(g.faultWeight)
	}
	return fault
}

// Faults returns how often the policy failed in that way. A fault in the memo counts
// once. For a stage it is the stable generation's.
func (g *Generation) Faults(k FaultKind) uint64 {
	if g.stage != nil {
		g = g.stage.Split.Stable
	}
	return g.faults[k.index()].Load()
}

// RateLimits returns the rate limits of the policy; in a stage, those of the stable one.
func (g *Generation) RateLimits() RateLimits { return RateLimitsOf(g.policy) }

// Policy returns the policy itself, for tools that explain it. Its verdicts are not
// checked against the Effects. It may be called until Release.
func (g *Generation) Policy() Policy { return g.policy }

// Groups returns the groups that the policy names; for a stage, those of both generations.
func (g *Generation) Groups() []Group {
	if g.stage != nil {
		return slices.Concat(g.stage.Split.Stable.Groups(), g.stage.Split.Candidate.Groups())
	}
	return GroupsOf(g.policy)
}

// Acquire adds a reference, which Release drops. It returns false if the generation is
// already closed.
func (g *Generation) Acquire() bool {
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

// Release drops one reference. The last Release closes the policy; in a stage, it releases
// both generations.
func (g *Generation) Release() {
	if g.uses.Add(-1) == 0 {
		g.close()
	}
}

func (g *Generation) close() {
	if g.stage == nil {
		g.policy.Close()
		return
	}
	g.stage.Split.Candidate.Release()
	g.stage.Split.Stable.Release()
}
