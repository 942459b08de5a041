package config

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"switchyard"
	"switchyard/policy/tomlpos"
)

// The reference describes every key for the manual page, the JSON Schema and completions. Types,
// ranges and defaults are those of the keys (keys.go); the texts are the comments of the shipped
// config.toml:
//
//	# Where peers connect; one block for each address.      Table.Doc
//	[[listener]]                                            Table.Header
//	# Host and port; port 0 picks a free one. A reload …    Key.Doc
//	address = "127.0.0.1:8200"                              Key.Name "listener.N.address"

// A Type is what a key's value is.
type Type string

// The types of values. A list is of texts.
const (
	TypeText     Type = "text"
	TypeDuration Type = "duration"
	TypeSize     Type = "size"
	TypeNumber   Type = "number"
	TypeBool     Type = "bool"
	TypeList     Type = "list"
	TypeTable    Type = "table"
)

// A Table is a table of the configuration and its keys.
type Table struct {
	Name   string // dotted; a listener's begins with "listener.N", a tenant's with "tenant.NAME"
	Header string // as it is written: "[[listener]]", "[listener.tls]", "[tenant.NAME]"
	Doc    string // one paragraph; empty if the name says it all
	Keys   []Key
}

// A Key is a key of the configuration and the values that it may have.
type Key struct {
	Name    string // dotted, with the name of its table
	Doc     string // one paragraph, with the range in parentheses at its end
	Type    Type
	Min     int64    // of a number; of a duration in nanoseconds, of a size in bytes
	Max     int64    // as Min
	Choices []string // of a text that must be one of these
	Pattern string   // a regular expression for what is in quotes; see check
	Default any      // as TOML has it: a text, an int64, a bool, a []string or a map[string]any
	Must    bool     // its table must have it, whatever the default
	Restart bool     // a change requires a restart
}

// The parts of names that stand for any listener, and for any tenant or group, in the reference.
const (
	AnyListener = "N"
	AnyName     = "NAME"
)

// NamePattern is what the name of a tenant or group is, as a regular expression.
var NamePattern = tenantName.String()

// Intro is the comment that begins config.toml, in one paragraph.
func Intro() string { return reference().intro }

// Tables returns all tables and keys in the order of config.toml. The caller does not change them.
func Tables() []Table { return reference().tables }

type document struct {
	intro  string
	tables []Table
}

// reference puts the keys and their comments together. The keys are listed twice: as they are named in
// config.toml, where their comments are ("tenant.default.policy"), and as the reference names them
// ("tenant.NAME.policy"). Both lists have the same order, so the i-th of both is one key.
var reference = sync.OnceValue(func() document {
	shipped := readComments(withExamples(switchyard.Configuration))
	c := Default()
	c.Tenants[0].Groups = []Group{defaultGroup(exampleGroup)}
	names := c.keys()
	c.Tenants[0].Name, c.Tenants[0].Groups[0].Name = AnyName, AnyName
	tables := map[string]*Table{}
	for i, k := range c.keysWith(func(int) string { return AnyListener }) {
		name := k.name[:strings.LastIndex(k.name, ".")]
		t := tables[name]
		if t == nil {
			inFile := names[i].name[:strings.LastIndex(names[i].name, ".")]
			t = &Table{Name: name, Header: headerOf(name), Doc: shipped.above(inFile)}
			tables[name] = t
		}
		t.Keys = append(t.Keys, k.describe(shipped.above(names[i].name)))
	}
	return document{shipped.above(""), shipped.sort(tables)}
})

// headerOf returns the header of a table of the reference.
func headerOf(name string) string {
	if name == "listener."+AnyListener {
		return "[[listener]]"
	}
	return "[" + strings.Replace(name, "listener."+AnyListener+".", "listener.", 1) + "]"
}

// describe returns the key with that documentation.
func (k key) describe(doc string) Key {
	d := Key{Name: k.name, Doc: doc, Min: k.min, Max: k.max, Choices: k.choices, Pattern: k.check.pattern, Must: k.must, Restart: k.restart}
	switch field := k.field.(type) {
	case *Duration:
		d.Type, d.Default, d.Pattern = TypeDuration, field.String(), durationPattern(Duration(k.min), Duration(k.max))
	case *Size:
		d.Type, d.Default, d.Pattern = TypeSize, field.String(), sizePattern(Size(k.min), Size(k.max))
	case *int64:
		d.Type, d.Default = TypeNumber, *field
	case *bool:
		d.Type, d.Default = TypeBool, *field
	case *string:
		d.Type, d.Default = TypeText, *field
	case *[]string:
		d.Type, d.Default = TypeList, append([]string{}, *field...)
	case *[]netip.Prefix:
		d.Type, d.Default, d.Pattern = TypeList, []string{}, networkPattern
	case *json.RawMessage:
		d.Type, d.Default = TypeTable, map[string]any{}
	}
	return d
}

// Comments are what the comments of a configuration say about its keys.
type comments struct {
	lines []string
	at    map[string]int // the lines of keys and headers, from 1
}

// exampleGroup is the group that config.toml describes, in lines that begin with a number sign and no
// blank, as there is none by default.
const exampleGroup = "admin"

// withExamples returns the text with such lines as if they took effect.
func withExamples(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if example, ok := strings.CutPrefix(line, "#"); ok && example != "" && example[0] != ' ' {
			lines[i] = example
		}
	}
	return strings.Join(lines, "\n")
}

func readComments(text string) comments {
	return comments{strings.Split(text, "\n"), tomlpos.Scan([]byte(text)).Lines}
}

// above returns the comment above a key or header, or with an empty name the one that begins the
// file, as one paragraph.
func (c comments) above(name string) string {
	end := c.at[name] - 1 // the index of its line
	if name == "" {
		end = slices.IndexFunc(c.lines, func(l string) bool { return !strings.HasPrefix(l, "#") })
	}
	begin := end
	for begin > 0 && strings.HasPrefix(c.lines[begin-1], "# ") {
		begin--
	}
	var paragraph []string
	for _, line := range c.lines[max(0, begin):max(0, end)] {
		paragraph = append(paragraph, strings.TrimSpace(strings.TrimPrefix(line, "#")))
	}
	return strings.Join(paragraph, " ")
}

// sort returns the tables, and the keys of each, in the order of the file.
func (c comments) sort(tables map[string]*Table) []Table {
	line := func(name string) int {
		name = strings.Replace(name, "listener."+AnyListener, "listener.0", 1)
		name = strings.Replace(name, "tenant."+AnyName, "tenant.default", 1)
		return c.at[strings.Replace(name, "."+sectionGroup+"."+AnyName, "."+sectionGroup+"."+exampleGroup, 1)]
	}
	var sorted []Table
	for _, name := range slices.SortedFunc(maps.Keys(tables), func(a, b string) int { return line(a) - line(b) }) {
		slices.SortStableFunc(tables[name].Keys, func(a, b Key) int { return line(a.Name) - line(b.Name) })
		sorted = append(sorted, *tables[name])
	}
	return sorted
}
