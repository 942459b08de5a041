package policy

import (
	"errors"
	"fmt"
	"sync/atomic"

	"switchyard/pdu"
)

// An Excess is a verdict that the policy's Effects do not allow. It is the error in each
// Fault of kind FaultEffect that a Generation returns.
type Excess struct {
	Service pdu.ServiceID
	Command pdu.CommandID
	Verdict Verdict // the policy's, which is not carried out
	Limit   string  // why it is not allowed
}

func (x *Excess) Error() string {
	return fmt.Sprintf("%v for %v is more than the policy may do: %s; add it there, or change the policy", x.Verdict, x.Command, x.Limit)
}

// limits enforce the Effects of a generation's policy.
type limits struct {
	effects *Effects

	// faults extends the memo: for each entry that holds memoExcess it stores the fault,
	// indexed by Generation.entryIndex. It takes 144 KiB, and 1.4 MiB more if peers have tried
	// all ids of the memo.
	faults []atomic.Pointer[Fault]
}

func newLimits(e *Effects, named *namedMemo) *limits {
	return &limits{effects: e, faults: make([]atomic.Pointer[Fault], memoServices*memoCommands+named.size())}
}

// enforceAndCount is Enforce, and counts the fault.
func (g *Generation) enforceAndCount(s pdu.ServiceID, c pdu.CommandID, v Verdict) (Verdict, *Fault) {
	v, fault := g.Enforce(s, c, v)
	if fault != nil {
		g.count(fault)
	}
	return v, fault
}

// Enforce checks a verdict on a PDU of these ids against the policy's Effects. It returns
// the verdict, or the one that replaces it and the fault. It counts nothing.
func (g *Generation) Enforce(s pdu.ServiceID, c pdu.CommandID, v Verdict) (Verdict, *Fault) {
	if g.limits == nil {
		return v, nil
	}
	e := g.limits.effects
	limit := e.exceeded(c, v)
	if limit == "" {
		return v, nil
	}
	return e.otherwise, &Fault{Kind: FaultEffect, Err: &Excess{s, c, v, limit}}
}

// remembered returns the effect on PDUs whose entry has the given index, and the stored
// fault.
func (l *limits) remembered(index int) (Verdict, *Fault) {
	return l.effects.otherwise, l.faults[index].Load()
}

// Outside returns the verdicts by ids that the Effects do not allow, on known commands and
// on the pairs that the policy names, in the order of the commands. Verdicts after an
// inspection cannot be known beforehand, except those of cases that the Origin knows.
func (g *Generation) Outside() (excesses []*Excess) {
	add := func(s pdu.ServiceID, c pdu.CommandID) {
		if n := len(excesses); n > 0 && excesses[n-1].Command == c {
			return // of another service
		}
		_, fault := g.Classify(s, c)
		if fault == nil {
			fault = g.outsideCase(s, c)
		}
		if fault == nil {
			return
		}
		if x, ok := errors.AsType[*Excess](fault); ok {
			excesses = append(excesses, x)
		}
	}
	for _, c := range pdu.KnownCommands() {
		add(c.Service, c.ID)
	}
	if g.limits != nil {
		for _, p := range g.Named().Pairs {
			add(p.Service, p.Command)
		}
	}
	return excesses
}

// outsideCase returns the fault of the first case whose verdict the Effects do not allow, or nil.
func (g *Generation) outsideCase(s pdu.ServiceID, c pdu.CommandID) *Fault {
	if g.Origin == nil {
		return nil
	}
	for _, one := range g.Origin(s, c).Cases {
		v, _, _ := ParseSpelled(one.Verdict) // it was spelled by RateLimits
		if _, fault := g.Enforce(s, c, v); fault != nil {
			return fault
		}
	}
	return nil
}
