package cluster

import (
	"errors"
	"io"
	"time"

	"switchyard/proxy/order"
)

// How a hub gets the state of the tenant:
//
//	log       … a7  c1:Enter  a8  b3  a9 …                     a: the donor, c: enters
//	donor           │ exports members, sessions and users as of here
//	                └──── chunks ────▶ c imports them, then applies a8  b3  a9
//	                                   c says joined and announces the users of its own peers,
//	                                   and then what it had said and not read back

// An entrance is what a hub has said and received since it began to enter.
type entrance struct {
	outdated  bool          // its Enter will count nowhere
	entered   order.Entry   // its own Enter, without the record
	answered  time.Time     // when that was read, or the last chunk came
	held      []order.Entry // read since then
	heldBytes int
	chunks    [][]byte     // of the state
	donor     order.Origin // that has sent the first of them
	unproved  time.Time    // what proved was before that
	complete  bool         // chunks has the last one
	founds    bool         // it has said Found
}

// start begins to enter.
func (c *membership) start(now time.Time) {
	c.proved = now
	c.restart("start")
}

// restart begins to read the log, and to enter.
func (c *membership) restart(why string) {
	c.phase, c.why, c.others = beginning, why, nil
	c.begin()
}

// begun is called when what is behind head comes as events. last has the last record of each hub.
func (c *membership) begun(now time.Time, last []order.Entry, head order.Position) {
	c.reached()
	if head.Before(c.last) {
		c.forgetPositions()
	}
	for _, e := range last {
		if r, err := order.Parse(e.Record); err == nil {
			c.census.Note(now, e, &r)
		} else if errors.Is(err, order.ErrFormat) {
			c.census.NoteFormat(now, e, &r)
		}
	}
	c.last, c.lastAt = head, time.Time{}
	c.ask(now)
}

// forgetPositions is called when the log has begun again, perhaps as the same epoch: nothing that was
// read precedes what is said from now on.
func (c *membership) forgetPositions() {
	c.expectMembers()
	c.members.Forget()
	c.census.Forget()
	c.last, c.lastAt, c.entered, c.table = order.Position{}, time.Time{}, order.Entry{}, order.TableSum{}
}

// reenter enters again although the log can be read on. Until its Enter comes back, the hub continues
// with what the others say: a hub that was declared gone has everything to read that they have said
// since.
func (c *membership) reenter(now time.Time, why string) {
	switch {
	case c.alone:
	case c.phase == member:
		c.others, c.why = c.members.Follow(), why
	case c.phase == expecting && c.others != nil:
		c.followHeld(now)
	}
	c.ask(now)
}

// followHeld takes up what was kept for a state that has not come.
func (c *membership) followHeld(now time.Time) {
	for _, e := range c.held {
		if r, err := order.Parse(e.Record); err == nil {
			c.followOthers(now, e, &r)
		}
	}
}

// followOthers handles an entry while this hub is not a member. It returns whether the entry counts, as
// far as this hub knows.
func (c *membership) followOthers(now time.Time, e order.Entry, r *order.Record) (counts bool) {
	if c.others == nil {
		return true
	}
	r = c.count(now, c.others, e, r)
	if r == nil {
		return false
	}
	if r.Hub == c.origin.Hub {
		c.out.do(func(o *order.Outbox) { o.Counted(r) })
	}
	if c.applyToHub(r); r.Kind == order.Found {
		c.others = c.others.Follow()
	}
	return true
}

// ask says that this hub wants to be a member, under another incarnation.
func (c *membership) ask(now time.Time) {
	c.phase, c.origin.Incarnation = asking, c.draw()
	c.held, c.heldBytes, c.chunks, c.complete, c.founds, c.outdated = nil, 0, nil, false, false, false
	c.beats, c.beatAt = 0, now.Add(beatTime)
	c.census.Begin() // another process with this number may have spoken before, and have ended
	c.members.Begin(c.origin)
	c.out.do(func(o *order.Outbox) {
		o.Enter(c.origin.Incarnation)
		o.Say(&order.Record{Kind: order.Enter, After: c.last, Facts: c.facts(true)})
	})
}

// awaitEnter handles an entry while this hub's Enter has not come back. If something about this
// hub's number precedes it that its author had not read, Enter counts nowhere.
func (c *membership) awaitEnter(now time.Time, e order.Entry, r *order.Record) {
	counts := c.followOthers(now, e, r)
	switch {
	case r.Kind == order.Found:
		c.members.Next(now, e, r) // for where the tenant began
		c.outdated = true
	case r.Kind == order.Gone && r.About.Hub == c.origin.Hub, r.Kind == order.Enter && r.Hub == c.origin.Hub && r.Origin != c.origin:
		c.outdated = c.outdated || counts
	case r.Kind == order.Enter && r.Origin == c.origin && c.outdated:
		c.ask(now)
	case r.Kind == order.Enter && r.Origin == c.origin:
		c.readOwnEnter(now, e)
	}
}

// readOwnEnter handles the place as of which this hub needs the state.
func (c *membership) readOwnEnter(now time.Time, e order.Entry) {
	c.phase, c.answered, c.entered = expecting, now, order.Entry{Position: e.Position, At: e.At}
	if c.complete {
		c.importState(now)
		return
	}
	c.tryFound(now)
}

// forever is longer than anybody waits for a hub.
const forever = 100 * 365 * 24 * time.Hour

// hearTime is for how long a hub that has read its own Enter waits for others before it takes them for
// silent by the clock of the bus. Another server may lead since they spoke, whose clock is ahead by
// hours. Members that live say something twice in that time, and at once after a pause of the bus.
const hearTime = time.Second

// tryFound makes the tenant begin again with this hub, once, if no other one can be a member.
func (c *membership) tryFound(now time.Time) {
	silent := c.settings.MemberTimeout
	if now.Sub(c.answered) < hearTime {
		silent = forever
	}
	if !c.founds && c.census.MayFound(now, c.entered.Position, silent, c.tries > 0) {
		c.founds = true
		c.say(&order.Record{Kind: order.Found, After: c.entered.Position, Facts: c.facts(false)})
	}
}

// expect handles an entry behind this hub's Enter, while it does not have the state as of there.
func (c *membership) expect(now time.Time, e order.Entry, r *order.Record) {
	c.held = append(c.held, e)
	c.heldBytes += len(e.Record)
	switch {
	case r.Kind == order.Found:
		c.expectFound(now, e, r)
	case r.Kind == order.Gone && (r.About == c.origin || r.About.Hub == c.origin.Hub && c.others == nil && len(c.chunks) == 0):
		c.reenter(now, c.why) // this incarnation is declared gone, or the number is free only now
	case c.heldBytes > c.settings.Held:
		c.log.Warn("the state did not come in time for what was said meanwhile; entering again", "bytes", c.heldBytes)
		c.reenter(now, "held")
	}
}

// expectFound handles that the tenant begins again, unless that counts nowhere.
func (c *membership) expectFound(now time.Time, e order.Entry, r *order.Record) {
	switch _, ignored := c.members.Next(now, e, r); {
	case ignored != "":
	case c.members.In():
		c.followHeld(now)
		c.held = nil
		empty, _ := c.settings.Hub.ReadOrdered(order.Chunks(nil, io.EOF)) // which cannot fail
		c.join(now, empty)
	default:
		c.reenter(now, "found")
	}
}

// receive handles a chunk of the state, which may come before this hub has read its own Enter. It
// returns whether the donor may send the next one.
func (c *membership) receive(now time.Time, s order.StateChunk) (taken bool) {
	if c.phase != asking && c.phase != expecting || s.For != c.origin || c.complete {
		return false
	}
	if len(c.chunks) == 0 {
		c.donor, c.unproved = s.From, c.proved
	}
	if s.From != c.donor {
		return false // members that do not agree who the donor is; their chunks are not of one state
	}
	c.chunks, c.complete, c.answered = append(c.chunks, s.Chunk), s.Last, now
	c.proved = now
	if c.complete && c.phase == expecting {
		c.importState(now)
	}
	return true
}

// importState makes this hub a member with the state that has come.
func (c *membership) importState(now time.Time) {
	next := order.Chunks(c.chunks, io.ErrUnexpectedEOF)
	c.chunks = nil
	members, err := readMembers(next)
	if err != nil {
		c.refuse(now, err)
		return
	}
	var install func()
	c.beat(now)
	c.audible(func() { install, err = c.settings.Hub.ReadOrdered(next) })
	if err != nil {
		c.refuse(now, err)
		return
	}
	if err := c.members.Import(now, members); err != nil {
		c.refuse(now, err)
		return
	}
	c.join(now, install)
}

// refuse handles an invalid state, before anything has changed. Its donor may be of another
// release, or this hub: then the next state is invalid, too. So tick asks again, after answerTime,
// and the state that came does not keep this hub from continuing alone.
func (c *membership) refuse(now time.Time, err error) {
	c.log.Error("the state from another hub cannot be used; entering again", "error", err)
	c.answered, c.proved = now, c.unproved
}

// join makes this hub a member. Its own sessions go into the state that install installs by what it
// says of them; before that, its hub takes up what others have counted of what it said and did not
// read back itself.
func (c *membership) join(now time.Time, install func()) {
	h := c.settings.Hub
	if c.alone {
		c.unite()
	}
	for _, r := range c.settle() {
		h.Apply(&r)
	}
	c.audible(func() {
		h.Rejoin(func(r *order.Record) { c.out.do(func(o *order.Outbox) { o.SayFirst(r) }) })
		install()
	})
	clear(c.far)
	for _, m := range c.members.List() {
		if m.Hub == c.origin.Hub {
			continue
		}
		c.far[m.Hub] = true
	}
	held := c.held
	c.phase, c.proved, c.tries, c.held, c.heldBytes, c.others = member, now, 0, nil, 0, nil
	c.incompatible, c.joined, c.waits = false, now, true
	if len(c.missing) > 0 {
		c.beat(now) // for which the others wait
	}
	c.resume(now)
	clear(c.declared)
	c.counts.Entered[c.why]++
	c.log.Info("entered the cluster", "why", c.why, "hub", c.origin.Hub, "members", len(c.members.List()), "position", c.last.Sequence)
	for _, e := range held {
		if r, err := order.Parse(e.Record); err == nil {
			c.follow(now, e, &r)
		}
	}
}

// settle returns what this hub said and others have counted, although it did not read it back.
func (c *membership) settle() (counted []order.Record) {
	c.out.do(func(o *order.Outbox) {
		counted = o.Settle(c.members.NextOf)
	})
	return counted
}
