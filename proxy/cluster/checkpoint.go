package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"switchyard/proxy/order"
)

// A member can continue in another process of the same hub, with the same number and incarnation. The
// other hubs notice only that it says nothing for a while:
//
//	old   Ordered stands still ─▶ Export: nothing is appended from here on ─▶ Depart, or Stay
//	                                 │ Checkpoint
//	new   New ────────────────────▶ Continue ─▶ Start: reads on behind what the old one has read,
//	                                             then says what is under way again
//
// It is not enough that the new process enters again: its sessions would join again, and until then
// the other hubs would know its users as offline, and a PDU for one of them would be lost.

// A Checkpoint is what another process needs to continue as the same member.
type Checkpoint struct {
	Origin  order.Origin
	Last    order.Entry    // what was read last, without the record
	Entered order.Position // of its Enter
	Why     string         // it has entered
	Members []byte
	Census  order.CensusState
	Outbox  order.OutboxState
	Table   order.TableSum
	Beats   int // that are under way

	Heard, Proved time.Duration // since then

	Counts     Counts
	Mismatches uint64
	Log        order.LogCounts
}

// Movable returns why the member cannot move to another process now; nil if it can.
func (m *Member) Movable() error { return m.Status().movable() }

// movable is Member.Movable by one status. A hub that enters, or is alone, has no place in the order from
// which another process could continue.
func (s *Status) movable() error {
	switch {
	case s.State != Together && s.State != Waiting:
		return fmt.Errorf("this hub is %s; ask again when 'switchyard cluster status' shows that it is together with the others", s.State)
	case s.Reuniting:
		return errors.New("this hub waits for others to enter the cluster again; ask again in a few seconds")
	}
	return nil
}

// Export returns the member's checkpoint, while the tenant is frozen. From then on nothing is appended here,
// until Stay. An error says why the member cannot move now, as Movable does.
func (m *Member) Export() (Checkpoint, error) {
	c, now := m.membership, time.Now()
	s := m.look(now)
	if err := s.movable(); err != nil {
		return Checkpoint{}, err
	}
	if c.stops {
		return Checkpoint{}, errors.New("the tenant drains")
	}
	p := c.checkpoint(now)
	p.Mismatches, p.Log = s.Mismatches, s.Log
	m.out.mu.Lock()
	defer m.out.mu.Unlock()
	m.out.stopped = true
	p.Outbox = m.out.outbox.Export(now)
	return p, nil
}

// checkpoint is Export without the outbox and what Status adds up.
func (c *membership) checkpoint(now time.Time) Checkpoint {
	return Checkpoint{Origin: c.origin, Last: order.Entry{Position: c.last, At: c.lastAt}, Entered: c.entered.Position, Why: c.why,
		Members: c.members.Export(nil), Census: c.census.Export(now), Table: c.table, Beats: c.beats,
		Heard: now.Sub(c.heard), Proved: now.Sub(c.proved), Counts: c.counts}
}

// Stay undoes Export: the other process does not continue.
func (m *Member) Stay() {
	m.out.mu.Lock()
	defer m.out.mu.Unlock()
	m.out.stopped = false
	notify(m.out.wake)
}

// Depart implements proxy.Order. A hub that was being sent the state asks again.
func (m *Member) Depart() {
	m.moved.Store(true)
	m.end()
}

// Continue makes a member that has not started continue from a checkpoint. After an error it is unusable.
func (m *Member) Continue(p Checkpoint) error {
	now := time.Now()
	if err := m.membership.continueAt(now, p); err != nil {
		return err
	}
	o, err := order.ContinueOutbox(now, p.Outbox, m.membership.settings.Window, m.membership.settings.Queue)
	if err != nil {
		return fmt.Errorf("what is under way in the cluster: %w", err)
	}
	m.continues, m.out.outbox = true, o
	m.was = Checkpoint{Last: p.Last, Mismatches: p.Mismatches, Log: p.Log}
	m.entered.Store(true)
	m.status.Store(m.look(now))
	return nil
}

// continueAt makes a new membership continue from the checkpoint. Times in it are ages, and count from now.
func (c *membership) continueAt(now time.Time, p Checkpoint) error {
	if p.Origin.Hub != c.origin.Hub {
		return fmt.Errorf("the running program is hub %d of the cluster, and cluster.hub says %d", p.Origin.Hub, c.origin.Hub)
	}
	c.members.Begin(p.Origin)
	if err := c.members.Import(now, p.Members); err != nil {
		return err
	}
	c.phase, c.why, c.origin, c.process = member, p.Why, p.Origin, p.Census.Process
	c.census = order.ContinueCensus(now, c.origin.Hub, p.Census)
	c.last, c.lastAt, c.entered.Position, c.table, c.beats = p.Last.Position, p.Last.At, p.Entered, p.Table, p.Beats
	c.heard, c.proved, c.ticked = now.Add(-p.Heard), now.Add(-p.Proved), now
	c.continueCounts(p.Counts)
	return c.knowOthers()
}

// continueCounts continues the counts. A map that was empty is nil in p.
func (c *membership) continueCounts(p Counts) {
	own := newCounts()
	maps.Copy(own.Applied, p.Applied)
	maps.Copy(own.Ignored, p.Ignored)
	maps.Copy(own.Entered, p.Entered)
	maps.Copy(own.FellOut, p.FellOut)
	own.Gone, own.Alone = p.Gone, p.Alone
	c.counts = own
}

// knowOthers notes which other hubs are members. It returns an error if this program does not know the
// formats and rules that the hub itself has entered with.
func (c *membership) knowOthers() error {
	own := c.facts(false)
	for _, m := range c.members.List() {
		if m.Hub != c.origin.Hub {
			c.far[m.Hub] = true
			continue
		}
		if f := m.Facts; !own.Formats.Includes(f.Formats) || !own.Rules.Includes(f.Rules) {
			return fmt.Errorf("this hub has entered the cluster with formats %s and rules %s, and this program knows formats %s and rules %s; restart instead",
				text(f.Formats), text(f.Rules), text(own.Formats), text(own.Rules))
		}
	}
	return nil
}

// readOn reads behind what the other process has read. Before, nothing is appended: the bus may
// not be reached yet, and what is lost then would be said again only after a second.
func (m *Member) readOn() {
	if m.retry(func(ctx context.Context) error { return m.log.Continue(ctx, m.was.Last) }) {
		m.send()
	}
}
