package review

import (
	"fmt"
	"slices"
	"strings"

	"switchyard/pdu"
	"switchyard/policy/command"
)

// Any stands for all service ids.
const Any = "any"

// A Scope is the set of service ids to which a row applies.
type Scope struct {
	Services []string `json:"services"`         // by name, or only Any
	Except   []string `json:"except,omitempty"` // of Any
}

// Has reports whether the scope includes a service.
func (s Scope) Has(id pdu.ServiceID) bool {
	return slices.Contains(s.Services, id.String()) || s.isAny() && !slices.Contains(s.Except, id.String())
}

// Beyond reports whether the scope is only services that the protocol does not have.
func (s Scope) Beyond() bool {
	return !s.isAny() && !slices.ContainsFunc(s.Services, func(name string) bool {
		id, problem := command.Service(name)
		return problem != nil || id < protocolServices
	})
}

func (s Scope) isAny() bool { return slices.Contains(s.Services, Any) }

func (s Scope) String() string {
	text := strings.Join(s.Services, ", ")
	if len(s.Except) > 0 {
		text += " but " + strings.Join(s.Except, ", ")
	}
	return text
}

// A Row is one line of a routing table, for a command of the protocol, an unknown command
// or a range of unknown ones.
type Row struct {
	Command string `json:"command"` // by name; unknown ones by id, as 0x0720 or 0x0720-0x072f
	First   uint16 `json:"first"`   // the command's id
	Last    uint16 `json:"last"`    // of a range; otherwise the same
	Known   bool   `json:"known"`   // it is a command of the protocol, or a custom one
	Alike   bool   `json:"alike"`   // its verdict is also that of unknown commands
	Scope
	Decision
}

// A Rest is the verdict of commands without a row.
type Rest struct {
	Scope
	Decision
}

// Rest returns the verdicts of most unknown commands: one entry, or several if they depend
// on the service.
func (t *Table) Rest() []Rest {
	var rest []Rest
	for _, g := range groups(t.Questions, t.otherwise, func(int) bool { return true }) {
		d := decide(g.value, 0)
		d.Sources = t.restSources(g.value, g.scope)
		rest = append(rest, Rest{Scope: g.scope, Decision: d})
	}
	return rest
}

// Rows returns a row for every command of the protocol, and for every unknown one
// that does not get what the rest gets, in the order of their ids.
//
// An example with three services and four commands, of which K is known and belongs to
// service 1; letters are verdicts:
//
//	service     0  1  2
//	otherwise   a  a  b    what most unknown commands get: the result of Rest
//	K           x  a  b    row "0 K: x"; and "1 K: a", which is Alike
//	0x0720      a  y  y    row "1, 2 0x0720-0x0721: y"
//	0x0721      a  y  y    the same span, as all its verdicts equal those of 0x0720
//	0x0722      a  a  b    no row, as it equals otherwise
//
// So commands with equal verdicts become spans, services with equal verdicts within a span
// become groups, and a group that differs from otherwise becomes a row. A known command
// has a row for its own service in any case.
func (t *Table) Rows() []Row {
	var rows []Row
	for _, s := range spans(t.answers, t) {
		differs := func(service int) bool { return s.values[service] != t.otherwise[service] }
		if known, ok := s.known(); ok && !differs(t.own(known)) {
			v := s.values[t.own(known)]
			alike := func(service int) bool { return !differs(service) && s.values[service] == v }
			rows = append(rows, t.row(s, group[answer]{v, t.scopeOf(alike)}, true))
		}
		for _, g := range groups(t.Questions, s.values, differs) {
			rows = append(rows, t.row(s, g, false))
		}
	}
	return rows
}

// row returns the row of the services of a group of a span.
func (t *Table) row(s span[answer], g group[answer], alike bool) Row {
	d := decide(g.value, s.first)
	t.explain(&d, s.first, s.last, g.scope)
	return Row{Command: s.String(), First: uint16(s.first), Last: uint16(s.last), Known: s.isKnown(),
		Alike: alike, Scope: g.scope, Decision: d}
}

// A span is one known command, or a run of unknown ones whose values are equal for every
// service. Its values are indexed like services.
type span[T comparable] struct {
	first, last pdu.CommandID
	values      []T
}

// spans cuts the commands where the answers of one of the tables change, and around known
// commands. Two pieces that a cut of the other table separates are joined again if their values
// are equal:
//
//	table 1      ├─ a ──────┼─ b ─────────┤
//	table 2      ├─ x ─────────┼─ y ──────┤
//	known                         K
//	spans        ├ a,x ─────┼bx┼by┼K┼ b,y ┤
//
// A known command is always a span of its own, even where its neighbours get the same.
func spans[T comparable](values func(pdu.CommandID) []T, tables ...*Table) []span[T] {
	var starts []pdu.CommandID
	for _, t := range tables {
		for _, s := range t.segments {
			starts = append(starts, s.first)
		}
	}
	for _, c := range pdu.KnownCommands() {
		starts = append(starts, c.ID, c.ID+1)
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	var all []span[T]
	for i, c := range starts {
		next := span[T]{first: c, last: lastCommand, values: values(c)}
		if i+1 < len(starts) {
			next.last = starts[i+1] - 1
		}
		if n := len(all); n > 0 && all[n-1].takes(next) {
			all[n-1].last = next.last
		} else {
			all = append(all, next)
		}
	}
	return all
}

// takes reports whether next, which begins behind the span, continues it.
func (s span[T]) takes(next span[T]) bool {
	return !s.isKnown() && !next.isKnown() && slices.Equal(s.values, next.values)
}

func (s span[T]) known() (pdu.Command, bool) { return pdu.CommandByID(s.first) }

func (s span[T]) isKnown() bool {
	_, ok := s.known()
	return ok
}

func (s span[T]) String() string {
	if s.first == s.last {
		return s.first.String()
	}
	return fmt.Sprintf("%v-%v", s.first, s.last)
}

// A group is the services that have the same value.
type group[T comparable] struct {
	value T
	scope Scope
}

// groups groups the included services by their values. The group of all other services
// comes first; the others follow in the order of their lowest ids.
func groups[T comparable](q *Questions, values []T, include func(service int) bool) []group[T] {
	var distinct []T
	for i, v := range values {
		if include(i) && !slices.Contains(distinct, v) {
			distinct = append(distinct, v)
		}
	}
	var first, others []group[T]
	for _, v := range distinct {
		g := group[T]{v, q.scopeOf(func(i int) bool { return include(i) && values[i] == v })}
		if g.scope.isAny() {
			first = append(first, g)
		} else {
			others = append(others, g)
		}
	}
	return append(first, others...)
}

// scopeOf returns the scope of the included services. If that is among them which stands
// for all others, the scope is Any, except for those that are not included. With the services
// 0, 1, 2 and 0xfffe, which stands for all others:
//
//	included       scope
//	1, 2           1, 2
//	0, 2, 0xfffe   any but 1
//	all            any
func (q *Questions) scopeOf(include func(service int) bool) Scope {
	var inside, outside []string
	for i, s := range q.services {
		if include(i) {
			inside = append(inside, s.String())
		} else {
			outside = append(outside, s.String())
		}
	}
	if include(q.other) {
		return Scope{Services: []string{Any}, Except: outside}
	}
	return Scope{Services: inside}
}
