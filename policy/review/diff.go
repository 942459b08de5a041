package review

import (
	"switchyard/pdu"
)

// A Change is one line of the difference between two policies.
type Change struct {
	Command  string `json:"command"` // as in Row, or Else for what unknown commands get
	First    uint16 `json:"first"`
	Last     uint16 `json:"last"`
	Known    bool   `json:"known"`
	Alike    bool   `json:"alike"`    // in both policies its verdict is also that of unknown commands
	Unproven bool   `json:"unproven"` // both inspect it, with different code: only traffic can show a difference
	Scope
	Before Decision `json:"before"`
	After  Decision `json:"after"`
	Weight *Weight  `json:"weight,omitempty"` // where Weigh had traffic
}

// Else is the command of a Change of what unknown commands get.
const Else = "else"

// A comparison handles a pair of answers as one value, so that the same spans and groups that
// make the rows of a table make the lines of a difference:
//
//	            before   after    pair
//	otherwise   drop     drop     (drop, drop)          no change
//	0x0720      drop     unicast  (drop, unicast)  ┐    one change: 0x0720-0x0721
//	0x0721      drop     unicast  (drop, unicast)  ┘
//	0x0722      inspect  inspect  (inspect, inspect)    unproven: the code may differ

// bothAnswers holds the answers of two policies for the same ids.
type bothAnswers struct{ before, after answer }

// A comparison holds two tables. If equal is set, both policies are the same module with
// the same configuration, so that their inspections agree too.
type comparison struct {
	before, after *Table
	equal         bool
}

// Compare returns the changes from before to after, those of unknown commands first. Both
// tables answer the same questions. Set equal if both are the same module and configuration.
func Compare(before, after *Table, equal bool) []Change {
	c := comparison{before, after, equal}
	changes := c.rest()
	for _, s := range spans(c.pairs, c.before, c.after) {
		changes = append(changes, c.of(s)...)
	}
	return changes
}

// rest returns the changes of otherwise.
func (c comparison) rest() []Change {
	pairs := make([]bothAnswers, len(c.before.services))
	for i := range pairs {
		pairs[i] = bothAnswers{c.before.otherwise[i], c.after.otherwise[i]}
	}
	var changes []Change
	for _, g := range groups(c.before.Questions, pairs, func(i int) bool { return c.changes(pairs[i]) }) {
		change := g.value.change(Change{Command: Else, Scope: g.scope}, 0)
		change.Before.Sources = c.before.restSources(g.value.before, g.scope)
		change.After.Sources = c.after.restSources(g.value.after, g.scope)
		changes = append(changes, change)
	}
	return changes
}

func (c comparison) pairs(command pdu.CommandID) []bothAnswers {
	pairs := make([]bothAnswers, len(c.before.services))
	before, after := c.before.answers(command), c.after.answers(command)
	for i := range pairs {
		pairs[i] = bothAnswers{before[i], after[i]}
	}
	return pairs
}

// of returns the changes of one span. Where both answers equal otherwise, rest already has
// the change; only a known command under its own service is listed again, as Alike.
func (c comparison) of(s span[bothAnswers]) []Change {
	row := Change{Command: s.String(), First: uint16(s.first), Last: uint16(s.last), Known: s.isKnown()}
	alike := func(i int) bool { return s.values[i] == bothAnswers{c.before.otherwise[i], c.after.otherwise[i]} }
	var changes []Change
	if known, ok := s.known(); ok && alike(c.before.own(known)) && c.changes(s.values[c.before.own(known)]) {
		row := row
		row.Alike, row.Scope = true, Scope{Services: []string{known.Service.String()}}
		changes = append(changes, c.change(s.values[c.before.own(known)], row, s))
	}
	for _, g := range groups(c.before.Questions, s.values, func(i int) bool { return c.changes(s.values[i]) && !alike(i) }) {
		row.Scope = g.scope
		changes = append(changes, c.change(g.value, row, s))
	}
	return changes
}

// change returns the change of a span, of whose scope row has it already.
func (c comparison) change(v bothAnswers, row Change, s span[bothAnswers]) Change {
	row = v.change(row, s.first)
	c.before.explain(&row.Before, s.first, s.last, row.Scope)
	c.after.explain(&row.After, s.first, s.last, row.Scope)
	return row
}

// changes reports whether the answers differ, or may differ after an inspection whose cases are not
// known.
func (c comparison) changes(t bothAnswers) bool {
	return t.before != t.after || !c.equal && t.before.verdict.Inspected() && t.before.cases == ""
}

func (t bothAnswers) change(row Change, command pdu.CommandID) Change {
	row.Unproven = t.before == t.after
	row.Before, row.After = decide(t.before, command), decide(t.after, command)
	return row
}
