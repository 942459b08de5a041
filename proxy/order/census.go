package order

import "time"

// A Census knows the last record of each hub number, whether or not it counts. So a hub that is no
// member yet sees from the log itself who is there.
type Census struct {
	hub     uint16
	process uint64

	others map[uint16]*Sighting
	self   Origin        // under which this process spoke last
	rival  *Sighting     // of another process with our number; or of this one, before that
	bus    time.Time     // the latest time by the engine's clock, see timeOf
	seen   time.Time     // when that was, by this hub's
	ahead  time.Duration // by how much the engine's clock has gone back in all
}

// A Sighting is what is known of a hub number.
type Sighting struct {
	Origin
	Facts   Facts
	Entered Position // where Enter of this incarnation stood, or zero
	Last    time.Time
	Left    bool
	First   time.Time // of the records with facts since Begin, or zero
	Latest  time.Time // of the same
}

// NewCensus returns what the process knows, with this hub number, before it reads anything.
func NewCensus(hub uint16, process uint64) *Census {
	return &Census{hub: hub, process: process, others: make(map[uint16]*Sighting)}
}

// Begin says that this hub asks to enter: the records noted so far are old, the following ones new.
func (c *Census) Begin() {
	if c.rival != nil {
		c.rival.First, c.rival.Latest = time.Time{}, time.Time{}
	}
}

// Forget forgets all positions, because the log has begun again, see Members.Forget.
func (c *Census) Forget() {
	for _, s := range c.others {
		s.Entered = Position{}
	}
	if c.rival != nil {
		c.rival.Entered = Position{}
	}
}

// Note is called for the last record of each hub before the reading began, and for every record that
// is read.
func (c *Census) Note(now time.Time, e Entry, r *Record) {
	e.At = c.timeOf(now, e.At)
	tells := r.Kind == Enter || r.Kind == Beat || r.Kind == Found
	switch {
	case r.Hub != c.hub:
		c.others[r.Hub] = c.others[r.Hub].with(e, r, tells)
	case tells && r.Facts.Process == c.process:
		c.self = r.Origin
	case tells, r.Origin != c.self:
		c.rival = c.rival.with(e, r, tells)
	}
}

// NoteFormat is called for a record in another format, of which only the header can be read: its hub is
// there, and has no format in common with this one. It returns what is known of the hub, for people.
func (c *Census) NoteFormat(now time.Time, e Entry, r *Record) Facts {
	format := e.Record[0]
	as := Record{Kind: r.Kind, Origin: r.Origin, Facts: Facts{Formats: Range{format, format}}}
	e.At = c.timeOf(now, e.At)
	switch {
	case r.Hub != c.hub:
		c.others[r.Hub] = c.others[r.Hub].with(e, &as, true)
	case r.Origin != c.self:
		c.rival = c.rival.with(e, &as, true)
	}
	return as.Facts
}

// timeOf returns the time by the engine's clock, which does not go back: as records are noted in the
// order of the log, a time before the latest one is by the clock of another server. Otherwise all
// others would seem to have been silent for as long as the clocks differ.
func (c *Census) timeOf(now, at time.Time) time.Time {
	if at = at.Add(c.ahead); at.Before(c.bus) {
		c.ahead += c.bus.Sub(at)
		at = c.bus
	}
	c.bus, c.seen = at, now
	return at
}

// with returns the sighting after one more record; s may be nil or of another incarnation.
func (s *Sighting) with(e Entry, r *Record, tells bool) *Sighting {
	if s == nil || s.Origin != r.Origin {
		s = &Sighting{Origin: r.Origin}
	}
	s.Last, s.Left = e.At, r.Kind == Gone && r.About == r.Origin
	if r.Kind == Enter && s.Entered == (Position{}) {
		s.Entered = e.Position
	}
	if tells {
		s.Facts, s.Latest = r.Facts, e.At
		if s.First.IsZero() {
			s.First = e.At
		}
	}
	return s
}

// rivalTime is within what time another process with this hub's number speaks, if it lives: each hub
// says something every 0.5 s.
const rivalTime = 3 * time.Second

// MayFound reports whether a hub whose Enter was at entered may say Found: every other one has left,
// has said nothing for long by the engine's clock, see isThere, or has its Enter behind that. The
// same is asked of another process with this hub's number, if it has spoken within rivalTime: if it
// lives, it soon shows, see Taken. If the hub's Enter is unanswered, the hub need not wait for those
// with higher numbers that want to enter, too; otherwise two that ask again and again would wait for
// each other.
func (c *Census) MayFound(now time.Time, entered Position, timeout time.Duration, unanswered bool) bool {
	bus := c.busTime(now)
	if s := c.rival; s != nil && !s.Left && bus.Sub(s.Last) <= rivalTime && !entered.Before(s.Entered) {
		return false
	}
	for hub, s := range c.others {
		waits := entered.Before(s.Entered) || unanswered && s.Facts.Entering && hub > c.hub
		if s.isThere(bus, timeout) && !waits {
			return false
		}
	}
	return true
}

// busTime returns the time by the engine's clock, or an earlier one.
func (c *Census) busTime(now time.Time) time.Time { return c.bus.Add(max(0, now.Sub(c.seen))) }

// longestPause is above the 9 s for which a log may take nothing while its engine elects a leader. The
// first record behind such a pause does not show that those who speak next have ended.
const longestPause = 10 * time.Second

// isThere reports whether the hub has not left and has spoken within twice the timeout, or within
// longestPause if that is longer.
func (s *Sighting) isThere(bus time.Time, timeout time.Duration) bool {
	return !s.Left && bus.Sub(s.Last) <= max(2*timeout, longestPause)
}

// Disagrees returns a hub that is there, as for MayFound, and has no format or no rules in common with
// own. If it is a member, a hub with these facts cannot enter.
func (c *Census) Disagrees(now time.Time, timeout time.Duration, own Facts) (hub uint16, facts Facts, found bool) {
	for hub, s := range c.others {
		if s.Latest.IsZero() || !s.isThere(c.busTime(now), timeout) {
			continue
		}
		if _, ok := (agreement{own.Formats, own.Rules}).with(s.Facts); !ok {
			return hub, s.Facts, true
		}
	}
	return 0, Facts{}, false
}

// Taken returns what another live process that has this hub's number says about itself: it has
// spoken twice since Begin, half a second apart, and its Enter is not behind that of this
// hub, which is at entered, or zero if it has not been read.
func (c *Census) Taken(entered Position) (by Facts, taken bool) {
	s := c.rival
	if s == nil || s.Latest.Sub(s.First) < time.Second/2 || entered != (Position{}) && entered.Before(s.Entered) {
		return Facts{}, false
	}
	return s.Facts, true
}
