package release

import (
	"math"
	"slices"
	"time"

	"switchyard/policy"
)

// A Step is one state of an active release, with its share.
type Step struct {
	State State
	Share float64 // of the units that obey the candidate
}

// Steps returns, in order, the steps of the release if nothing ends it early, and the index of the
// present one, or -1 if the release is over. If the plan no longer lists the present share, Steps
// includes it.
func (r *Release) Steps() (all []Step, present int) {
	p := &r.Plan
	if p.Shadow || p.Neutral {
		all = append(all, Step{Shadow, 0})
	}
	if !p.Neutral {
		if !p.AtOnce {
			for _, share := range p.Stages {
				all = append(all, Step{Stage, share})
			}
		}
		all = append(all, Step{Bake, 1})
	}
	if r.State.Over() {
		return all, -1
	}
	now := Step{r.State, r.Share}
	if present = slices.Index(all, now); present < 0 {
		present = 0
		for present < len(all) && all[present].Share < now.Share {
			present++
		}
		all = slices.Insert(all, present, now)
	}
	return all, present
}

// Wants returns the least time and the least number of weighed PDUs for the present step. Both are
// 0 if only an operator ends the step.
func (r *Release) Wants() (held time.Duration, sample uint64) {
	switch {
	case r.Plan.Manual:
		return 0, 0
	case r.State == Bake:
		return r.Plan.Bake, 0
	case r.Plan.Neutral:
		return r.Plan.Hold, 0
	}
	return r.Plan.Hold, r.Plan.Sample
}

// A Use is how much of a budget a candidate uses. Ratio is Used divided by Allowed; for a budget
// of 0 it is 1 if anything was used. A ratio above 1 alone does not end a release: see
// logEvidence, minRatio and ticksInARow.
type Use struct {
	Budget  string  // faults, closes, undelivered, copies, bytes or fuel
	Used    float64 // a rate of PDUs; for copies and bytes the increase, such as 0.25; for fuel the units of an inspection
	Allowed float64 // in the unit of Used
	Ratio   float64
}

// BudgetNames are the budgets that Uses returns, in the same order.
var BudgetNames = [...]string{"faults", "closes", "undelivered", "copies", "bytes", "fuel"}

// Uses returns how much of its budgets the candidate has used, from the counts since the release
// began.
func (p *Plan) Uses(c policy.Weighed) [len(BudgetNames)]Use {
	all, meant := sums(p, c)
	b := &p.Budget
	undelivered := rateUse("undelivered", meant.Undelivered, compared(&meant), b.Undelivered)
	for i := range c.Commands {
		if w := &c.Commands[i]; !p.Accept[w.Command] {
			if one := rateUse("undelivered", w.Undelivered, compared(&w.Weights), b.Undelivered); one.Ratio > undelivered.Ratio {
				undelivered = one
			}
		}
	}
	return [...]Use{
		rateUse("faults", all.Faults, all.PDUs, b.Faults),
		rateUse("closes", meant.Closes, meant.PDUs, b.Closes),
		undelivered,
		moreUse("copies", meant.Copies[0].PDUs, meant.Copies[1].PDUs, b.Copies),
		moreUse("bytes", meant.Copies[0].Bytes, meant.Copies[1].Bytes, b.Bytes),
		fuelUse(p, &all),
	}
}

// Uses says how near a budget is, and Evidence whether it is exceeded: 1 of the first 10 PDUs is a
// hundred times a budget of 0.1 %, and may be chance.

// Evidence returns, for each budget of Uses that is a rate above 0, the decimal logarithm of the
// evidence that the candidate exceeds it, see logEvidence; 0 for the others.
func (p *Plan) Evidence(c policy.Weighed) (e [len(BudgetNames)]float64) {
	all, meant := sums(p, c)
	e[0] = evidence(all.Faults, all.PDUs, p.Budget.Faults)
	e[1] = evidence(meant.Closes, meant.PDUs, p.Budget.Closes)
	e[2] = evidence(meant.Undelivered, compared(&meant), p.Budget.Undelivered)
	for i := range c.Commands {
		if w := &c.Commands[i]; !p.Accept[w.Command] {
			e[2] = max(e[2], evidence(w.Undelivered, compared(&w.Weights), p.Budget.Undelivered))
		}
	}
	return e
}

func evidence(bad, all uint64, budget float64) float64 {
	if budget <= 0 || budget >= 1 {
		return 0
	}
	return logEvidence(bad, all, budget) / math.Ln10
}

func rateUse(budget string, bad, all uint64, allowed float64) Use {
	return use(budget, float64(bad)/float64(max(all, 1)), allowed)
}

func moreUse(budget string, before, after uint64, allowed float64) Use {
	if before == 0 && after == 0 {
		return use(budget, 0, allowed)
	}
	return use(budget, float64(after)/float64(max(before, 1))-1, allowed)
}

// fuelUse returns the use by the mean inspection, or by inspections above half of the limit,
// whichever is nearer to its limit.
func fuelUse(p *Plan, w *policy.Weights) Use {
	mean := func(side int) float64 { return float64(w.Fuel[side]) / float64(max(w.Inspected[side], 1)) }
	u := use("fuel", mean(1), max(littleFuel*float64(p.Fuel), p.Budget.Fuel*mean(0)))
	u.Ratio = max(u.Ratio, float64(w.HighFuel)/float64(max(w.Inspected[1], 1))/mostHighFuel)
	return u
}

func use(budget string, used, allowed float64) Use {
	u := Use{Budget: budget, Used: used, Allowed: allowed}
	switch {
	case used <= 0: // fewer copies than before use nothing
	case allowed > 0:
		u.Ratio = used / allowed
	default:
		u.Ratio = 1
	}
	return u
}
