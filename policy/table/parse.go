package table

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/command"
	"switchyard/policy/suggest"
)

// The names of the two sections, and of the rule for all other commands.
const (
	sectionRoute   = "route"
	sectionService = "service"
	keyElse        = "else"
)

// A parser turns the keys of a source into a Table. It keeps the key of each rule, for the
// errors about rules that repeat or overlap it.
type parser struct {
	source
	table Table

	pairsAt    map[pair]toml.Key
	commandsAt map[pdu.CommandID]toml.Key
	servicesAt map[pdu.ServiceID]toml.Key
	rangesAt   []placedSpan
	rules      int
}

type placedSpan struct {
	span
	at toml.Key
}

// Parse reads a table. name is the table's name in errors. An error is of type
// tomlpos.Errors and has every fault.
func Parse(name string, src []byte) (*Table, error) {
	p := &parser{
		source: source{name: name},
		table: Table{
			pairs:     map[pair]policy.Verdict{},
			commands:  map[pdu.CommandID]policy.Verdict{},
			services:  map[pdu.ServiceID]policy.Verdict{},
			otherwise: Otherwise,
		},
		pairsAt:    map[pair]toml.Key{},
		commandsAt: map[pdu.CommandID]toml.Key{},
		servicesAt: map[pdu.ServiceID]toml.Key{},
	}
	if p.decode(src) {
		p.keys()
		p.nest()
	}
	if len(p.faults) > 0 {
		p.faults.Sort()
		return nil, p.faults
	}
	return &p.table, nil
}

// keys reads every section and rule in the order of the text.
func (p *parser) keys() {
	if p.isForeign() {
		p.fault(p.doc.Keys[0].Line, "neither [route] nor [service.SERVICE] is there: this is no routing table", writeRules)
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
	case p.rules == 0 && len(p.faults) == 0:
		p.fault(1, "the table has no rule", `write at least [route] and else = "drop, log"`)
	}
}

// significant cuts off what stands below a rule or an unknown section, which has one fault:
//
//	route.CID_X.y               route.CID_X           a rule that is no string
//	service.SID_FILE.CID_X.y    service.SID_FILE.CID_X
//	routes.CID_X                routes                an unknown section
func (p *parser) significant(key toml.Key) toml.Key {
	depth := 1
	switch key[0] {
	case sectionRoute:
		depth = 2
	case sectionService:
		depth = 3
	}
	return key[:min(depth, len(key))]
}

// key handles a key by its depth: a section, a rule of [route], a service, a rule of a service.
func (p *parser) key(key toml.Key) {
	_, isSection := p.value(key).(map[string]any)
	switch {
	case key[0] != sectionRoute && key[0] != sectionService:
		p.unknownSection(key)
	case len(key) == 1 && !isSection:
		p.faultAt(key, fmt.Sprintf("%s is not a section", key), fmt.Sprintf("write the header %s once, rules below it", header(key[0])))
	case len(key) == 1:
	case key[0] == sectionRoute:
		p.rule(key)
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
		p.faultAt(key, fmt.Sprintf("%s stands outside of a section", key), "write it below [route] or [service.SERVICE]")
		return
	}
	p.faultAt(key, fmt.Sprintf("unknown section %q", key[0]),
		suggest.Hint(key[0], []string{sectionRoute, sectionService}, "the sections are [route] and [service.SERVICE]"))
}

// rule reads one rule of [route].
func (p *parser) rule(key toml.Key) {
	p.rules++
	word := key[1]
	if word == keyElse {
		if v, ok := p.verdict(key, ""); ok {
			p.table.otherwise = v
		}
		return
	}
	if from, to, ok := command.Cut(word); ok {
		p.rangeRule(key, from, to)
		return
	}
	id, known := p.command(key, word)
	if !known {
		p.verdict(key, anyMessage)
		return
	}
	if v, ok := p.verdict(key, messageOf(id)); ok {
		p.table.commands[id] = v
	}
	if first, ok := p.commandsAt[id]; ok {
		p.twice(key, first)
		return
	}
	p.commandsAt[id] = key
}

func (p *parser) rangeRule(key toml.Key, from, to string) {
	r, problems := command.Between(from, to)
	for _, problem := range problems {
		p.problem(key, problem)
	}
	if v, ok := p.verdict(key, ""); ok && problems == nil {
		p.rangesAt = append(p.rangesAt, placedSpan{span{r.Lo, r.Hi, v}, key})
	}
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
		if v, ok := p.verdict(key, ""); ok && known {
			p.table.services[service] = v
		}
		return
	}
	if _, _, ok := command.Cut(word); ok {
		p.faultAt(key, fmt.Sprintf("a range, %s, stands below a service", word), "write its commands one by one, or the range below [route]")
		return
	}
	id, ok := p.command(key, word)
	if !ok {
		p.verdict(key, anyMessage)
		return
	}
	v, ok := p.verdict(key, messageOf(id))
	at := pair{service, id}
	if first, twice := p.pairsAt[at]; known && twice {
		p.twice(key, first)
	} else if ok && known {
		p.table.pairs[at] = v
	}
	p.pairsAt[at] = key
}

// twice notes a rule or section for the same ids as an earlier one.
func (p *parser) twice(key, first toml.Key) {
	if len(p.faults) >= maxFaults {
		return
	}
	p.faultAt(key, fmt.Sprintf("%s names the same as %s on line %d", key[len(key)-1], first[len(first)-1], p.line(first)), "keep one")
}

// nest orders the ranges, narrower ones first, and refuses two ranges that overlap without
// one being inside the other. It visits them by their first command, wider ones first, with
// a stack of the ranges that are still open:
//
//	0x0100 ├───────────────────────┤ 0x01ff     open: a
//	0x0110    ├────────┤ 0x0120                 open: a, b     b is inside a
//	0x0120             ├────────┤ 0x0130        clash: begins in b and ends behind it
func (p *parser) nest() {
	ranges := p.rangesAt
	slices.SortStableFunc(ranges, func(a, b placedSpan) int {
		return cmp.Or(cmp.Compare(a.lo, b.lo), cmp.Compare(b.hi, a.hi))
	})
	var around []placedSpan // the open ranges, widest first
	for _, r := range ranges {
		for len(around) > 0 && around[len(around)-1].hi < r.lo {
			around = around[:len(around)-1]
		}
		if n := len(around); n > 0 && (r.hi > around[n-1].hi || r.lo == around[n-1].lo && r.hi == around[n-1].hi) {
			p.clash(around[n-1], r)
		}
		around = append(around, r)
		p.table.ranges = append(p.table.ranges, r.span)
	}
	slices.SortStableFunc(p.table.ranges, func(a, b span) int {
		return cmp.Compare(a.hi-a.lo, b.hi-b.lo)
	})
}

func (p *parser) clash(a, b placedSpan) {
	if len(p.faults) >= maxFaults {
		return
	}
	if p.line(a.at) > p.line(b.at) {
		a, b = b, a
	}
	if a.lo == b.lo && a.hi == b.hi {
		p.twice(b.at, a.at)
		return
	}
	p.faultAt(b.at, fmt.Sprintf("the range %s overlaps %s on line %d, and neither holds the other", b.at[1], a.at[1], p.line(a.at)),
		"part them, or put one inside the other")
}
