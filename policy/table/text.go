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
// Own commands of the configuration are written by their ids, and their fields by number, so that the
// text means the same without it.
//
// The text is what a signature of such a table signs, and what is kept of it. So it has to stay
// the same from one version of Switchyard to the next.
func (t *Table) Text() []byte {
	var b strings.Builder
	b.WriteString("# A routing table and what it extends, written out as one by Switchyard.\n\n[route]\n")
	for _, id := range slices.Sorted(maps.Keys(t.commands)) {
		t.commands[id].write(&b, idOf(id))
	}
	byPlace := slices.Clone(t.ranges)
	slices.SortFunc(byPlace, compareSpans)
	for _, r := range byPlace {
		r.write(&b, fmt.Sprintf("0x%04x-0x%04x", uint16(r.lo), uint16(r.hi)))
	}
	t.otherwise.write(&b, keyElse)
	for _, id := range slices.Sorted(maps.Keys(t.commands)) {
		t.commands[id].writeCases(&b, fmt.Sprintf("%s.%s", sectionRoute, idOf(id)), id.IsOwn())
	}
	for _, service := range t.named() {
		fmt.Fprintf(&b, "\n[service.%v]\n", service)
		for _, p := range t.pairsOf(service) {
			t.pairs[p].write(&b, idOf(p.command))
		}
		if r, ok := t.services[service]; ok {
			r.write(&b, keyElse)
		}
		for _, p := range t.pairsOf(service) {
			t.pairs[p].writeCases(&b, fmt.Sprintf("%s.%v.%s", sectionService, service, idOf(p.command)), p.command.IsOwn())
		}
	}
	return []byte(b.String())
}

// write writes the line of a rule without cases.
func (r rule) write(b *strings.Builder, key string) {
	if len(r.cases) == 0 {
		writeLine(b, key, r.decision, r.at)
	}
}

// writeCases writes the section of a rule with cases; by numbers alone if it is for an own command.
func (r rule) writeCases(b *strings.Builder, section string, own bool) {
	if len(r.cases) == 0 {
		return
	}
	fmt.Fprintf(b, "\n[%s]\n", section)
	for _, c := range r.cases {
		when := c.when.String()
		if own {
			when = c.when.numbers()
		}
		writeLine(b, fmt.Sprintf("%q", when), c.decision, c.at)
	}
	writeLine(b, keyElse, r.decision, r.at)
}

func writeLine(b *strings.Builder, key string, d decision, at Place) {
	fmt.Fprintf(b, "%s = %q", key, d.String())
	if at != (Place{}) {
		fmt.Fprintf(b, "  # %v", at)
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
		services[p.service] = rule{}
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

// rules returns how many rules its text has: also an else that no table wrote.
func (t *Table) rules() int {
	n := len(t.pairs) + len(t.commands) + len(t.ranges) + len(t.services) + 1
	for _, r := range t.conditional() {
		n += len(r.cases) + 1 // and their else
	}
	return n
}
