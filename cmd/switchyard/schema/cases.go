package schema

import (
	"fmt"
	"math"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/cases"
	"switchyard/proxy/config"
)

// Cases returns the schema of a file of test cases. It cannot express which fields the body of a command
// has, which peers there are, and that a body is written once.
func Cases() []byte {
	root := newTable("Test cases of a policy, for 'switchyard policy test'.")
	root.Schema, root.Title, root.Required = draft, "Test cases of a policy of Switchyard", []string{"case"}
	root.Properties["peers"] = peers("The peers of every case, by name. Sessions are numbered from 1 in this order.")
	one := describedTable("One PDU, and what should become of it.", cases.CaseKeys, caseKeys())
	one.Required = []string{"from", "command", "expect"}
	root.Properties["case"] = &node{Type: "array", Items: one}
	root.Definitions = map[string]*node{"command": idOf("A command: a name or an id.", commandNames())}
	return root.text()
}

// describedTable returns a table with these keys. A key without a node is a fault of this package,
// which its tests find: so no key of the parser is forgotten here.
func describedTable(description string, keys []string, nodes map[string]*node) *node {
	n := newTable(description)
	for _, key := range keys {
		if nodes[key] == nil {
			panic("schema: the key " + key + " is not described")
		}
		n.Properties[key] = nodes[key]
	}
	return n
}

// peers returns the table of peers by name, which is above all cases and may be in one.
func peers(description string) *node {
	n := newTable(description)
	n.Patterns["."] = describedTable("A connected peer.", cases.PeerKeys, map[string]*node{
		"users":  {Type: "array", Items: integer(math.MaxUint32, ""), Description: "The users that the peer holds."},
		"master": {Type: "boolean", Description: "Whether the peer has declared itself master."},
		"groups": {Type: "array", Items: &node{Type: "string", Pattern: config.NamePattern}, Description: "The groups in which the peer is."},
	})
	return n
}

// caseKeys returns the keys of a case, each with what it means.
func caseKeys() map[string]*node {
	return map[string]*node{
		"name":    {Type: "string", Description: "The name in reports, which no other case has. Without one it is the command and the line."},
		"from":    {Type: "string", Description: "The name of the sending peer."},
		"command": reference("command", "The command of the PDU."),
		"service": idOf("The service of the PDU, a name or an id. Without one it is that of the command.", serviceNames()),
		"seq":     integer(math.MaxUint16, "The sequence number. Without one it is 0."),
		"before":  integer(cases.MaxBefore, "How many PDUs like this one the sender has sent before it, all at one time, for rate limits."),
		"wait":    {Type: "string", Pattern: `^([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$`, Description: `The time between the PDUs of "before" and this one, such as "20ms".`},
		"master":  {Type: "boolean", Description: "Whether the sender is master, instead of what peers says."},
		"body":    {Type: "object", Description: "The fields of the command's message, by name. Bytes are text, or hex digits behind \"hex:\"."},
		"hex":     {Type: "string", Pattern: `^\s*([0-9A-Fa-f]\s*[0-9A-Fa-f]\s*)*$`, Description: "The body as hex digits, instead of fields."},
		"peers":   peers("The peers of this case, instead of those above the first case."),
		"expect":  expectation(),
	}
}

// expectation returns the table expect, which has at least one key: a case that expects nothing tests
// nothing.
func expectation() *node {
	n := describedTable("What should become of the PDU. Only what is written is compared, but a case fails if it does not expect a fault of the policy, or a drop for another reason than the verdict.",
		cases.ExpectKeys, map[string]*node{
			"action":  {Type: "string", Enum: policy.Actions[:], Description: "The action of the verdict."},
			"verdict": {Type: "string", Pattern: policy.RulePattern(), Description: "The whole verdict, as in a routing table."},
			"to":      {Type: "array", Items: &node{Type: "string"}, Description: "The peers that receive anything, in any order."},
			"sends":   {Type: "array", Items: reference("command", ""), Description: `The commands that each peer in "to" receives, in order.`},
			"dropped": {Type: "string", Enum: cases.Reasons, Description: "Why the PDU is dropped."},
			"fault":   {Type: "string", Enum: cases.FaultKinds, Description: "How the policy fails."},
		})
	n.Least = 1
	return n
}

// integer returns a number from 0 to most.
func integer(most int64, description string) *node {
	return &node{Type: "integer", Minimum: new(int64), Maximum: &most, Description: description}
}

// idOf returns an id: one of the names, or a number, also as a text.
func idOf(description string, names []string) *node {
	n := integer(math.MaxUint16, description)
	n.Type, n.Pattern, n.Examples = []string{"integer", "string"}, fmt.Sprintf("^(%s|%s)$", number, strings.Join(names, "|")), names
	return n
}

// commandNames returns the names of all commands that are known, custom ones included.
func commandNames() (names []string) {
	for _, c := range pdu.KnownCommands() {
		names = append(names, c.Name)
	}
	return names
}

// serviceNames returns the names of the protocol's services.
func serviceNames() (names []string) {
	for id := pdu.SID_LOGIN; id <= pdu.SID_INTERNAL; id++ {
		names = append(names, id.String())
	}
	return names
}
