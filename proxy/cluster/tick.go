package cluster

import (
	"maps"
	"slices"
	"time"

	"switchyard/proxy/order"
)

// beating says when this hub says that it is there.
type beating struct {
	ticked          time.Time // when tick was last called
	beatAt, checkAt time.Time // when the next beat is due, and the next one with Check
	beats           int       // that are under way
}

// tick does what depends on time alone. The applier calls it every tickTime, in the same goroutine as
// event, so nothing of it can come between two steps of a record. In this order:
//
//	alone        if nothing has come back for AloneAfter
//	enter again  if no state has come for answerTime; or begin the tenant again, if nobody else is there
//	beat         what other hubs take for a sign of life
//	gone         members that are silent are declared gone
//	the rest     a msg_server at two hubs; waiting for others to enter; leaving
func (c *membership) tick(now time.Time) {
	if c.phase == departed {
		return
	}
	c.discountStandstill(now)
	if after := c.settings.AloneAfter; after > 0 && !c.alone && now.Sub(c.proved) >= after {
		c.separate(now)
	}
	if c.phase == expecting && now.Sub(c.answered) >= answerTime {
		c.tries++
		c.explainSilence(now)
		c.reenter(now, "no-answer")
	} else if c.phase == expecting && now.Sub(c.heard) < waitingAfter {
		c.tryFound(now)
	}
	if (c.phase == member || c.phase == expecting) && !now.Before(c.beatAt) {
		c.beat(now)
	}
	if c.phase == member {
		due := c.members.Due(now)
		maps.DeleteFunc(c.declared, func(o order.Origin, _ bool) bool { return !slices.Contains(due, o) })
		for _, o := range due {
			c.declareGone(o)
		}
	}
	c.warnOfTwice(now)
	c.resume(now)
	c.tryLeave()
}

// discountStandstill subtracts the time for which this process stood still from the times that it has
// waited, because it has not yet read what arrived meanwhile.
func (c *membership) discountStandstill(now time.Time) {
	if late := now.Sub(c.ticked); late > standstill && !c.ticked.IsZero() {
		c.proved, c.unproved, c.answered = c.proved.Add(late), c.unproved.Add(late), c.answered.Add(late)
	}
	c.ticked = now
}

// declareGone says that another hub is gone, once.
func (c *membership) declareGone(o order.Origin) {
	if !c.declared[o] {
		c.declared[o] = true
		c.say(&order.Record{Kind: order.Gone, About: o})
	}
}

// beat says that this hub is there.
func (c *membership) beat(now time.Time) {
	if c.beats >= mostBeats {
		return
	}
	c.beats++
	c.beatAt = now.Add(beatTime)
	facts := c.facts(c.phase == expecting)
	if donor, ok := c.members.Donor(order.Origin{}); ok && donor == c.origin && !now.Before(c.checkAt) {
		facts.Check, c.checkAt = true, now.Add(checkTime)
	}
	c.say(&order.Record{Kind: order.Beat, Facts: facts})
}

// facts are what this hub says about itself.
func (c *membership) facts(entering bool) order.Facts {
	return order.Facts{Formats: c.formats, Rules: c.rules,
		Process: c.process, Entering: entering, Table: c.table, Policies: c.settings.Policies(), Name: c.settings.Name}
}

// rules is the number of the rules by which this release changes the table and makes notices.
const rules = 1
