package table

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"

	"switchyard/policy/command"
	"switchyard/policy/tomlpos"
)

// MaxBases is how many tables may extend one another in a row, besides the first.
const MaxBases = 8

// A Reader returns the text of a table that another one extends, a file by its path from the
// first table's folder, with slashes, or a shipped table by its name. The error is one line, and a
// *command.Problem if it has a remedy.
type Reader func(name string) ([]byte, error)

// Extend reads a table and those that it extends. name is the table's name in errors; those of
// the others are in the same folder. An error is of type tomlpos.Errors and has every fault, those
// of the table first. If read is nil, a table that extends another one is refused.
//
//	routes.toml    extends = "bases/east.toml"
//	  bases/east.toml    extends = "common.toml"       which is bases/common.toml
//	    bases/common.toml    extends = "teamtalk"      which is shipped and extends nothing
func Extend(name string, src []byte, read Reader) (*Table, error) {
	c := chain{name: name, read: read, numbers: new(numbering)}
	t, faults := c.table(name, "", src)
	if len(faults) > 0 {
		return nil, faults
	}
	t.finish(c.numbers)
	t.numberLimits()
	if faults = t.tooManyLimits(name); faults != nil {
		return nil, faults
	}
	if len(c.files) > 1 && len(t.Text()) > MaxSize {
		return nil, tomlpos.Errors{{Name: name, Line: 1, What: fmt.Sprintf("written out as one, it would have more than %d bytes", MaxSize),
			Remedy: "give the tables that it extends shorter names"}}
	}
	return t, nil
}

// Base returns the name of the table that the text extends, as a Reader gets it if the text is the
// file of that name; empty if it extends none or the name is faulty. Faults elsewhere do not matter.
func Base(file string, src []byte) string {
	var s source
	if !s.decode(src) || s.doc.Line(keyExtends) == 0 {
		return ""
	}
	text, _ := s.values[keyExtends].(string)
	b := base{text: text}
	if b.problem() != "" {
		return ""
	}
	return b.from(file)
}

// IsFile reports whether the name of a table that another one extends is that of a file.
func IsFile(name string) bool { return path.Ext(name) == ".toml" }

// A base is what the key extends says.
type base struct {
	key  toml.Key
	text string
}

// problem says what is wrong with the name of a base; "" if nothing is.
func (b *base) problem() string {
	switch {
	case b.text == "":
		return "it is empty"
	case strings.ContainsFunc(b.text, func(r rune) bool { return !unicode.IsPrint(r) || r == '\\' || r == unicode.ReplacementChar }):
		return "it has characters that no such name has"
	case strings.Contains(b.text, "://"):
		return "a table cannot extend what is fetched from an address"
	case strings.HasPrefix(b.text, "file:"):
		return "the name is written without file:"
	case !IsFile(b.text) && strings.ContainsAny(b.text, "/."):
		return "it is neither a shipped table nor a file that ends in .toml"
	case IsFile(b.text) && !filepath.IsLocal(filepath.FromSlash(b.text)):
		return "it leads out of the table's folder"
	}
	return ""
}

// from returns the base's name from the folder of the first table. file is the name from there of
// the table that names it.
func (b *base) from(file string) string {
	if !IsFile(b.text) {
		return b.text
	}
	return path.Join(path.Dir(file), b.text)
}

const writeExtends = `write extends = "teamtalk", or the name of a table beside this one or below, as in extends = "base.toml"`

// extends reads the key extends.
func (p *parser) extends(key toml.Key) {
	text, ok := p.value(key).(string)
	if !ok {
		p.faultAt(key, "extends is not a string", writeExtends)
		return
	}
	b := &base{key: key, text: text}
	if problem := b.problem(); problem != "" {
		p.faultAt(key, fmt.Sprintf("extends names %q, and %s", text, problem), writeExtends)
		return
	}
	p.base = b
}

// A chain reads tables that extend one another, from the first to the last.
type chain struct {
	name    string // of the first table, in errors
	read    Reader
	numbers *numbering
	files   []string // the tables so far, by their names from the first one's folder; the first one's is empty
}

// table reads the table of that name from its text, and those that it extends.
func (c *chain) table(name, file string, src []byte) (*Table, tomlpos.Errors) {
	c.files = append(c.files, file)
	p := newParser(name, file, c.numbers)
	p.alone = c.read == nil
	p.read(src)
	var faults tomlpos.Errors
	if p.base != nil {
		if b, found := c.base(p, file); b != nil {
			p.extend(b)
		} else {
			faults = found
		}
	}
	p.faults.Sort()
	return &p.table, append(p.faults, faults...)
}

// base reads the table that p extends. It returns nil and its faults if it has some; those of the
// name are p's.
func (c *chain) base(p *parser, file string) (*Table, tomlpos.Errors) {
	name := p.base.from(file)
	if what, remedy := c.refusal(name, p.base.text); what != "" {
		p.faultAt(p.base.key, what, remedy)
		return nil, nil
	}
	src, err := c.read(name)
	if err != nil {
		what, remedy := err.Error(), writeExtends
		if problem, ok := errors.AsType[*command.Problem](err); ok {
			what, remedy = problem.What, problem.Remedy
		}
		p.faultAt(p.base.key, fmt.Sprintf("it extends %q: %s", p.base.text, what), remedy)
		return nil, nil
	}
	shown := name
	if IsFile(name) {
		shown = filepath.Join(filepath.Dir(c.name), filepath.FromSlash(name))
	}
	t, faults := c.table(shown, name, src)
	if len(faults) > 0 {
		return nil, faults
	}
	return t, nil
}

// refusal says why the table of that name is not read, and what to do.
func (c *chain) refusal(name, text string) (what, remedy string) {
	for i, file := range c.files {
		if file == name || i == 0 && name == filepath.Base(c.name) {
			return fmt.Sprintf("it extends %q, which extends this table: %s", text, strings.Join(append(c.names(i), name), ", ")),
				"remove one of these, so that the last one extends no other"
		}
	}
	switch {
	case c.read == nil:
		return fmt.Sprintf("it extends %q, which cannot be read where a table comes alone, as from an address", text),
			"write it out as one table: 'switchyard policy show --table FILE'"
	case len(c.files) > MaxBases:
		return fmt.Sprintf("it extends %q, and more than %d tables would extend one another", text, MaxBases), "put the rules of some of them into one"
	}
	return "", ""
}

// names returns the tables from the i-th on.
func (c *chain) names(i int) []string {
	names := append([]string{}, c.files[i:]...)
	if i == 0 {
		names[0] = filepath.Base(c.name)
	}
	return names
}

// extend adds the rules of b for which the table has none of its own.
func (p *parser) extend(b *Table) {
	t := &p.table
	t.custom = t.custom || b.custom
	missing(t.pairs, b.pairs)
	missing(t.services, b.services)
	p.extendSet(&t.ruleSet, &b.ruleSet)
	p.extendFrom(b)
	if n := t.rules(); n > MaxRules {
		p.tooLarge(p.line(p.base.key), fmt.Sprintf("the table and what it extends have %d rules", n))
	}
}

// extendSet adds the rules of base for which the set has none of its own.
func (p *parser) extendSet(s, base *ruleSet) {
	missing(s.commands, base.commands)
	if s.otherwise.at.Line == 0 {
		s.otherwise = base.otherwise
	}
	s.ranges = withMissing(s.ranges, base.ranges)
	p.nest(s, func(c [2]span) bool { return c[0].at.File == p.file && c[1].at.File == p.file }) // which read has noted
}

// withMissing returns the ranges, and those that only base has.
func withMissing(ranges, base []span) []span {
	for _, r := range base {
		if !slices.ContainsFunc(ranges, func(own span) bool { return own.lo == r.lo && own.hi == r.hi }) {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

// missing adds to own what only base has.
func missing[K comparable](own, base map[K]*rule) {
	for k, r := range base {
		if _, ok := own[k]; !ok {
			own[k] = r
		}
	}
}
