package release

import (
	"fmt"
	"math"
	"slices"

	"switchyard/policy"
)

// A Budget limits how much worse than the stable policy a candidate may be.
type Budget struct {
	Faults      float64 // rate of affected PDUs on which the candidate fails and the stable policy does not
	Closes      float64 // rate on which the candidate closes the sender and the stable policy does not
	Undelivered float64 // rate on which the stable policy sends at least one copy and the candidate none
	Copies      float64 // how much more, as 0.25
	Bytes       float64 // how much more, as 0.25
	Fuel        float64 // factor by which an inspection may use more, such as 4
}

const (
	// alpha is the probability that a rate exactly at its budget is judged to exceed it at any
	// time during the release.
	alpha = 0.001
	// minRatio is the least number of PDUs for which a ratio of copies or bytes is evaluated.
	minRatio = 200
	// minFuel is the least number of inspections for which the fuel is evaluated.
	minFuel = 50
	// ticksInARow is for how many consecutive ticks a ratio must be exceeded.
	ticksInARow = 3
	// mostHighFuel is the rate of inspections that may use more than half of the limit.
	mostHighFuel = 0.01
	// littleFuel is the fraction of the limit up to which an inspection counts as cheap, whatever
	// the stable policy uses.
	littleFuel = 0.1
)

// logEvidence returns the logarithm of the evidence that the true rate exceeds the budget, given
// that bad of all PDUs were bad. The evidence is the mean of likelihood ratios against the rates
// 2, 4, 8 … times the budget, up to 0.95, or halfway from the budget to 1 if that is more. At the
// budget the evidence is a martingale. By Ville's inequality, the probability that its logarithm
// ever exceeds log(1/alpha) is at most alpha, however often it is checked.
func logEvidence(bad, all uint64, budget float64) float64 {
	k, n := float64(bad), float64(all)
	var logs []float64
	top := max(0.95, (1+budget)/2)
	for theta := 2 * budget; ; theta *= 2 {
		theta = min(theta, top)
		logs = append(logs, k*math.Log(theta/budget)+(n-k)*math.Log((1-theta)/(1-budget)))
		if theta == top {
			break
		}
	}
	return logMean(logs)
}

// logMean returns the logarithm of the mean of numbers that are given by their logarithms.
func logMean(logs []float64) float64 {
	most := slices.Max(logs)
	sum := 0.0
	for _, l := range logs {
		sum += math.Exp(l - most)
	}
	return most + math.Log(sum/float64(len(logs)))
}

// exceeds reports whether a rate exceeds its budget. If the budget is 0, the first bad PDU exceeds
// it. commands is the number of commands among which the probability of a false alarm is divided.
// With a budget of 0.1 % and one command, the evidence must reach log(1000), 6.9:
//
//	bad   of       evidence
//	3     3        18.4   rolled back
//	5     1000     2.2
//	8     1000     7.6    rolled back
//	12    10,000   -4.0   little more than the 10 that are allowed
func exceeds(bad, all uint64, budget float64, commands int) bool {
	switch {
	case budget == 0 || bad == 0:
		return bad > 0
	case budget == 1:
		return false
	}
	return logEvidence(bad, all, budget) >= math.Log(float64(max(commands, 1))/alpha)
}

// A judge keeps the state that detecting a breach needs in addition to the counts.
type judge struct {
	copies, bytes int             // consecutive ticks in which the ratio was exceeded
	reported      map[string]bool // signals that have already paused the release
	endings       endings
}

// report records that a signal has paused the release, so that it pauses the release only
// once.
func (j *judge) report(signal string) {
	if j.reported == nil {
		j.reported = make(map[string]bool)
	}
	j.reported[signal] = true
}

// breach names the exceeded budget, with the evidence; it returns "" if none is exceeded.
func (j *judge) breach(p *Plan, c policy.Weighed) string {
	all, meant := sums(p, c)
	commands := max(p.Rows, len(c.Commands))
	b := &p.Budget
	switch {
	case exceeds(all.Faults, all.PDUs, b.Faults, commands):
		return rate("faults", all.Faults, all.PDUs, b.Faults)
	case exceeds(meant.Closes, meant.PDUs, b.Closes, commands):
		return rate("closes", meant.Closes, meant.PDUs, b.Closes)
	case exceeds(meant.Undelivered, compared(&meant), b.Undelivered, commands):
		return rate("undelivered", meant.Undelivered, compared(&meant), b.Undelivered)
	}
	for i := range c.Commands {
		if w := &c.Commands[i]; !p.Accept[w.Command] && exceeds(w.Undelivered, compared(&w.Weights), b.Undelivered, commands) {
			return rate("undelivered", w.Undelivered, compared(&w.Weights), b.Undelivered) + " of " + policy.CommandName(w.Command)
		}
	}
	if fuel := overFuel(p, &all); fuel != "" {
		return fuel
	}
	return j.ratios(b, &meant)
}

// sums adds up all commands, and those that are not meant to change.
func sums(p *Plan, c policy.Weighed) (all, meant policy.Weights) {
	for i := range c.Commands {
		w := &c.Commands[i]
		all.Add(&w.Weights)
		if !p.Accept[w.Command] {
			meant.Add(&w.Weights)
		}
	}
	return all, meant
}

// compared returns the number of PDUs for which both policies were asked.
func compared(w *policy.Weights) uint64 { return w.PDUs - w.Unweighed }

func rate(budget string, bad, all uint64, allowed float64) string {
	return fmt.Sprintf("%s: %d of %d PDUs, and %g %% are allowed", budget, bad, all, 100*allowed)
}

// overFuel describes how the candidate's inspections exceed the budget of fuel; it returns
// "" if they do not.
func overFuel(p *Plan, w *policy.Weights) string {
	if w.Inspected[1] < minFuel {
		return ""
	}
	mean := float64(w.Fuel[1]) / float64(w.Inspected[1])
	before := 0.0
	if w.Inspected[0] > 0 {
		before = float64(w.Fuel[0]) / float64(w.Inspected[0])
	}
	switch {
	case mean > littleFuel*float64(p.Fuel) && mean > p.Budget.Fuel*before:
		return fmt.Sprintf("fuel: %.0f units for an inspection, where the stable policy uses %.0f, and x%g is allowed", mean, before, p.Budget.Fuel)
	case float64(w.HighFuel) > mostHighFuel*float64(w.Inspected[1]):
		return fmt.Sprintf("fuel: %d of %d inspections use more than half of the limit", w.HighFuel, w.Inspected[1])
	}
	return ""
}

// ratios names the ratio that was exceeded for ticksInARow ticks; it returns "" if there is
// none.
func (j *judge) ratios(b *Budget, w *policy.Weights) string {
	if compared(w) < minRatio {
		return ""
	}
	count := func(ticks *int, before, after uint64, allowed float64) bool {
		if float64(after) > (1+allowed)*float64(before) {
			*ticks++
		} else {
			*ticks = 0
		}
		return *ticks >= ticksInARow
	}
	copies := count(&j.copies, w.Copies[0].PDUs, w.Copies[1].PDUs, b.Copies)
	bytes := count(&j.bytes, w.Copies[0].Bytes, w.Copies[1].Bytes, b.Bytes)
	switch {
	case copies:
		return more("copies", w.Copies[0].PDUs, w.Copies[1].PDUs, b.Copies)
	case bytes:
		return more("bytes", w.Copies[0].Bytes, w.Copies[1].Bytes, b.Bytes)
	}
	return ""
}

func more(budget string, before, after uint64, allowed float64) string {
	return fmt.Sprintf("%s: %d instead of %d, and +%g %% is allowed", budget, after, before, 100*allowed)
}
