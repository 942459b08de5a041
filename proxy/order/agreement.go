package order

// An agreement is what all members can do.
type agreement struct{ formats, rules Range }

// everything is the agreement of no members.
var everything = agreement{Range{0, 255}, Range{0, 255}}

// with returns the agreement with one more hub, and false if there is none.
func (a agreement) with(f Facts) (agreement, bool) {
	formats, ok := a.formats.overlap(f.Formats)
	rules, too := a.rules.overlap(f.Rules)
	return agreement{formats, rules}, ok && too
}

// agreement returns that of all members but the hub with this number.
func (m *Members) agreement(except uint16) agreement {
	a := everything
	for hub, s := range m.slots {
		if s.member && hub != except {
			a, _ = a.with(s.facts)
		}
	}
	return a
}

// Formats returns which formats of records all members can read and write.
func (m *Members) Formats() Range { return m.agreed.formats }

// Rules returns the rules in force: the highest that all members know. They change with a record
// that is an Enter, a Gone or a Found, from that record on.
func (m *Members) Rules() uint8 { return m.agreed.rules.Most }
