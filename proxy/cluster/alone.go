package cluster

import (
	"time"

	"switchyard/proxy/order"
)

// separate makes the hub continue alone: its peers reach each other, in an order of their own. What was
// under way is applied, and users of other hubs are offline. It still asks to enter.
//
//	together ── nothing comes back for AloneAfter ──▶ alone ── it has the state ──▶ together
//	             ▲                                      │ Say ─▶ kept ─▶ Hub.Apply
//	             └ the bus is away, or takes nothing    └ the others learn nothing of it
func (c *membership) separate(now time.Time) {
	c.log.Error("alone: the cluster has not answered for cluster.alone_after; only the peers of this hub reach each other", "since", c.proved)
	c.counts.Alone++
	c.alone = true
	c.out.separate()
	c.others = nil
	clear(c.missing)
	c.dropAll()
	c.applyKept()
	c.why = "alone"
	if c.phase != beginning {
		c.ask(now)
	}
}

// applyKept applies what was said alone so far. What is said meanwhile waits for the next call, or
// senders that are faster than this hub would keep it from everything else.
func (c *membership) applyKept() { c.applyAll(c.out.take()) }

func (c *membership) applyAll(kept []order.Record) {
	for i := range kept {
		c.settings.Hub.Apply(&kept[i])
	}
}

// unite ends being alone. What is said from now on waits until this hub is a member.
func (c *membership) unite() {
	c.alone = false
	c.applyAll(c.out.unite())
}
