package table

import (
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy"
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
	name string // of the group, or policy.MasterGroup
	ruleSet
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

// rule returns the rule of the section for a command, or nil if it has none.
func (f *fromSection) rule(c pdu.CommandID) *rule {
	if r := f.find(c); r != nil || f.otherwise.at.Line == 0 {
		return r
	}
	return &f.otherwise
}

// condition returns what holds for the senders of the section, as a case spells it.
func (f *fromSection) condition() string { return "from " + f.name }

// depends reports whether the rule for a command depends on the sender.
func (t *Table) depends(c pdu.CommandID) bool {
	return slices.ContainsFunc(t.from, func(f *fromSection) bool { return f.rule(c) != nil })
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
	p.table.from = append(p.table.from, &fromSection{key[1], newRuleSet()})
}

// fromRule reads one rule of a section, whose header fromHeader has read.
func (p *parser) fromRule(key toml.Key) {
	if _, isSection := p.value(key).(map[string]any); isSection {
		p.faultAt(key, fmt.Sprintf("the rule %s of [from.%s] is a section", key[2], key[1]), "write one verdict; cases are for [route] and [service.SERVICE]")
		return
	}
	i := slices.IndexFunc(p.table.from, func(f *fromSection) bool { return f.name == key[1] })
	p.rule(&p.table.from[i].ruleSet, key)
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
		p.extendSet(&t.from[i].ruleSet, &base.ruleSet)
	}
}
