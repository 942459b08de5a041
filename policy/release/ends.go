package release

import (
	"fmt"
	"math"
)

// Ends counts the sessions that ended between two ticks of a stage whose unit is the connection, by
// the side of their peers. If the candidate is no worse, a session that ends is equally likely to be
// any of those that are open.
type Ends struct {
	Stable, Candidate uint64
	Share             float64 // of the sessions that were open, those on the candidate's side
}

// An endings keeps the evidence that sessions on the candidate's side end more often. It multiplies
// likelihood ratios against factors of 2, 4, 8 … 256, so it is a martingale if there is no
// difference, also while the share changes; see logEvidence.
//
// With one of three peers on the candidate's side, whose sessions alone end:
//
//	ended   evidence
//	1       0.9
//	5       4.8
//	8       7.8      more than log(1000), 6.9
type endings struct {
	logs     [8]float64 // by factor
	ended    [2]uint64  // by side
	expected float64    // of the candidate's, if there is no difference
}

func (e *endings) add(b Ends) {
	if b.Share <= 0 || b.Share >= 1 {
		return // there is nothing to compare with
	}
	stable, candidate := float64(b.Stable), float64(b.Candidate)
	for i := range e.logs {
		factor := math.Exp2(float64(i + 1))
		among := 1 + (factor-1)*b.Share // rate of ends, where that of the stable side is 1
		e.logs[i] += candidate*math.Log(factor/among) - stable*math.Log(among)
	}
	e.ended[0] += b.Stable
	e.ended[1] += b.Candidate
	e.expected += (stable + candidate) * b.Share
}

// suspicion describes how much more often the candidate's sessions end; it is empty if that may be
// chance.
func (e *endings) suspicion() string {
	if e.ended[1] == 0 || logMean(e.logs[:]) < math.Log(1/alpha) {
		return ""
	}
	return fmt.Sprintf("session ends: %d of %d were of peers that obey the candidate, and %.1f are expected", e.ended[1], e.ended[0]+e.ended[1], e.expected)
}
