package order

// CheckAt returns the position at which the sum of the table is to be taken that a Beat says.
func (m *Members) CheckAt() Position { return m.check.at }
