package cluster

import (
	"time"

	"switchyard/proxy/order"
)

// When the log was lost, all members enter again, each when it notices. What one of them says before
// the Enter of another does not reach that one's peers, and what is for a user of another hub has
// nowhere to go before that hub has announced its users again. So what peers say waits until all that
// were members of the lost log have done so, which the first beat behind it shows:
//
//	hub 1   fell out ─ Enter ─ Found ─ announces ─ beat ─ waits ───────────────────┬▶ says what its peers said
//	hub 2   fell out ──────────────────── Enter ─ announces ─ beat ─ waits ────────┤
//	hub 3   ········ does not notice yet ········ fell out ─ Enter ─ announces ─ beat
//
// What the lost log had given a place, and this hub had not read, is lost to its peers.

// reuniteTime is for how long a hub waits at most for members of a lost log.
const reuniteTime = 5 * time.Second

// expectMembers notes who was a member of the log that was lost.
func (c *membership) expectMembers() {
	for _, m := range c.members.List() {
		if m.Hub != c.origin.Hub {
			c.missing[m.Hub] = true
		}
	}
}

// reunite handles the beat of a hub, which has announced its users before.
func (c *membership) reunite(now time.Time, r *order.Record) {
	if !r.Facts.Entering {
		delete(c.missing, r.Hub)
		c.resume(now)
	}
}

// resume lets the outbox continue, when all that were members of a lost log are back, or are not within
// reuniteTime.
func (c *membership) resume(now time.Time) {
	if c.phase != member || !c.waits {
		return
	}
	if len(c.missing) > 0 && now.Sub(c.joined) < reuniteTime {
		return
	}
	c.waits = false
	clear(c.missing)
	c.out.do(func(o *order.Outbox) { o.Resume() })
}
