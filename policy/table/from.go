package table

import (
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/command"
)

// A section [from.NAME] has rules for what peers of that group send, and [from.master] for what the
// peers send that declared themselves master. They come before all other rules:
//
//	[from.admin]                                      a PDU of a peer in admin and in guests
//	CID_OTHER_SERVER_KICK_USER = "broadcast-all"        1. the rules of [from.admin]
//	[from.guests]                                       2. those of [from.guests]
//	CID_MSG_DATA = "drop, log"                          3. [service.X] and [route]
//
// In each section the most specific rule decides: a command, the narrowest range, else. If none
// matches, the next section may.

// A fromSection is the rules of one [from.NAME].
type fromSection struct {
	name      string // of the group, or policy.MasterGroup
	commands  map[pdu.CommandID]rule
	ranges    []span // narrower ones first
	otherwise rule   // its Line is 0 if none is written

	commandsAt map[pdu.CommandID]toml.Key
}

// A Sender is what a table may know of the sender of a PDU.
type Sender struct {
	Master bool
	Groups []string
}

// is reports whether the section is about that sender.
func (f *fromSection) is(s Sender) bool {
	if f.name == policy.MasterGroup {
		return s.Master
	}
	return slices.Contains(s.Groups, f.name)
}

// rule returns the rule of the section for a command, and whether there is one.
func (f *fromSection) rule(c pdu.CommandID) (rule, bool) {
	if r, ok := f.commands[c]; ok {
		return r, true
	}
	for _, r := range f.ranges {
		if r.lo <= c && c <= r.hi {
			return r.rule, true
		}
	}
	return f.otherwise, f.otherwise.at.Line > 0
}

// condition returns what holds for the senders of the section, as a case spells it.
func (f *fromSection) condition() string { return "from " + f.name }

// depends reports whether the rule for a command depends on the sender.
func (t *Table) depends(c pdu.CommandID) bool {
	return slices.ContainsFunc(t.from, func(f *fromSection) bool {
		_, has := f.rule(c)
		return has
	})
}

// fromKey handles a key below from by its depth.
func (p *parser) fromKey(key toml.Key) {
	_, isSection := p.value(key).(map[string]any)
	switch {
	case len(key) < 3 && !isSection:
		p.faultAt(key, fmt.Sprintf("%s is not a section", key), "write the header [from.GROUP], rules below it")
	case len(key) == 1:
	case len(key) == 2:
		p.fromHeader(key)
	default:
		p.fromRule(key)
	}
}

// fromHeader reads the header of a section.
func (p *parser) fromHeader(key toml.Key) {
	if name := key[1]; name != policy.MasterGroup {
		problem := policy.GroupProblem(policy.CheckGroupName(name))
		if problem == nil {
			_, problem = p.numbers.number(name)
		}
		if problem != nil {
			p.faultAt(key, problem.What, problem.Remedy)
		}
	}
	p.table.from = append(p.table.from, &fromSection{name: key[1], commands: map[pdu.CommandID]rule{}, commandsAt: map[pdu.CommandID]toml.Key{}})
}

// fromRule reads one rule of a section, whose header fromHeader has read.
func (p *parser) fromRule(key toml.Key) {
	p.rules++
	f := p.table.from[slices.IndexFunc(p.table.from, func(f *fromSection) bool { return f.name == key[1] })]
	word := key[2]
	if _, isSection := p.value(key).(map[string]any); isSection {
		p.faultAt(key, fmt.Sprintf("the rule %s of [from.%s] is a section", word, f.name), "write one verdict; cases are for [route] and [service.SERVICE]")
		return
	}
	if word == keyElse {
		if v, ok := p.verdict(key, ""); ok {
			f.otherwise = p.written(key, v)
		}
		return
	}
	if from, to, ok := command.Cut(word); ok {
		if r, ok := p.span(key, from, to); ok {
			f.ranges = append(f.ranges, r)
		}
		return
	}
	id, known := p.command(key, word)
	if !known {
		p.actionOfUnknown(key)
		return
	}
	if v, ok := p.verdict(key, p.messageOf(id)); ok {
		f.commands[id] = p.written(key, v)
	}
	if first, twice := f.commandsAt[id]; twice {
		p.twice(key, first)
		return
	}
	f.commandsAt[id] = key
}

// nestFrom sorts the ranges of all sections, and notes those that overlap.
func (p *parser) nestFrom() {
	for _, f := range p.table.from {
		var clashes [][2]span
		f.ranges, clashes = nest(f.ranges)
		p.clashes(clashes)
	}
}

// extendFrom adds the sections and rules of b for which the table has none of its own. Sections that
// only b has come last.
func (p *parser) extendFrom(b *Table) {
	t := &p.table
	for _, base := range b.from {
		i := slices.IndexFunc(t.from, func(f *fromSection) bool { return f.name == base.name })
		if i < 0 {
			t.from = append(t.from, base)
			continue
		}
		f := t.from[i]
		missing(f.commands, base.commands)
		if f.otherwise.at.Line == 0 {
			f.otherwise = base.otherwise
		}
		f.ranges = withMissing(f.ranges, base.ranges)
		var clashes [][2]span
		f.ranges, clashes = nest(f.ranges)
		p.clashes(slices.DeleteFunc(clashes, p.isOwn))
	}
}
