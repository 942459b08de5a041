package order

import (
	"maps"
	"slices"
	"time"
)

// Members knows which hubs are members, and so which records count. What it decides follows from the
// records and their positions alone, so it is the same at every hub; only Due asks for the time. It
// is not safe for concurrent use.
//
// A hub number has a slot once it has entered. The slot stays when its hub is gone:
//
//	position     5          9              12            20             31
//	record       enter a.1  batch a.2 …    gone a        enter a.1      batch a.3 (late)
//	slot of a    member     next 3         not a member  member again,  ignored: of an origin that
//	             next 2                    since 12      next 2         is not a member
type Members struct {
	self    Origin
	timeout time.Duration

	in      bool // this hub has the members' state
	at      Position
	founded Position // where the tenant began
	slots   map[uint16]*slot
	agreed  agreement

	// About this hub's own records, by its own clock.
	ownAt    time.Time // when one was read last
	steadyAt time.Time // since when they have been read in time
	check    check
}

// A slot is what is known of a hub number.
type slot struct {
	incarnation uint32
	member      bool
	ready       bool     // it has the tenant's state
	said        bool     // a record about a session has counted
	next        uint64   // the number of the next record that counts
	since       Position // when it last entered or was gone
	facts       Facts
	past        []past
	long        assembly

	heard time.Time // when one of its records was last read, by this hub's clock
	vote  TableSum
}

// A past is an earlier incarnation, of which records about sessions have counted.
type past struct {
	incarnation uint32
	next        uint64
}

// maxPast bounds the earlier incarnations that are remembered for a hub number.
const maxPast = 8

// An Ignored says why a record does not count, as the label of a metric, or is "" if it counts.
type Ignored string

// The reasons for ignoring a record.
const (
	Outside     Ignored = "outside"      // this hub does not have the members' state
	Early       Ignored = "early"        // it is before what was read last, or in another log
	Stranger    Ignored = "stranger"     // its origin is not a member
	Doubled     Ignored = "doubled"      // it has counted already
	Hole        Ignored = "hole"         // one before it is missing
	Broken      Ignored = "broken"       // it does not continue the parts before it
	Stale       Ignored = "stale"        // Enter, Found: its author had not read what has happened since
	NumberTaken Ignored = "number-taken" // Enter: another process is the member with this number
	Disagreed   Ignored = "disagreed"    // Enter: it has no format or no rules in common with the members
)

// NewMembers returns what a hub knows of the members before it enters. A member of which nothing is
// read for timeout is to be declared gone.
func NewMembers(timeout time.Duration) *Members {
	return &Members{timeout: timeout, slots: make(map[uint16]*slot)}
}

// Begin says that the hub enters as self. Until Import succeeds, or a Found of its own counts, Next
// ignores everything but Found. What NextOf knows stays known.
func (m *Members) Begin(self Origin) {
	for _, s := range m.slots {
		s.retire(s.since)
	}
	*m = Members{self: self, timeout: m.timeout, founded: m.founded, slots: m.slots, check: check{mismatches: m.check.mismatches}}
}

// Forget forgets all positions, because the log has begun again. Its creation time may be the same,
// so they would be behind whatever is said from now on. What NextOf knows stays known.
func (m *Members) Forget() {
	m.at, m.founded, m.check.at = Position{}, Position{}, Position{}
	for _, s := range m.slots {
		s.since = Position{}
	}
}

// Follow returns a copy for a hub that is to enter again and knows the members' state as of what it
// read last. The copy continues with what the others say, until the hub has entered. It is not a member.
func (m *Members) Follow() *Members {
	f := *m
	f.self, f.in, f.slots = Origin{}, true, make(map[uint16]*slot, len(m.slots))
	for hub, s := range m.slots {
		one := *s
		one.past, one.long.bytes = slices.Clone(s.past), slices.Clip(s.long.bytes)
		f.slots[hub] = &one
	}
	return &f
}

// In reports whether this hub has the members' state and is one of them.
func (m *Members) In() bool { return m.in }

// Next is called for each record that is read, in order. It returns why the record does not count, or
// "". If something follows from a record that counts, whole is that record, or the batch of which it
// was the last part; a part that is not the last, and a Gone about a hub that is not a member, have no
// effect. A batch in parts has the number of the last.
//
// The caller does the rest: after Enter, the donor sends the state; after Found, the tenant begins
// again, and all but its author enter; after Gone, About's sessions end, and if it is this hub, it
// enters; after a Beat with Check, the next Beat says the sum of the table as of here. An Enter that
// replaces an earlier incarnation of the same process ends the sessions of that number, too.
func (m *Members) Next(now time.Time, e Entry, r *Record) (whole *Record, ignored Ignored) {
	if r.Origin == m.self {
		m.ownRead(now)
	}
	if r.Kind == Found {
		return m.found(now, e, r)
	}
	switch {
	case !m.in:
		return nil, Outside
	case !m.at.Before(e.Position):
		return nil, Early
	}
	m.at = e.Position
	if r.Kind == Enter {
		return m.enter(now, e, r)
	}
	s := m.slots[r.Hub]
	if s == nil || !s.member || s.incarnation != r.Incarnation {
		return nil, Stranger
	}
	s.heard = now // it lives, also if one before it is missing
	switch {
	case r.Number < s.next:
		return nil, Doubled
	case r.Number > s.next:
		return nil, Hole
	}
	if whole, ignored = s.assemble(r); ignored != "" {
		return nil, ignored
	}
	s.next++
	s.said = s.said || whole == nil || r.Kind.ofSession()
	switch {
	case r.Kind == Gone && !m.gone(e, r.About):
		whole = nil
	case r.Kind == Beat:
		m.beat(e, s, r)
	}
	s.ready = s.ready || r.Kind != Beat || !r.Facts.Entering
	return whole, ""
}

// enter makes the author of r a member.
func (m *Members) enter(now time.Time, e Entry, r *Record) (*Record, Ignored) {
	s := m.slots[r.Hub]
	both, agreed := m.agreed.with(r.Facts)
	if s != nil && s.member && s.facts.Process == r.Facts.Process {
		both, agreed = m.agreement(r.Hub).with(r.Facts)
	}
	switch {
	case s != nil && s.member && s.incarnation == r.Incarnation:
		return nil, Doubled
	case r.Number != 1:
		return nil, Hole
	case !r.After.Before(e.Position) || r.After.Before(m.founded) || s != nil && r.After.Before(s.since):
		return nil, Stale
	case s != nil && s.member && s.facts.Process != r.Facts.Process:
		return nil, NumberTaken
	case !agreed:
		return nil, Disagreed
	case s == nil:
		s = new(slot)
		m.slots[r.Hub] = s
	default:
		s.retire(e.Position)
	}
	*s = slot{incarnation: r.Incarnation, member: true, next: 2, since: e.Position, facts: r.Facts, past: s.past, heard: now}
	m.agreed = both
	return r, ""
}

// retire ends the membership.
func (s *slot) retire(at Position) {
	if s.member && s.said {
		s.past = append(s.past, past{s.incarnation, s.next})
		s.past = s.past[max(0, len(s.past)-maxPast):]
	}
	s.member, s.since, s.long = false, at, assembly{}
}

// gone ends the membership of the hub, and reports whether it was a member.
func (m *Members) gone(e Entry, about Origin) bool {
	s := m.slots[about.Hub]
	if s == nil || !s.member || s.incarnation != about.Incarnation {
		return false
	}
	s.retire(e.Position)
	m.agreed = m.agreement(0)
	m.in = m.in && about != m.self
	return true
}

// found makes the author of r the only member.
func (m *Members) found(now time.Time, e Entry, r *Record) (*Record, Ignored) {
	switch {
	case m.in && !m.at.Before(e.Position):
		return nil, Early
	case !r.After.Before(e.Position) || r.After.Before(m.founded):
		return nil, Stale
	}
	m.at, m.founded = e.Position, e.Position
	for _, s := range m.slots {
		s.retire(e.Position)
	}
	s := m.slots[r.Hub]
	if s == nil {
		s = new(slot)
		m.slots[r.Hub] = s
	}
	*s = slot{incarnation: r.Incarnation, member: true, ready: true, next: r.Number + 1, since: e.Position, facts: r.Facts, past: s.past, heard: now}
	m.agreed = m.agreement(0)
	m.in = r.Origin == m.self
	m.check, m.steadyAt = check{mismatches: m.check.mismatches}, now
	return r, ""
}

// NextOf returns the number of the next record of that origin that would have counted, and whether it
// is known: of the members, and of origins that were members and of which records about sessions
// have counted.
func (m *Members) NextOf(o Origin) (next uint64, known bool) {
	s := m.slots[o.Hub]
	if s == nil {
		return 0, false
	}
	if s.incarnation == o.Incarnation {
		return s.next, true
	}
	for _, p := range s.past {
		if p.incarnation == o.Incarnation {
			return p.next, true
		}
	}
	return 0, false
}

// Donor returns the member that sends the state to a hub that enters: the one with the lowest number
// of those that have it, other than the one that enters.
func (m *Members) Donor(entering Origin) (Origin, bool) {
	for _, hub := range slices.Sorted(maps.Keys(m.slots)) {
		if s := m.slots[hub]; s.member && s.ready && hub != entering.Hub {
			return Origin{hub, s.incarnation}, true
		}
	}
	return Origin{}, false
}

// A Member is a hub that takes part.
type Member struct {
	Origin
	Ready bool // it has the tenant's state
	Next  uint64
	Facts Facts
	Heard time.Time // when one of its records was last read here
}

// List returns the members by their numbers.
func (m *Members) List() []Member {
	var list []Member
	for hub, s := range m.slots {
		if s.member {
			list = append(list, Member{Origin{hub, s.incarnation}, s.ready, s.next, s.facts, s.heard})
		}
	}
	slices.SortFunc(list, func(a, b Member) int { return compareOrigins(a.Origin, b.Origin) })
	return list
}
