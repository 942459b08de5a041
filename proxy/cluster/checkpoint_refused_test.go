package cluster

import (
	"strings"
	"testing"
	"time"

	"switchyard/proxy/order"
)

// The process that continues gives numbers to what waits, so from Export on the old one says nothing.
func TestNothingIsAppendedAfterExport(t *testing.T) {
	m := New(&earlyLog{}, settingsOf(new(fakeHub)))
	m.out.outbox.Resume()
	m.out.Say(&order.Record{Kind: order.Joined, Session: 1<<40 + 1})
	if _, err := m.Export(); err == nil {
		t.Error("a hub that has not entered can move")
	}
	m.membership.phase, m.membership.proved = member, time.Now()
	if p, err := m.Export(); err != nil || len(p.Outbox.Waiting) != 1 {
		t.Errorf("%d records wait, %v", len(p.Outbox.Waiting), err)
	}
	if record, _ := m.out.next(time.Now()); record != nil {
		t.Error("a record is to be appended after Export")
	}
	m.Stay()
	if record, _ := m.out.next(time.Now()); record == nil {
		t.Error("no record is to be appended after Stay")
	}
}

// A checkpoint is taken by the same hub alone, and by a program that knows what the hub has entered with.
func TestContinueIsRefused(t *testing.T) {
	start := func(number uint16) *Member {
		s := settingsOf(new(fakeHub))
		s.Number = number
		return New(&earlyLog{}, s)
	}
	at := func(sequence uint64) order.Entry {
		return order.Entry{Position: order.Position{Epoch: 1, Sequence: sequence}}
	}
	checkpoint := func(f order.Facts) Checkpoint {
		old := start(1)
		c := old.membership
		c.phase, c.proved = member, time.Now()
		c.origin.Incarnation = 7
		c.members.Begin(c.origin)
		c.members.Next(time.Now(), at(2), &order.Record{Kind: order.Found, Origin: c.origin, Number: 2, After: at(1).Position, Facts: f})
		p, err := old.Export()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	facts := start(1).membership.facts(false)
	p := checkpoint(facts)
	if err := start(1).Continue(p); err != nil {
		t.Error(err)
	}
	if err := start(2).Continue(p); err == nil || !strings.Contains(err.Error(), "cluster.hub says 2") {
		t.Errorf("with another number: %v", err)
	}
	facts.Rules = order.Range{Least: rules, Most: rules + 1}
	if err := start(1).Continue(checkpoint(facts)); err == nil || !strings.Contains(err.Error(), "rules 1-2, and this program knows") {
		t.Errorf("with other rules: %v", err)
	}
}
