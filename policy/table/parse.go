package table

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy/command"
	"switchyard/policy/suggest"
)

// The names of the sections, of the rule for all other commands, and of the key for the table
// that is extended.
const (
	sectionRoute   = "route"
	sectionService = "service"
	sectionFrom    = "from"
	keyElse        = "else"
	keyExtends     = "extends"
)

// Which method reads which key:
//
//	extends = "teamtalk"               extends
//	[route]                            nothing to read
//	CID_MSG_DATA = "drop"              rule, with the set of [route]
//	[route.CID_MSG_DATA]               rule; cases reads the rows below it
//	[service.SID_FILE]                 service
//	CID_FILE_NOTIFY = "drop"           ruleOfService
//	[from.admin]                       fromHeader
//	CID_MSG_DATA = "drop"              fromRule, which calls rule with the set of that section
//
// A faulty rule is noted and left out, so that one reading finds all faults.

// A parser turns the keys of a source into a Table. It keeps the key of each rule, for the
// errors about rules that repeat or overlap it.
type parser struct {
	source
	file  string // the table's name in places
	alone bool   // it must mean the same whatever the configuration names
	table Table
	base  *base // nil if the table extends no other

	numbers *numbering // of the groups, shared with the tables that extend one another

	pairsAt    map[pair]toml.Key
	servicesAt map[pdu.ServiceID]toml.Key
	rules      int
}

// Parse reads a table that extends no other. name is the table's name in errors. An error is of
// type tomlpos.Errors and has every fault.
func Parse(name string, src []byte) (*Table, error) {
	return Extend(name, src, nil)
}

// newParser returns a parser of a table. name is its name in errors, file that in places.
func newParser(name, file string, n *numbering) *parser {
	p := &parser{
		numbers:    n,
		file:       file,
		source:     source{name: name},
		table:      Table{ruleSet: newRuleSet(), pairs: map[pair]*rule{}, services: map[pdu.ServiceID]*rule{}},
		pairsAt:    map[pair]toml.Key{},
		servicesAt: map[pdu.ServiceID]toml.Key{},
	}
	p.table.otherwise.verdict = Otherwise
	return p
}

// read reads the rules of the text, without those of a table that it extends.
func (p *parser) read(src []byte) {
	if !p.decode(src) {
		return
	}
	p.keys()
	none := func([2]span) bool { return false }
	p.nest(&p.table.ruleSet, none)
	for _, f := range p.table.from {
		p.nest(&f.ruleSet, none)
	}
}

// keys reads every section and rule in the order of the text.
func (p *parser) keys() {
	if p.isForeign() {
		p.fault(p.doc.Keys[0].Line, "neither [route], [service.SERVICE] nor [from.GROUP] is there: this is not a routing table", writeRules)
		return
	}
	seen := map[string]bool{}
	for _, k := range p.doc.Keys {
		if len(p.faults) >= maxFaults {
			p.fault(k.Line, fmt.Sprintf("more than %d faults", maxFaults), "correct these first")
			return
		}
		key := p.significant(k.Name)
		for n := 1; n <= len(key); n++ { // a dotted key opens sections without a header
			above := key[:n]
			if text := above.String(); !seen[text] {
				seen[text] = true
				p.key(above)
			}
			if _, isSection := p.value(above).(map[string]any); !isSection {
				break
			}
		}
	}
	switch {
	case p.rules > MaxRules:
		p.tooLarge(1, fmt.Sprintf("the table has %d rules", p.rules))
	case p.rules == 0 && p.base == nil && len(p.faults) == 0:
		p.fault(1, "the table has no rule", `write at least [route] and else = "drop, log"`)
	}
}

// significant cuts off what is below a rule, which reads its cases itself, or below an unknown
// section, which has one fault:
//
//	route.CID_X.y               route.CID_X           a rule with cases
//	service.SID_FILE.CID_X.y    service.SID_FILE.CID_X
//	routes.CID_X                routes                an unknown section
func (p *parser) significant(key toml.Key) toml.Key {
	depth := 1
	switch key[0] {
	case sectionRoute:
		depth = 2
	case sectionService, sectionFrom:
		depth = 3
	}
	return key[:min(depth, len(key))]
}

// key handles a key by its depth: a section, a rule of [route], a service, a rule of a service.
func (p *parser) key(key toml.Key) {
	_, isSection := p.value(key).(map[string]any)
	switch {
	case key[0] == keyExtends:
		p.extends(key)
	case key[0] == sectionFrom:
		p.fromKey(key)
	case key[0] != sectionRoute && key[0] != sectionService:
		p.unknownSection(key)
	case len(key) == 1 && !isSection:
		p.faultAt(key, fmt.Sprintf("%s is not a section", key), fmt.Sprintf("write the header %s once, rules below it", header(key[0])))
	case len(key) == 1:
	case key[0] == sectionRoute:
		p.rule(&p.table.ruleSet, key)
	case len(key) == 2 && !isSection:
		p.faultAt(key, fmt.Sprintf("%s is not a section", key), fmt.Sprintf(`write [%s] and below it else = "ACTION"`, key))
	case len(key) == 2:
		p.service(key)
	default:
		p.ruleOfService(key)
	}
}

func header(section string) string {
	if section == sectionRoute {
		return "[route]"
	}
	return "[service.SERVICE]"
}

func (p *parser) unknownSection(key toml.Key) {
	if _, ok := p.value(key).(map[string]any); !ok {
		p.faultAt(key, fmt.Sprintf("%s is outside of a section", key),
			suggest.Hint(key[0], []string{keyExtends}, "write it below [route], [service.SERVICE] or [from.GROUP]"))
		return
	}
	p.faultAt(key, fmt.Sprintf("unknown section %q", key[0]),
		suggest.Hint(key[0], []string{sectionRoute, sectionService, sectionFrom}, "the sections are [route], [service.SERVICE] and [from.GROUP]"))
}

// rule reads one rule into a set. The last name of its key is a command, a range or else.
func (p *parser) rule(s *ruleSet, key toml.Key) {
	p.rules++
	word := key[len(key)-1]
	if word == keyElse {
		if d, ok := p.verdict(key, ""); ok {
			s.otherwise = rule{decision: d}
		}
		return
	}
	if from, to, ok := command.Cut(word); ok {
		if r, ok := p.span(key, from, to); ok {
			s.ranges = append(s.ranges, r)
		}
		return
	}
	id, known := p.command(key, word)
	if !known {
		p.actionOfUnknown(key)
		return
	}
	if r, ok := p.ruleOf(key, p.messageOf(id)); ok {
		s.commands[id] = r
	}
	if first, ok := s.keys[id]; ok {
		p.twice(key, first)
		return
	}
	s.keys[id] = key
}

// actionOfUnknown notes what is wrong with the action of an unknown command. A section of cases has
// none, and neither has an extends that is below a section.
func (p *parser) actionOfUnknown(key toml.Key) {
	if _, isSection := p.value(key).(map[string]any); !isSection && key[len(key)-1] != keyExtends {
		p.verdict(key, anyMessage)
	}
}

// span reads the rule for a range, which is the last name of the key.
func (p *parser) span(key toml.Key, from, to string) (span, bool) {
	r, problems := command.Between(from, to)
	for _, end := range [...]string{from, to} {
		if problem := p.customName(end); problem != nil {
			problems = append(problems, problem)
		}
	}
	for _, problem := range problems {
		p.problem(key, problem)
	}
	d, ok := p.verdict(key, "")
	return span{lo: r.Lo, hi: r.Hi, word: key[len(key)-1], rule: rule{decision: d}}, ok && problems == nil
}

// ruleOf reads the rule of one command, whose message is given.
func (p *parser) ruleOf(key toml.Key, message string) (*rule, bool) {
	if _, isSection := p.value(key).(map[string]any); isSection {
		return p.cases(key, message)
	}
	d, ok := p.verdict(key, message)
	return &rule{decision: d}, ok
}

// service reads the header of one service.
func (p *parser) service(key toml.Key) {
	id, problem := command.Service(key[1])
	if problem != nil {
		p.faultAt(key, problem.What, problem.Remedy)
		return
	}
	if first, ok := p.servicesAt[id]; ok {
		p.twice(key, first)
		return
	}
	p.servicesAt[id] = key
}

// ruleOfService reads one rule of a service.
func (p *parser) ruleOfService(key toml.Key) {
	p.rules++
	service, problem := command.Service(key[1])
	known := problem == nil
	word := key[2]
	if word == keyElse {
		if d, ok := p.verdict(key, ""); ok && known {
			p.table.services[service] = &rule{decision: d}
		}
		return
	}
	if _, _, ok := command.Cut(word); ok {
		p.faultAt(key, fmt.Sprintf("a range, %s, is below a service", word), "write its commands one by one, or the range below [route]")
		return
	}
	id, ok := p.command(key, word)
	if !ok {
		p.actionOfUnknown(key)
		return
	}
	r, ok := p.ruleOf(key, p.messageOf(id))
	at := pair{service, id}
	if first, twice := p.pairsAt[at]; known && twice {
		p.twice(key, first)
	} else if ok && known {
		p.table.pairs[at] = r
	}
	p.pairsAt[at] = key
}

// twice notes a rule or section for the same ids as an earlier one, such as 0x0301 behind CID_MSG_DATA.
// The decoder notices only keys that are written the same.
func (p *parser) twice(key, first toml.Key) {
	if len(p.faults) >= maxFaults {
		return
	}
	p.faultAt(key, fmt.Sprintf("%s names the same as %s on line %d", key[len(key)-1], first[len(first)-1], p.line(first)), "keep one")
}

// nest sorts the ranges of a set as Table has them, and notes those that overlap, unless they were
// noted before.
func (p *parser) nest(s *ruleSet, noted func([2]span) bool) {
	var clashes [][2]span
	s.ranges, clashes = nest(s.ranges)
	p.clashes(slices.DeleteFunc(clashes, noted))
}

// nest returns the ranges, narrower ones first, and the pairs that overlap without one being
// inside the other. It visits them by their first command, wider ones first, with a stack of the
// ranges that are still open:
//
//	0x0100 ├───────────────────────┤ 0x01ff     open: a
//	0x0110    ├────────┤ 0x0120                 open: a, b     b is inside a
//	0x0120             ├────────┤ 0x0130        clash: begins in b and ends behind it
func nest(ranges []span) (nested []span, clashes [][2]span) {
	nested = slices.Clone(ranges)
	slices.SortStableFunc(nested, compareSpans)
	var around []span // the open ranges, widest first
	for _, r := range nested {
		for len(around) > 0 && around[len(around)-1].hi < r.lo {
			around = around[:len(around)-1]
		}
		if n := len(around); n > 0 && (r.hi > around[n-1].hi || r.lo == around[n-1].lo && r.hi == around[n-1].hi) {
			clashes = append(clashes, [2]span{around[n-1], r})
		}
		around = append(around, r)
	}
	slices.SortStableFunc(nested, func(a, b span) int {
		return cmp.Compare(a.hi-a.lo, b.hi-b.lo)
	})
	return nested, clashes
}

// clashes notes the pairs of ranges that overlap, on the line of the later one. One of them may be
// of a table that this one extends.
func (p *parser) clashes(all [][2]span) {
	for _, pair := range all {
		a, b := pair[0], pair[1]
		if b.at.File != p.file || a.at.File == p.file && a.at.Line > b.at.Line {
			a, b = b, a
		}
		if len(p.faults) >= maxFaults {
			return
		}
		if a.lo == b.lo && a.hi == b.hi {
			p.fault(b.at.Line, fmt.Sprintf("%s names the same as %s on line %d", b.word, a.word, a.at.Line), "keep one")
			continue
		}
		on := fmt.Sprintf("line %d", a.at.Line)
		if a.at.File != p.file {
			on = fmt.Sprintf("line %d of %s", a.at.Line, a.at.File)
		}
		p.fault(b.at.Line, fmt.Sprintf("the range %s overlaps %s on %s, and neither holds the other", b.word, a.word, on),
			"part them, or put one inside the other")
	}
}
