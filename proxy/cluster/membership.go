package cluster

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"switchyard/proxy/order"
)

// A Hub is the tenant's hub, which *hub.Hub implements. One goroutine calls all methods but the last.
type Hub interface {
	Apply(r *order.Record)
	DropHub(hub uint16)
	ExportOrdered(yield func(chunk []byte) error) error
	ReadOrdered(next func() ([]byte, error)) (install func(), err error)
	Rejoin(say func(*order.Record))
	TableSum() uint64
	UnderwayBytes() uint64 // by any goroutine
	FindTwice() (session, other uint64)
}

// A phase is how far a hub has come on its way into the cluster:
//
//	            Begin returns          own Enter is read          state imported, or own Found read
//	beginning ──────────────▶ asking ────────────────▶ expecting ──────────────────────────▶ member
//	    ▲                        ▲                         │                                    │
//	    │ fell out               └─────────────────────────┴────────────────────────────────────┘
//	    │                          no answer for answerTime; declared gone; Found of another hub;
//	    │                          its table differs
//
// In addition, a hub is alone when for AloneAfter it has not been a member whose records come back.
// It stays alone until it is a member again.
type phase int

const (
	beginning phase = iota
	asking
	expecting
	member
	departed // the tenant has drained, and all hubs know that this one is gone
)

const (
	// beatTime is how often a hub says that it is there, and checkTime how often the donor has the
	// tables of all members compared.
	beatTime, checkTime = 500 * time.Millisecond, 5 * time.Second
	// answerTime is for how long a hub that enters waits for the next piece of state.
	answerTime = 5 * time.Second
	// standstill is how late a tick is if this process stood still.
	standstill = time.Second
	// mostBeats is how many beats may be under way, so that they stay few while nothing comes back.
	mostBeats = 16
	// waitingAfter is after how long without reading a record of its own a member is shown as waiting.
	waitingAfter = 3 * time.Second
)

// A membership decides what this hub says and does as a member of the cluster. It starts no goroutine
// and reads no clock. The applier owns it. Entering is in enter.go, the donor's part in donate.go, being alone
// in alone.go, and what depends on time alone in tick.go.
type membership struct {
	// Static.
	settings Settings
	out      *outgoing
	log      *slog.Logger
	process  uint64                                       // tells processes with the same number apart
	formats  order.Range                                  // of records that this release knows
	rules    order.Range                                  // by which it can change the table and make notices
	draw     func() uint32                                // draws an incarnation
	begin    func()                                       // begins to read the log; begun is called once for each call
	donate   func(from, to order.Origin, chunks [][]byte) // sends the state
	audible  func(f func())                               // calls f, which may take seconds, while the others keep hearing this hub

	phase  phase
	alone  bool
	stops  bool      // leave was called
	left   bool      // and this hub has said that it is gone
	taken  bool      // another process has this hub's number
	why    string    // it enters, as a metric's label
	tries  int       // how often it has entered again for want of an answer
	heard  time.Time // when something that it said was last read
	proved time.Time // when it was last a member whose records came back, began to enter, or received some of the state

	origin   order.Origin
	members  *order.Members
	others   *order.Members        // while it asks again: what the others say, which its peers still hear; nil if it is not known
	declared map[order.Origin]bool // silent members that this hub has declared gone
	far      map[uint16]bool       // hubs whose sessions the hub may have
	missing  map[uint16]bool       // hubs that were members of a lost log and have not entered since
	joined   time.Time             // when it last became a member
	waits    bool                  // since then, for those that are missing
	last     order.Position        // of what was read
	lastAt   time.Time             // when the engine took it; zero if it is not known
	census   *order.Census

	table     order.TableSum // as of the last check
	entrance                 // how far it has come with entering
	beating                  // when it says that it is there
	explained                // what was logged about the bus and about incompatible hubs
	twice     twiceWatch

	counts Counts
}

func newMembership(s Settings, out *outgoing) *membership {
	process := rand.Uint64()
	return &membership{
		settings: s, out: out, log: s.Log, process: process, draw: rand.Uint32,
		formats: order.Range{Least: order.Format, Most: order.Format}, rules: order.Range{Least: rules, Most: rules},
		origin: order.Origin{Hub: s.Number}, members: order.NewMembers(s.MemberTimeout), census: order.NewCensus(s.Number, process),
		declared: make(map[order.Origin]bool), far: make(map[uint16]bool), missing: make(map[uint16]bool),
		explained: explained{refused: make(map[uint16]refusedHub)}, counts: newCounts(),
	}
}

// event handles what the log brings.
func (c *membership) event(now time.Time, e order.Event) {
	switch e.Kind {
	case order.Recorded:
		c.read(now, e.Entry)
	case order.FellOut:
		if c.phase == departed {
			return
		}
		c.counts.FellOut[e.Reason]++
		c.log.Warn("fell out of the cluster's order; entering again", "reason", string(e.Reason), "error", e.Err)
		if e.Reason == order.OtherLog {
			c.forgetPositions()
		}
		c.restart("fell-out")
	case order.Unreached:
		c.unreached(e.Err)
	case order.Reached:
		c.reached()
		c.out.do(func(o *order.Outbox) { o.Probe() })
	}
}

// read handles an entry of the log. Every hub reads every entry, its own included, and in the same order:
// what follows from an entry may depend on it and on what was read before, and on nothing else.
func (c *membership) read(now time.Time, e order.Entry) {
	c.last, c.lastAt = e.Position, e.At
	r, err := order.Parse(e.Record)
	if errors.Is(err, order.ErrFormat) {
		c.readFormat(now, e, &r)
		c.checkNumber()
	}
	if err != nil {
		c.counts.Ignored["malformed"]++ // by all hubs alike; its author is stuck at that number, and enters again
		return
	}
	c.census.Note(now, e, &r)
	c.checkNumber()
	if r.Origin == c.origin {
		c.readOwn(now, &r)
	} else {
		c.out.do(func(o *order.Outbox) { o.Heard(now) })
	}
	c.follow(now, e, &r)
}

// follow handles an entry by the phase.
func (c *membership) follow(now time.Time, e order.Entry, r *order.Record) {
	switch c.phase {
	case asking:
		c.awaitEnter(now, e, r)
	case expecting:
		c.expect(now, e, r)
	case member:
		c.apply(now, e, r)
	}
}

// apply handles an entry as a member.
func (c *membership) apply(now time.Time, e order.Entry, r *order.Record) {
	whole := c.count(now, c.members, e, r)
	sound := r.Origin != c.origin || c.checkOwn(now, e, r)
	if whole != nil {
		c.react(now, e, whole)
	}
	if !sound && c.phase == member {
		c.log.Error("the records of this hub no longer count, because another program has published records in its name; entering again")
		c.reenter(now, "ignored")
		c.others = nil // which have counted the others' records in the place of this hub's
	}
}

// react does what follows from a record that counts.
func (c *membership) react(now time.Time, e order.Entry, r *order.Record) {
	if r.Origin == c.origin {
		c.proved = now
	}
	switch c.applyToHub(r); r.Kind {
	case order.Enter:
		if donor, ok := c.members.Donor(r.Origin); ok && donor == c.origin {
			c.export(now, r.Origin)
		}
	case order.Gone:
		c.readGone(now, r)
	case order.Found:
		c.reenter(now, "found")
	case order.Beat:
		c.reunite(now, r)
		c.compare(now, e, r)
	}
}

// count returns the record if it counts and something follows from it.
func (c *membership) count(now time.Time, m *order.Members, e order.Entry, r *order.Record) *order.Record {
	whole, ignored := m.Next(now, e, r)
	if ignored != "" {
		c.counts.Ignored[ignored]++
		if ignored == order.Disagreed {
			c.explainRefusal(r)
		}
		return nil
	}
	c.counts.Applied[r.Hub]++
	return whole
}

// applyToHub carries out what follows from a record for the hub.
func (c *membership) applyToHub(r *order.Record) {
	h := c.settings.Hub
	switch {
	case r.Kind == order.Batch, r.Kind == order.Joined, r.Kind == order.Left:
		h.Apply(r)
	case r.Kind == order.Enter && r.Hub != c.origin.Hub:
		h.DropHub(r.Hub) // its sessions join again
		c.far[r.Hub] = true
	case r.Kind == order.Gone && r.About.Hub != c.origin.Hub:
		h.DropHub(r.About.Hub)
		delete(c.far, r.About.Hub)
	case r.Kind == order.Found:
		c.dropAll()
	}
}

// dropAll removes what the hub knows of the others: their sessions, with the users that those hold.
func (c *membership) dropAll() {
	for hub := range c.far {
		c.settings.Hub.DropHub(hub)
	}
	clear(c.far)
}

// readGone handles that a hub is no longer a member.
func (c *membership) readGone(now time.Time, r *order.Record) {
	switch {
	case r.About != c.origin:
		c.counts.Gone++
		c.log.Warn("a hub has left the cluster", "hub", r.About.Hub, "by", r.Hub)
	case c.stops:
		c.phase = departed
	default:
		c.log.Warn("the other hubs declared this one gone; entering again", "by", r.Hub)
		c.reenter(now, "gone")
	}
}

// compare handles a beat: with Check, all members take the sum of their table there, and say it in
// their next beat.
func (c *membership) compare(now time.Time, e order.Entry, r *order.Record) {
	if r.Facts.Check {
		c.table = order.TableSum{Position: e.Position, Sum: c.settings.Hub.TableSum()}
	}
	if c.members.Differs() {
		c.log.Error("the user table differs from that of the other hubs; entering again", "position", c.table.Position.Sequence)
		c.reenter(now, "table")
	}
}

func (c *membership) say(r *order.Record) { c.out.do(func(o *order.Outbox) { o.Say(r) }) }

// leave begins to say that this hub is gone, because its tenant has drained.
func (c *membership) leave() {
	c.stops = true
	c.tryLeave()
}

// tryLeave says that this hub is gone, once all that its peers said has come back.
func (c *membership) tryLeave() {
	if !c.stops || c.left || c.phase != member || c.alone {
		return
	}
	c.out.do(func(o *order.Outbox) {
		if n, _, _ := o.Underway(); n <= c.beats {
			o.Say(&order.Record{Kind: order.Gone, About: c.origin})
			c.left = true
		}
	})
}

// hasLeft reports whether nothing more is to be awaited after leave.
func (c *membership) hasLeft() bool { return c.stops && (c.phase != member || c.alone) }
