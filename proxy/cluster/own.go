package cluster

import (
	"time"

	"switchyard/proxy/order"
)

// readOwn handles that a record of this hub has come back. For a member, the outbox learns that by
// checkOwn.
func (c *membership) readOwn(now time.Time, r *order.Record) {
	c.heard = now
	if r.Kind == order.Beat {
		c.beats = max(0, c.beats-1) // one may come back twice
	}
	if c.phase != member {
		c.out.do(func(o *order.Outbox) { o.Back(now, r) })
	}
}

// checkOwn tells the outbox that a record of this hub has come back, and reports whether what the hub
// says keeps counting. All hubs count a record by its number, so one that somebody else has said in
// this hub's name takes the place of the hub's own, or keeps later ones from counting:
//
//	            counts                          is ignored
//	own         read back                       one before it is missing, or nothing counts from now on
//	forged      the own one will count nowhere  nothing happens
func (c *membership) checkOwn(now time.Time, e order.Entry, r *order.Record) (sound bool) {
	next, known := c.members.NextOf(r.Origin)
	counts := known && r.Number < next
	c.out.do(func(o *order.Outbox) {
		if o.Forged(r, e.Record) {
			sound = !counts
			return
		}
		if sound = counts || r.Number > o.NextBack(); sound {
			o.Back(now, r)
		}
	})
	return sound
}
