package table

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"switchyard/pdu"
)

// Text returns the table as one text, with the rules of those that it extends and without extends.
// Equal tables have equal texts, on every machine, and the text is a table with the same module.
// A comment says where each rule comes from:
//
//	[route]
//	CID_MSG_DATA = "broadcast-all"  # line 4
//	CID_OTHER_HEARTBEAT = "consume"  # teamtalk:9
//
// Custom commands of the configuration are written by their ids, and their fields by number, so that the
// text means the same without it.
//
// The text is what a signature of such a table signs, and what is kept of it. So it has to stay
// the same from one version of Switchyard to the next.
func (t *Table) Text() []byte {
	var b strings.Builder
	b.WriteString("# A routing table and what it extends, written out as one by Switchyard.\n\n[route]\n")
	t.writeSet(&b, &t.ruleSet)
	t.write(&b, &t.otherwise, keyElse)
	for _, id := range slices.Sorted(maps.Keys(t.commands)) {
		t.writeCases(&b, t.commands[id], fmt.Sprintf("%s.%s", sectionRoute, idOf(id)), id.IsCustom())
	}
	for _, service := range t.named() {
		fmt.Fprintf(&b, "\n[service.%v]\n", service)
		for _, p := range t.pairsOf(service) {
			t.write(&b, t.pairs[p], idOf(p.command))
		}
		if r, ok := t.services[service]; ok {
			t.write(&b, r, keyElse)
		}
		for _, p := range t.pairsOf(service) {
			t.writeCases(&b, t.pairs[p], fmt.Sprintf("%s.%v.%s", sectionService, service, idOf(p.command)), p.command.IsCustom())
		}
	}
	for _, f := range t.from {
		fmt.Fprintf(&b, "\n[%s.%s]\n", sectionFrom, f.name)
		t.writeSet(&b, &f.ruleSet)
		if f.otherwise.at.Line > 0 {
			t.write(&b, &f.otherwise, keyElse)
		}
	}
	return []byte(b.String())
}

// writeSet writes the lines of a set except for cases and else.
func (t *Table) writeSet(b *strings.Builder, s *ruleSet) {
	for _, id := range slices.Sorted(maps.Keys(s.commands)) {
		t.write(b, s.commands[id], idOf(id))
	}
	for _, r := range s.inOrder() {
		t.write(b, &r.rule, fmt.Sprintf("0x%04x-0x%04x", uint16(r.lo), uint16(r.hi)))
	}
}

// write writes the line of a rule without cases.
func (t *Table) write(b *strings.Builder, r *rule, key string) {
	if len(r.cases) == 0 {
		t.writeLine(b, key, r.decision)
	}
}

// writeCases writes the section of a rule with cases; by numbers alone if it is for a custom command.
func (t *Table) writeCases(b *strings.Builder, r *rule, section string, custom bool) {
	if len(r.cases) == 0 {
		return
	}
	fmt.Fprintf(b, "\n[%s]\n", section)
	for _, c := range r.cases {
		when := c.when.String()
		if custom {
			when = c.when.numbers()
		}
		t.writeLine(b, fmt.Sprintf("%q", when), c.decision)
	}
	t.writeLine(b, keyElse, r.decision)
}

func (t *Table) writeLine(b *strings.Builder, key string, d decision) {
	fmt.Fprintf(b, "%s = %q", key, d.spell(t.groups))
	if d.at != (Place{}) {
		fmt.Fprintf(b, "  # %v", d.at)
	}
	b.WriteByte('\n')
}

// String returns the place in one word or two: line 4, or base.toml:4.
func (p Place) String() string {
	if p.File == "" {
		return fmt.Sprintf("line %d", p.Line)
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// named returns the services that have rules of their own, in order.
func (t *Table) named() []pdu.ServiceID {
	services := maps.Clone(t.services)
	for p := range t.pairs {
		services[p.service] = nil
	}
	return slices.Sorted(maps.Keys(services))
}

// pairsOf returns the pairs of a service that have a rule, in order.
func (t *Table) pairsOf(service pdu.ServiceID) (pairs []pair) {
	for p := range t.pairs {
		if p.service == service {
			pairs = append(pairs, p)
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.command, b.command) })
	return pairs
}

// rules returns how many rules its text has: also an else that no table wrote, and those of cases
// with their else.
func (t *Table) rules() int {
	n := len(t.decisions())
	if t.otherwise.at.Line == 0 {
		n++
	}
	return n + len(t.conditional())
}
