package policy

import (
	"errors"
	"fmt"
	"sync/atomic"

	"switchyard/pdu"
)

// An Excess is a policy's verdict outside of its Effects: the error in each Fault of
// the kind FaultEffect that a Generation returns.
type Excess struct {
	Service pdu.ServiceID
	Command pdu.CommandID
	Verdict Verdict // the policy's, which does not happen
	Limit   string  // in which way it lies outside
}

func (x *Excess) Error() string {
	return fmt.Sprintf("%v for %v is more than the policy may do: %s; add it there, or change the policy", x.Verdict, x.Command, x.Limit)
}

// limits hold a generation's policy to its Effects.
type limits struct {
	effects *Effects

	// faults is the memo's other half: for places that say memoExcess, what was said.
	// That is 144 KiB, and 1.2 MiB more if peers have tried all ids that have a place.
	faults [memoServices * memoCommands]atomic.Pointer[Fault]
}

// within returns the policy's verdict on a PDU of these ids, or what happens instead
// and why.
func (g *Generation) within(s pdu.ServiceID, c pdu.CommandID, v Verdict) (Verdict, *Fault) {
	v, fault := g.Hold(s, c, v)
	if fault != nil {
		g.count(fault)
	}
	return v, fault
}

// Hold holds a verdict on a PDU of these ids against what the policy may do, and
// returns it, or what happens instead and why. It counts nothing.
func (g *Generation) Hold(s pdu.ServiceID, c pdu.CommandID, v Verdict) (Verdict, *Fault) {
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

// remember keeps the fault of an excess by ids, which have a place in the memo.
func (l *limits) remember(s pdu.ServiceID, c pdu.CommandID, fault *Fault) {
	l.faults[memoIndex(s, c)].Store(fault)
}

// remembered returns what happens to PDUs of these ids, and the fault kept.
func (l *limits) remembered(s pdu.ServiceID, c pdu.CommandID) (Verdict, *Fault) {
	return l.effects.otherwise, l.faults[memoIndex(s, c)].Load()
}

// Outside returns the verdicts by ids on known commands that lie outside of what the
// policy may do, in the order of the commands. What it will say after an inspection
// nobody knows beforehand.
func (g *Generation) Outside() (excesses []*Excess) {
	for _, c := range pdu.Commands {
		if _, fault := g.Classify(c.Service, c.ID); fault != nil {
			if x, ok := errors.AsType[*Excess](fault); ok {
				excesses = append(excesses, x)
			}
		}
	}
	return excesses
}
