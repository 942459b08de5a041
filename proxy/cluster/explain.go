package cluster

import (
	"cmp"
	"fmt"
	"time"

	"switchyard/proxy/order"
)

// What the log says about the bus and about incompatible hubs. Each line is logged once, until what
// it says has ended or changed.

// explained is what was logged and has not ended.
type explained struct {
	away         bool                  // the bus does not answer
	refused      map[uint16]refusedHub // those that cannot enter, by their hub numbers
	incompatible bool                  // this hub cannot enter, as it is incompatible with the members
}

// A TakenError says that another hub of the cluster has the same number.
type TakenError struct {
	Number uint16
	Name   string // of the other one
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("cluster.hub = %d is the number of a hub that runs already (%q); give each hub a number of its own", e.Number, e.Name)
}

// checkNumber fails if another process lives that has this hub's number. Its name is not known if it
// speaks another format.
func (c *membership) checkNumber() {
	if facts, taken := c.census.Taken(c.entered.Position); taken && !c.taken {
		c.taken = true
		c.settings.Fail(&TakenError{c.origin.Hub, cmp.Or(facts.Name, "unknown")})
	}
}

// unreached notes that the bus does not answer.
func (c *membership) unreached(err error) {
	if !c.away {
		c.away = true
		c.log.Warn("the bus does not answer; what peers send waits", "error", err)
	}
}

// reached notes that the bus answers.
func (c *membership) reached() {
	if c.away {
		c.away = false
		c.log.Info("the bus answers again")
	}
}

// A refusedHub identifies a hub that cannot enter, beside its number, which another process may have
// had before. The process is 0 if the hub's records cannot be read.
type refusedHub struct {
	process uint64
	formats order.Range
}

// explainRefusal says that the Enter of another hub does not count because the hubs do not agree.
func (c *membership) explainRefusal(r *order.Record) {
	if who := (refusedHub{r.Facts.Process, r.Facts.Formats}); c.refused[r.Hub] != who {
		c.refused[r.Hub] = who
		c.log.Warn("a hub cannot enter the cluster: its release does not work together with those of the members; bring all hubs to one release",
			"hub", r.Hub, "name", r.Facts.Name, "formats", text(r.Facts.Formats), "rules", text(r.Facts.Rules))
	}
}

// readFormat handles a record in a format that this hub cannot read. What its hub says counts at no
// member.
func (c *membership) readFormat(now time.Time, e order.Entry, r *order.Record) {
	if r.Facts = c.census.NoteFormat(now, e, r); c.phase == member {
		c.explainRefusal(r)
	}
}

// explainSilence says in the log, and by Ready, that this hub cannot enter because it is
// incompatible with the members, if that is so.
func (c *membership) explainSilence(now time.Time) {
	own := c.facts(true)
	hub, facts, found := c.census.Disagrees(now, c.settings.MemberTimeout, own)
	if found && !c.incompatible {
		c.log.Warn("this hub cannot enter the cluster: its release does not work together with that of another hub; bring all hubs to one release",
			"hub", hub, "name", facts.Name, "formats", text(facts.Formats), "own_formats", text(own.Formats), "rules", text(facts.Rules), "own_rules", text(own.Rules))
	}
	c.incompatible = found
}

func text(r order.Range) string { return fmt.Sprintf("%d-%d", r.Least, r.Most) }
