package schema

import (
	"cmp"
	"fmt"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/table"
)

// Ids as tables write them: 0x0301 or 769.
const number = `(0x[0-9A-Fa-f]+|0|[1-9][0-9]*)`

// Table returns the schema of a routing table. It cannot express which fields a command has, which
// flags have no effect, and that two rules are for the same PDU.
func Table() []byte {
	root := newTable("Who receives which command. The most specific rule applies, whatever its position.")
	root.Schema, root.Title, root.Least = draft, "A routing table of Switchyard", 1
	root.Properties["extends"] = &node{
		Type: "string", Pattern: table.BasePattern,
		Description: `The table that this one extends: a shipped one, such as "teamtalk", or a file in the table's folder or below it. This table then has only the rules that differ.`,
	}
	route := rules("Rules for every service.", rule)
	route.Patterns[`^(`+number+`|[A-Za-z_][A-Za-z0-9_]*)-`] = reference("verdict", "A range of commands, both ends included.")
	root.Properties["route"] = route
	services := newTable("Rules for single services, which are more specific than those below [route].")
	for id := pdu.SID_LOGIN; id <= pdu.SID_INTERNAL; id++ {
		services.Properties[id.String()] = reference("service", fmt.Sprintf("The service %#04x.", uint16(id)))
	}
	services.Patterns[`^`+number+`$`] = reference("service", "The service with that id.")
	root.Properties["service"] = services
	from := newTable("What the peers of a group send: rules that come before all others, in the order of the sections. The configuration says who is in a group; master stands for the peers that declared themselves master.")
	from.Patterns[`^[a-z0-9-]{1,40}$`] = senders(route)
	root.Properties["from"] = from
	root.Definitions = map[string]*node{
		"verdict": verdict(),
		"rule":    rule("An action and, after commas, flags; or cases, of which the first one that holds decides."),
		"service": rules("Rules for one service.", func(description string) *node { return reference("rule", description) }),
	}
	return root.text()
}

// reference returns a definition. Its own description is for editors that show one beside $ref. With
// $ref in an allOf, taplo 0.9 would never end.
func reference(name, description string) *node {
	return &node{Description: description, Ref: "#/definitions/" + name}
}

// rules returns a table of rules for single commands, each made by one, and else.
func rules(description string, one func(description string) *node) *node {
	n := newTable(description)
	n.Properties["else"] = reference("verdict", "The rule for all other commands.")
	for _, c := range pdu.KnownCommands() {
		n.Properties[c.Name] = one(describe(c))
	}
	n.Patterns[`^`+number+`$`] = one("The command with that id.")
	return n
}

// senders returns a section of rules for what some peers send: those of route, without cases.
func senders(route *node) *node {
	n := newTable("What the peers of that group send.")
	for name, one := range route.Properties {
		n.Properties[name] = reference("verdict", one.Description)
	}
	for pattern, one := range route.Patterns {
		n.Patterns[pattern] = reference("verdict", one.Description)
	}
	return n
}

// describe says what a rule of the command can be about.
func describe(c pdu.Command) string {
	text := fmt.Sprintf("%#04x, %s.", uint16(c.ID), cmp.Or(c.Message, "without a known message"))
	if fields := table.UserFields(c.ID); len(fields) > 0 {
		text += " Fields for unicast fields: " + strings.Join(fields, ", ") + "."
	}
	if fields := table.NumericFields(c.ID); len(fields) > 0 {
		text += " Fields for cases: " + strings.Join(fields, ", ") + "."
	}
	return text
}

// verdict returns the text of a verdict. Its examples are what an editor offers, one of each kind.
func verdict() *node {
	n := &node{Type: "string", Pattern: policy.RulePattern(), Description: "An action and, after commas, flags."}
	for a, name := range policy.Actions {
		switch policy.Action(a) {
		case policy.Handle:
			for _, h := range policy.Handlers[1:] {
				n.Examples = append(n.Examples, name+" "+h)
			}
		case policy.Unicast:
			n.Examples = append(n.Examples, "unicast sender", "unicast master", "unicast fields to_user_id, not-sender, else-broadcast", "unicast group archive")
		default:
			n.Examples = append(n.Examples, name)
		}
	}
	n.Examples = append(n.Examples, "broadcast-except-sender, also group archive")
	return n
}

// rule returns the rule of one command: a verdict, or a table of cases. A keyword about one of the
// two does not count for the other, so there is one message for a mistake, unlike with anyOf.
func rule(description string) *node {
	n := newTable(description)
	n.Type, n.Pattern = []string{"string", "object"}, policy.RulePattern()
	n.Required, n.Least, n.Most = []string{"else"}, 2, 1+table.MaxCases
	n.Default = table.Otherwise.String() // which editors write behind a completed command
	n.Properties["else"] = reference("verdict", "What happens if no case holds, or the body cannot be inspected. It comes last.")
	n.Patterns[table.ConditionPattern()] = reference("verdict", `What happens if the condition holds, such as "msg_type = 1-2".`)
	return n
}
