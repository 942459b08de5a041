package policy

import (
	"switchyard/pdu"
)

// A Side names the generation of a stage that was obeyed for a PDU.
type Side uint8

const (
	Alike     Side = iota // both generations agree by ids, or there is only one
	Stable                // an affected PDU; the stable generation was obeyed
	Candidate             // an affected PDU; the candidate was obeyed
)

// A Comparison holds the opinions of both generations of a stage about one affected PDU,
// and the state needed to ask the second one. The caller of Begin owns it and may reuse it
// for the next batch.
//
// Once the Quota is used up, the generation that is not obeyed is no longer called. It is
// then asked only if the memo knows its answer. The stable generation is also asked if the
// candidate fails or gives a verdict that cannot be undone.
type Comparison struct {
	Side              Side // the side that is obeyed
	Trip              Trip // why the candidate is not obeyed for this PDU; the Split may accept this reason
	Stable, Candidate Opinion

	candidate  asker
	connection uint64 // ConnectionKey of the sender
}

// An Opinion is the decision of one generation about a PDU.
type Opinion struct {
	Asked     bool // if false, the other fields are zero
	Inspected bool // the generation inspected the PDU, which used Fuel
	Fuel      uint64
	Verdict   Verdict
	Fault     *Fault
}

// Compare makes the batch of a stage report what both generations say in c. The connection
// is the sender's ConnectionKey. A batch of another generation ignores both.
func (b *Batch) Compare(c *Comparison, connection uint64) {
	if b.stage != nil {
		b.comparison, c.connection = c, connection
	}
}

// Forget drops the references to the stage and to the last PDU's opinions, so that the stage can be
// freed. It costs nothing if no PDU was affected.
func (c *Comparison) Forget() {
	if c.candidate.generation != nil {
		*c = Comparison{}
	}
}

// Affected returns how many affected PDUs the batch has judged. If Judge changes it, the
// Comparison is about that PDU.
func (b *Batch) Affected() int { return int(b.affected) }

// judgeStage judges a PDU by both generations of the stage, unless they are alike.
func (b *Batch) judgeStage(p []byte) (Verdict, *Fault) {
	service, command := pdu.ParseHeader(p).Service, pdu.ParseHeader(p).Command
	if InMemo(service, command) && b.memo.load(service, command) == memoEmpty {
		b.calls++
		b.Release() // as for every call of Classify
		if v, alike := b.stage.recallAlike(b.memo, service, command); alike {
			return v, nil
		}
	}
	if b.comparison == nil {
		b.Compare(new(Comparison), 0)
	}
	c, split := b.comparison, b.stage.Split
	b.affected++
	if c.candidate.generation != split.Candidate {
		c.candidate = asker{generation: split.Candidate}
	}
	c.Side, c.Trip = b.stage.side(p, c.connection), NoTrip
	stable, candidate := split.Stable.memo.load(service, command), split.Candidate.memo.load(service, command)
	if (stable|candidate)&(memoSpecial|inspect) == 0 { // both are known without a call
		c.Stable, c.Candidate = Opinion{Asked: true, Verdict: stable}, Opinion{Asked: true, Verdict: candidate}
	} else {
		b.askBoth(p)
	}
	c.settle(split, command)
	if c.Side == Candidate {
		return c.Candidate.Verdict, c.Candidate.Fault
	}
	return c.Stable.Verdict, c.Stable.Fault
}

// askBoth asks both generations as far as the quota allows, and charges the fuel of the one
// that is not obeyed.
func (b *Batch) askBoth(p []byte) {
	c, split := b.comparison, b.stage.Split
	service, command := pdu.ParseHeader(p).Service, pdu.ParseHeader(p).Command
	c.Stable, c.Candidate = Opinion{}, Opinion{}
	quota := split.hasQuota()
	// The stable generation is asked first, see asker.
	if c.Side == Stable || quota || split.Stable.knows(service, command) {
		c.Stable = b.opinion(&b.asker, p)
	}
	if c.Side == Candidate || quota || split.Candidate.knows(service, command) {
		c.Candidate = b.opinion(&c.candidate, p)
	}
	if !c.Stable.Asked && (c.Candidate.failed() || c.Candidate.Verdict.Action() == Close || c.Candidate.Verdict.PresenceHandler() != 0) {
		c.Stable = b.opinion(&b.asker, p)
	}
	if c.Side == Candidate {
		split.charge(&b.asker, &c.Stable)
	} else {
		split.charge(&c.candidate, &c.Candidate)
	}
}

// charge subtracts the cost of the opinion from the quota.
func (s *Split) charge(a *asker, o *Opinion) {
	cost := o.Fuel
	if o.Asked && a.classified {
		cost += s.Fuel // of the call by ids, which is not measured: at most this much
	}
	if s.Rules().Quota != 0 && cost > 0 {
		s.spent.Add(int64(cost))
	}
}

// settle switches to the stable generation and trips the split if the candidate must not be
// obeyed.
func (c *Comparison) settle(split *Split, command pdu.CommandID) {
	stable, candidate := &c.Stable, &c.Candidate
	if !stable.Asked || !candidate.Asked {
		return
	}
	switch {
	case candidate.failed() && !stable.failed():
		c.Trip = TripFault
	case candidate.Verdict.Action() == Close && stable.Verdict.Action() != Close:
		c.Trip = TripClose
	case candidate.Verdict.PresenceHandler() != stable.Verdict.PresenceHandler():
		c.Trip = TripPresence
	default:
		return
	}
	r := split.Rules()
	if c.Trip != TripFault && r.Accept[command] {
		return
	}
	c.Side = Stable
	tolerated := c.Trip == TripFault && r.TolerateFaults || c.Trip == TripClose && r.TolerateCloses
	if !tolerated {
		split.Trip(c.Trip)
	}
}

// failed reports whether the policy failed by its own code. If the configured limit on bodies
// prevented the call, the verdict by ids is compared and obeyed like any other.
func (o *Opinion) failed() bool { return o.Fault != nil && !o.Fault.ByLimit }

// opinion asks one of the generations.
func (b *Batch) opinion(a *asker, p []byte) Opinion {
	v, fault := b.ask(a, p)
	called := a.inspected && (fault == nil || !fault.ByLimit)
	o := Opinion{Asked: true, Inspected: called, Verdict: v, Fault: fault}
	if meter, metered := a.reserved.(FuelMeter); called && metered {
		o.Fuel = meter.Fuel()
	}
	return o
}

// knows reports whether the memo holds the generation's answer, so that no call is needed.
func (g *Generation) knows(s pdu.ServiceID, c pdu.CommandID) bool {
	entry := g.entry(s, c)
	if entry == nil {
		return false
	}
	v := ^Verdict(entry.Load())
	return v != memoEmpty && (v&memoSpecial != 0 || !v.Inspected())
}
