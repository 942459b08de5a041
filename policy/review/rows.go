package review

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"switchyard/pdu"
)

// Any stands for all service ids.
const Any = "any"

// A Scope is the service ids that something holds for.
type Scope struct {
	Services []string `json:"services"`         // by name, or only Any
	Except   []string `json:"except,omitempty"` // of Any
}

// Has reports whether the scope holds a service.
func (s Scope) Has(id pdu.ServiceID) bool {
	return s.of(id.String()) == 1 || s.of(Any) == 1 && !slices.Contains(s.Except, id.String())
}

// of returns 1 if the scope names that, and 0 otherwise.
func (s Scope) of(name string) int {
	if slices.Contains(s.Services, name) {
		return 1
	}
	return 0
}

func (s Scope) String() string {
	text := strings.Join(s.Services, ", ")
	if len(s.Except) > 0 {
		text += " but " + strings.Join(s.Except, ", ")
	}
	return text
}

// A Row is one line of a routing table: a command of the protocol, or an unknown
// one, or a range of them, for which there is a rule.
type Row struct {
	Command string `json:"command"` // by name; unknown ones by id, as 0x0720 or 0x0720-0x072f
	First   uint16 `json:"first"`   // the command's id
	Last    uint16 `json:"last"`    // the same, but for a range
	Known   bool   `json:"known"`   // it is a command of the protocol
	Alike   bool   `json:"alike"`   // it says what unknown commands get as well
	Scope
	Decision
}

// A Rest is what commands get for which there is no rule.
type Rest struct {
	Scope
	Decision
}

// Rest returns what unknown commands get. It is one entry unless that depends on
// the service.
func (t *Table) Rest() []Rest {
	var rest []Rest
	for _, g := range groups(t.otherwise, func(int) bool { return true }) {
		rest = append(rest, Rest{Scope: g.scope, Decision: decide(g.value, 0)})
	}
	return rest
}

// Rows returns a row for every command of the protocol, and for every unknown one
// that does not get what the rest gets, in the order of their ids.
func (t *Table) Rows() []Row {
	var rows []Row
	for _, s := range spans(func(c pdu.CommandID) []answer { return t.answers[c] }) {
		rule := func(i int) bool { return s.values[i] != t.otherwise[i] }
		found := groups(s.values, rule)
		if known, ok := s.known(); ok && !rule(own(known)) {
			v := s.values[own(known)]
			same := func(i int) bool { return !rule(i) && s.values[i] == v }
			rows = append(rows, s.row(group[answer]{v, scopeOf(same)}, true))
		}
		for _, g := range found {
			rows = append(rows, s.row(g, false))
		}
	}
	return rows
}

func (s span[T]) row(g group[answer], alike bool) Row {
	return Row{Command: s.String(), First: uint16(s.first), Last: uint16(s.last), Known: s.isKnown(),
		Alike: alike, Scope: g.scope, Decision: decide(g.value, s.first)}
}

// A span is a known command, or as many unknown ones in a row as have the same
// values by service.
type span[T comparable] struct {
	first, last pdu.CommandID
	values      []T
}

func spans[T comparable](values func(pdu.CommandID) []T) []span[T] {
	var all []span[T]
	for _, c := range commands {
		next := span[T]{first: c, last: c, values: values(c)}
		if n := len(all); n > 0 && all[n-1].takes(next) {
			all[n-1].last = c
		} else {
			all = append(all, next)
		}
	}
	return all
}

func (s span[T]) takes(next span[T]) bool {
	return s.last+1 == next.first && !s.isKnown() && !next.isKnown() && slices.Equal(s.values, next.values)
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

// groups groups the services that are looked at by their values, the group of most
// services first, otherwise in the order of their ids.
func groups[T comparable](values []T, look func(service int) bool) []group[T] {
	var found []group[T]
	for i, v := range values {
		in := func(g group[T]) bool { return g.value == v }
		if look(i) && !slices.ContainsFunc(found, in) {
			found = append(found, group[T]{v, scopeOf(func(i int) bool { return look(i) && values[i] == v })})
		}
	}
	slices.SortStableFunc(found, func(a, b group[T]) int { return cmp.Compare(b.scope.of(Any), a.scope.of(Any)) })
	return found
}

// scopeOf returns the scope of the services for which in says so.
func scopeOf(in func(service int) bool) Scope {
	var inside, outside []string
	for i, s := range services {
		if in(i) {
			inside = append(inside, s.String())
		} else {
			outside = append(outside, s.String())
		}
	}
	if len(inside) > len(outside) {
		return Scope{Services: []string{Any}, Except: outside}
	}
	return Scope{Services: inside}
}
