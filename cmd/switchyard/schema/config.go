package schema

import (
	"math"
	"strings"

	"switchyard/policy/command/custom"
	"switchyard/proxy/config"
)

// Config returns the schema of config.toml. A schema cannot express everything that "switchyard
// check" refuses: what several keys mean together, what is in files, and whether "1m30s" is in a
// range. Descriptions are the comments of config.toml, so the two cannot differ.
func Config() []byte {
	root := newTable(config.Intro())
	root.Schema, root.Title = draft, "Switchyard's configuration"
	for _, t := range config.Tables() {
		table := root.below(strings.Split(t.Name, "."))
		if table.Description = t.Doc; t.Header == "[[listener]]" {
			root.Properties["listener"].Description = t.Doc
		}
		for _, k := range t.Keys {
			table.add(k)
		}
	}
	root.Properties["commands"].Patterns[custom.NamePattern] = customCommand()
	return root.text()
}

// customCommand returns a custom command: its id, or a table with id and message.
func customCommand() *node {
	n := newTable("A custom command: its id, or a table of its id and the message in its body.")
	low, high := int64(1), int64(math.MaxUint16)
	n.Type, n.Minimum, n.Maximum = []string{"integer", "object"}, &low, &high
	n.Required = []string{"id"}
	n.Properties["id"] = &node{Type: "integer", Minimum: &low, Maximum: &high, Description: "The id, which the protocol does not use. Its high byte is the service."}
	n.Properties["message"] = &node{Type: "string", Description: `The full name of a message of the file in proto, such as "my.Order", or of the protocol.`}
	return n
}

// below returns the table at a path of the reference, and makes what is missing of it:
//
//	tenant NAME limits    properties.tenant.patternProperties."^[a-z0-9-]{1,40}$".properties.limits
//	listener N tls        properties.listener.items.properties.tls
func (n *node) below(path []string) *node {
	if len(path) == 0 {
		return n
	}
	in, name := n.Properties, path[0]
	switch name {
	case config.AnyListener:
		if n.Items == nil {
			*n = node{Type: "array", Items: newTable("")}
		}
		return n.Items.below(path[1:])
	case config.AnyName:
		in, name = n.Patterns, config.NamePattern
	}
	if in[name] == nil {
		in[name] = newTable("")
	}
	return in[name].below(path[1:])
}

// add adds a key to its table. A key that the file must have has no default that an editor could
// write.
func (n *node) add(k config.Key) {
	name := k.Name[strings.LastIndex(k.Name, ".")+1:]
	value := &node{Description: k.Doc, Default: k.Default}
	if k.Restart {
		value.Description += " A change requires a restart."
	}
	if k.Must {
		n.Required = append(n.Required, name)
		value.Default = nil
	}
	switch k.Type {
	case config.TypeNumber:
		value.Type, value.Minimum = "integer", &k.Min
		if k.Max < math.MaxInt64 {
			value.Maximum = &k.Max
		}
	case config.TypeBool:
		value.Type = "boolean"
	case config.TypeTable:
		value.Type = "object"
	case config.TypeList:
		value.Type, value.Unique, value.Items = "array", true, &node{Type: "string", Pattern: k.Pattern}
	default:
		value.Type, value.Pattern, value.Enum = "string", k.Pattern, k.Choices
	}
	n.Properties[name] = value
}
