package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"switchyard/proxy/order"
)

// A State is what a member is to operators, as the label of a metric.
type State string

// The states.
const (
	Entering State = "entering" // it does not have the tenant's state
	Together State = "together"
	Waiting  State = "waiting" // nothing that it said comes back
	Alone    State = "alone"
	Departed State = "departed" // it has drained
)

// Counts are what a member has counted since it was made. The maps have the labels of metrics.
type Counts struct {
	Applied map[uint16]uint64        // records that counted, by the hub that said them
	Ignored map[order.Ignored]uint64 // records that did not count
	Entered map[string]uint64        // by why it entered
	FellOut map[order.Reason]uint64
	Gone    uint64 // hubs that ceased to be members
	Alone   uint64 // times that it continued alone
}

func newCounts() Counts {
	return Counts{Applied: make(map[uint16]uint64), Ignored: make(map[order.Ignored]uint64), Entered: make(map[string]uint64), FellOut: make(map[order.Reason]uint64)}
}

// A Status is what a member is and has counted at some moment. It never changes.
type Status struct {
	State        State
	Why          string // it is entering
	Incompatible bool   // it cannot enter, because its release is incompatible with another hub's
	Reuniting    bool   // it has entered after the log was lost, and waits for others to do so
	Origin       order.Origin
	Position     order.Position // of what was read last
	TableSum     uint64         // as of there
	Members      []order.Member // as of there; nil unless it is one of them
	Rules        uint8          // in force
	Quiet        time.Duration  // for which nothing that it said as a member has come back
	Counts
	Mismatches uint64 // checks at which not all tables were equal

	UnderwayRecords int // said and not come back
	UnderwayBytes   int
	OldestAge       time.Duration // since the oldest of them was first appended; 0 if there is none

	Outbox order.Counts
	Log    order.LogCounts
}

// state returns the state by now.
func (c *membership) state(now time.Time) State {
	switch {
	case c.alone:
		return Alone
	case c.phase == departed:
		return Departed
	case c.phase != member:
		return Entering
	case now.Sub(c.proved) >= waitingAfter:
		return Waiting
	}
	return Together
}

// status returns the status by now, without what the log and an earlier process have counted, which look
// adds. Only the applier calls it.
func (c *membership) status(now time.Time) *Status {
	s := &Status{State: c.state(now), Why: c.why, Incompatible: c.incompatible, Reuniting: c.phase == member && c.waits, Origin: c.origin, Position: c.last, TableSum: c.settings.Hub.TableSum(), Rules: c.members.Rules(), Quiet: now.Sub(c.proved), Mismatches: c.members.Mismatches()}
	if c.members.In() {
		s.Members = c.members.List()
	}
	s.Counts = Counts{maps.Clone(c.counts.Applied), maps.Clone(c.counts.Ignored), maps.Clone(c.counts.Entered), maps.Clone(c.counts.FellOut), c.counts.Gone, c.counts.Alone}
	var oldest time.Time
	c.out.do(func(o *order.Outbox) {
		s.UnderwayRecords, s.UnderwayBytes, oldest = o.Underway()
		s.Outbox = o.Counts()
	})
	if !oldest.IsZero() {
		s.OldestAge = now.Sub(oldest)
	}
	return s
}

// look returns the status by now, with what the log has counted. Only the applier calls it.
func (m *Member) look(now time.Time) *Status {
	s := m.membership.status(now)
	s.Log = m.log.Counts()
	s.Log.ReadAgain += m.was.Log.ReadAgain
	s.Log.Reconnects += m.was.Log.Reconnects
	s.Mismatches += m.was.Mismatches
	return s
}

// Status returns the member's status, which is a few hundred milliseconds old at most unless the
// tenant is frozen.
func (m *Member) Status() *Status { return m.status.Load() }

// Fresh returns the status as of now.
func (m *Member) Fresh(ctx context.Context) (*Status, error) {
	answer := make(chan *Status, 1)
	select {
	case m.asks <- answer:
		return <-answer, nil
	case <-m.ctx.Done():
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var errClosed = errors.New("the tenant is closed")

// Ready implements proxy.Order: peers can be served together with those of the other hubs, or
// alone if these are not there.
func (m *Member) Ready() error {
	s := m.Status()
	switch {
	case s.Incompatible: // also alone: the others are there, and serve
		return errors.New("this hub cannot enter the cluster: its release does not work together with that of another hub")
	case s.State == Entering && s.Why == "":
		return errors.New("this hub is entering the cluster")
	case s.State == Entering:
		return fmt.Errorf("this hub is entering the cluster (%s)", s.Why)
	case s.State == Waiting:
		return fmt.Errorf("the cluster has not answered for %v", s.Quiet.Round(time.Second))
	}
	return nil
}
