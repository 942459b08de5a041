package policy

import "switchyard/pdu"

// A Stage is the part of a generation that combines two others. Where both give the same
// verdict by ids and without inspection, the generation's memo holds that verdict, so such
// a PDU costs no more than without a stage. The memo marks every other row as affected:
//
//	                      stable     candidate    the stage's memo
//	CID_MSG_DATA          broadcast  inspect      memoAffected
//	CID_MSG_READ_NOTIFY   broadcast  unicast      memoAffected
//	CID_FILE_NOTIFY       broadcast  broadcast    broadcast
//
// Both generations judge a PDU of an affected row, so that they can be compared. The hub
// obeys one of them: see Comparison.
type Stage struct {
	Split *Split
	Share float64 // share of the units that obey the candidate, 0–1; 0 is called shadow
	Tally *Tally  // the counters that the hub updates

	below uint64 // buckets below this one are on the candidate's side
}

// memoAffected marks a row of a stage's memo for which both generations are asked.
const memoAffected Verdict = memoSpecial | 0x41

// NewStage creates a generation from the split's two generations. It holds a reference to
// each until it is closed. Its name and sums are those of the stable generation. The caller
// must hold references to both.
func NewStage(split *Split, share float64, tally *Tally) *Generation {
	stable, candidate := split.Stable, split.Candidate
	if !stable.Acquire() || !candidate.Acquire() {
		panic("policy: a stage of a generation that is closed")
	}
	g := &Generation{
		Name: stable.Name, SHA256: stable.SHA256, FileSHA256: stable.FileSHA256, Config: stable.Config, Origin: stable.Origin,
		policy: stable.policy, limits: stable.limits, rates: stageSet(stable.rates, candidate.rates),
		stage: &Stage{Split: split, Share: share, Tally: tally, below: split.threshold(share)},
	}
	g.uses.Store(1)
	for _, c := range pdu.KnownCommands() {
		g.stage.recallAlike(&g.memo, c.Service, c.ID)
	}
	return g
}

// Stage returns the stage of the generation, or nil if the generation is not a stage.
func (g *Generation) Stage() *Stage { return g.stage }

// EffectiveShare returns the share of the units that obeys the candidate. If the units are
// connections, it may be above Share, see Split.
func (s *Stage) EffectiveShare() float64 { return float64(s.below) / (1 << 32) }

// Obeyed returns the generation of the given side. For Alike, either would do.
func (g *Generation) Obeyed(side Side) *Generation {
	switch {
	case g.stage == nil:
		return g
	case side == Candidate:
		return g.stage.Split.Candidate
	}
	return g.stage.Split.Stable
}

// recallAlike returns the verdict by ids if both generations agree on it, it requests no
// inspection, and the ids have an entry in the stage's memo. It fills the entry.
func (s *Stage) recallAlike(m *memo, service pdu.ServiceID, command pdu.CommandID) (v Verdict, alike bool) {
	entry := m.entry(service, command)
	if entry == nil {
		return 0, false
	}
	if v = ^Verdict(entry.Load()); v != memoEmpty {
		return v, v != memoAffected
	}
	v, failed := s.Split.Stable.Classify(service, command)
	other, otherFailed := s.Split.Candidate.Classify(service, command)
	if failed.passes() || otherFailed.passes() {
		return 0, false
	}
	if alike = failed == nil && otherFailed == nil && AreSame(s.Split.Stable, v, s.Split.Candidate, other) && !v.Inspected(); alike {
		entry.Store(^uint64(v))
	} else {
		entry.Store(^uint64(memoAffected))
	}
	return v, alike
}

// passes reports whether the fault is temporary: it does not depend on the ids, so the next
// call may succeed.
func (f *Fault) passes() bool {
	return f != nil && (f.Kind == FaultInstance || f.Kind == FaultBudget)
}

// ConnectionSide returns the side of all that a connection sends, or Alike if the stage does not
// split connections.
func (s *Stage) ConnectionSide(connection uint64) Side {
	switch {
	case s.Split.Unit != UnitConnection, s.below == 0, s.below == 1<<32, s.Split.Tripped() != NoTrip:
		return Alike
	case s.Split.bucket(connection) < s.below:
		return Candidate
	}
	return Stable
}

// side returns the generation to obey for an affected PDU.
func (s *Stage) side(p []byte, connection uint64) Side {
	switch {
	case s.below == 0:
		if s.Split.Unit == UnitConnection {
			s.Split.noteConnection(connection)
		}
		return Stable
	case s.Split.Tripped() != NoTrip:
		return Stable
	case s.below == 1<<32:
		return Candidate
	}
	bucket := s.Split.bucket(s.Split.key(p, connection))
	if bucket < s.below {
		return Candidate
	}
	lower(&s.Split.next, 1+bucket)
	return Stable
}
