package order

import "time"

// steadyFor is how long none of our own records may be read before we cannot tell whether others
// are silent. Each hub says something every 0.5 s, or up to 0.75 s as it looks at the clock every
// 0.25 s. So after a pause of the log that is shorter than steadyFor, a hub that lives may have been
// silent for 2.25 s. The timeout is 2.5 s at least.
const steadyFor = 1500 * time.Millisecond

// ownRead notes that a record of this hub was read.
func (m *Members) ownRead(now time.Time) {
	if now.Sub(m.ownAt) > steadyFor {
		m.steadyAt = now
	}
	m.ownAt = now
}

// Due returns which members are to be declared gone: those of which nothing was read for the
// timeout, if this hub's own records came back in time all the while. While the log stands still no
// hub reads its own records, so it declares none gone.
func (m *Members) Due(now time.Time) []Origin {
	if !m.in || now.Sub(m.ownAt) > steadyFor {
		return nil
	}
	var due []Origin
	for _, member := range m.List() {
		since := member.Heard
		if since.Before(m.steadyAt) {
			since = m.steadyAt
		}
		if member.Origin != m.self && now.Sub(since) >= m.timeout {
			due = append(due, member.Origin)
		}
	}
	return due
}
