package order

// All members take the sum of their table at the same position, the one of a Beat with Check, and say
// it in a later Beat. Who differs from most has decided something differently once.

// A check compares the tables of all members at one position.
type check struct {
	at         Position
	open       bool // not all have said theirs
	differs    bool // this hub is to enter again
	mismatches uint64
}

// beat takes what a Beat that counts says.
func (m *Members) beat(e Entry, s *slot, r *Record) {
	formats, rules := s.facts.Formats, s.facts.Rules // agreed on when it entered
	s.facts = r.Facts
	s.facts.Formats, s.facts.Rules = formats, rules
	if m.check.open && r.Facts.Table.Position == m.check.at {
		s.vote = r.Facts.Table
		m.count(false)
	}
	if r.Facts.Check {
		if m.check.open {
			m.count(true)
		}
		m.check.at, m.check.open = e.Position, true
	}
}

// count compares the sums once all members that have the state have said theirs, or with those that
// there are.
func (m *Members) count(incomplete bool) {
	votes := make(map[uint64]int)
	voters := 0
	for _, s := range m.slots {
		switch {
		case !s.member || !s.ready:
		case s.vote.Position == m.check.at:
			votes[s.vote.Sum]++
			voters++
		case !incomplete:
			return
		}
	}
	m.check.open = false
	if len(votes) < 2 {
		return
	}
	m.check.mismatches++
	own := m.slots[m.self.Hub]
	if own == nil || own.vote.Position != m.check.at {
		return
	}
	right, ok := m.prevailing(votes, voters)
	m.check.differs = m.check.differs || ok && own.vote.Sum != right
}

// prevailing returns the sum that more than half have, or else that of the donor, and false if there
// is neither.
func (m *Members) prevailing(votes map[uint64]int, voters int) (sum uint64, ok bool) {
	for sum, n := range votes {
		if 2*n > voters {
			return sum, true
		}
	}
	donor, _ := m.Donor(Origin{})
	s := m.slots[donor.Hub]
	if s == nil || s.vote.Position != m.check.at {
		return 0, false
	}
	return s.vote.Sum, true
}

// Differs reports whether the table of this hub differs from that of most members, or from the
// donor's where there is no majority. The hub has to enter again.
func (m *Members) Differs() bool { return m.check.differs }

// Mismatches returns at how many checks not all tables were equal.
func (m *Members) Mismatches() uint64 { return m.check.mismatches }
