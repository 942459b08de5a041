// Package command parses commands and services as tables and the configuration spell them:
// by name or by id, and two commands with a hyphen between them as a range. It attaches no
// meaning to them.
package command

import (
	"fmt"
	"slices"
	"strings"

	"switchyard/pdu"
	"switchyard/policy/suggest"
)

// A Problem is what is wrong with a word, and what to write instead.
type Problem struct{ What, Remedy string }

func (p *Problem) Error() string { return p.What + "; " + p.Remedy }

// A Range is the commands from Lo to Hi, both included.
type Range struct{ Lo, Hi pdu.CommandID }

// Custom are the operator's custom commands, whose names are read besides those of the protocol. The functions
// of the package read those that are in use; the configuration is checked with those that it will use.
type Custom []pdu.Command

// Parse reads a command or a range, or returns every problem of it. The names are those that this
// process knows.
func Parse(word string) (Range, []*Problem) { return known().Parse(word) }

// Cut splits a range at its hyphen. A word is a range only if a command or a number stands
// before the hyphen: CID-MSG-DATA is a misspelt name. 0x0720-0x072f and CID_MSG_DATA-0x03ff are
// ranges.
func Cut(word string) (from, to string, ok bool) { return known().cut(word) }

// Between reads the two ends of a range.
func Between(from, to string) (Range, []*Problem) { return known().between(from, to) }

// ID reads one command.
func ID(word string) (pdu.CommandID, *Problem) { return known().id(word) }

func known() Custom { return pdu.CustomCommands() }

// Parse is the function Parse with these custom commands.
func (c Custom) Parse(word string) (Range, []*Problem) {
	if from, to, ok := c.cut(word); ok {
		return c.between(from, to)
	}
	id, problem := c.id(word)
	if problem != nil {
		return Range{}, []*Problem{problem}
	}
	return Range{id, id}, nil
}

func (c Custom) cut(word string) (from, to string, ok bool) {
	from, to, ok = strings.Cut(word, "-")
	if _, named := c.named(from); !ok || !named && !IsNumeric(from) {
		return word, "", false
	}
	return from, to, true
}

func (c Custom) between(from, to string) (r Range, problems []*Problem) {
	ends := [...]*pdu.CommandID{&r.Lo, &r.Hi}
	for i, word := range [...]string{from, to} {
		id, problem := c.id(word)
		if problem != nil {
			problems = append(problems, problem)
		}
		*ends[i] = id
	}
	switch {
	case problems != nil:
	case r.Lo == r.Hi:
		problems = append(problems, &Problem{fmt.Sprintf("the range %s-%s is one command", from, to), "write " + from})
	case r.Lo > r.Hi:
		problems = append(problems, &Problem{fmt.Sprintf("the range %s-%s runs backwards", from, to), fmt.Sprintf("write %s-%s", to, from)})
	}
	return r, problems
}

func (c Custom) id(word string) (pdu.CommandID, *Problem) {
	if id, ok := c.named(word); ok {
		return id, nil
	}
	if !IsNumeric(word) {
		remedy := "write its name as in docs/protocol.md, or its id, such as 0x0301"
		if strings.HasPrefix(word, "CID_") {
			remedy = "is it a custom one, which [commands] of the configuration names? Otherwise " + remedy
		}
		return 0, &Problem{fmt.Sprintf("unknown command %q", word), suggest.Hint(word, c.names(), remedy)}
	}
	id, remedy := ParseID(word)
	if remedy != "" {
		return 0, &Problem{fmt.Sprintf("%q is not a command id", word), remedy}
	}
	return pdu.CommandID(id), nil
}

// named returns the command of that name.
func (c Custom) named(word string) (pdu.CommandID, bool) {
	if id, ok := ids[word]; ok {
		return id, true
	}
	for _, one := range c {
		if one.Name == word {
			return one.ID, true
		}
	}
	return 0, false
}

func (c Custom) names() []string {
	all := slices.Clone(names)
	for _, one := range c {
		all = append(all, one.Name)
	}
	return all
}

// names and ids are those of the protocol.
var names, ids = func() (names []string, ids map[string]pdu.CommandID) {
	ids = map[string]pdu.CommandID{}
	for _, c := range pdu.Commands {
		names = append(names, c.Name)
		ids[c.Name] = c.ID
	}
	return names, ids
}()
