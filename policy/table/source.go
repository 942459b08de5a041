package table

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"

	"switchyard/policy/tomlpos"
)

// A source is the text of a table as TOML understands it, with the faults found so far.
type source struct {
	name   string
	text   []byte // without the lines whose syntax is faulty
	doc    *tomlpos.Document
	values map[string]any
	faults tomlpos.Errors
}

// maxFaults is how many faults are reported at once. A file with more is not meant for a
// table.
const maxFaults = 100

// decode reads src as TOML and reports whether there is anything to look at. It notes a
// line whose syntax is faulty, blanks it and tries again, so that it also finds the
// faults behind that line.
func (s *source) decode(src []byte) bool {
	if len(src) > MaxSize {
		s.fault(1, fmt.Sprintf("the table has %d bytes, the maximum is %d", len(src), MaxSize), "a table is a page or two; is this the right file?")
		return false
	}
	s.text = src
	for len(s.faults) < maxFaults/4 {
		s.doc = tomlpos.Scan(s.text)
		if !s.bounded() {
			return false
		}
		var err error
		s.values, err = s.doc.Decode()
		syntax, faulty := errors.AsType[*tomlpos.SyntaxError](err)
		if !faulty {
			return true
		}
		s.syntaxFault(syntax)
		if !s.blank(syntax.Line) {
			return false
		}
	}
	return false
}

const writeRules = `write sections as [route] and rules as COMMAND = "action"`

// bounded refuses what no table needs, before the decoder takes time and memory for it.
func (s *source) bounded() bool {
	switch doc := s.doc; {
	case doc.LongString > 0:
		s.fault(doc.LongString, "a string of several lines", writeRules)
	case doc.TooDeep > 0:
		s.fault(doc.TooDeep, "nests deeper than any table", writeRules)
	case len(doc.Keys) > 2*MaxRules:
		s.tooLarge(doc.Keys[2*MaxRules].Line, "the table continues")
	default:
		return true
	}
	return false
}

func (s *source) tooLarge(line int, what string) {
	s.fault(line, fmt.Sprintf("%s, the maximum is %d rules", what, MaxRules), "write ranges, such as 0x0720-0x072f")
}

// isForeign reports whether the file has keys, but none of a table. It is then perhaps a secret,
// and nothing of it is quoted.
func (s *source) isForeign() bool {
	rules, others := false, false
	for _, k := range s.doc.Keys {
		switch k.Name[0] {
		case sectionRoute, sectionService, sectionFrom:
			rules = true
		case keyExtends:
		default:
			others = true
		}
	}
	return others && !rules
}

func (s *source) syntaxFault(e *tomlpos.SyntaxError) {
	what, remedy := e.What, `a rule is COMMAND = "action", a section [route], [service.SERVICE] or [from.GROUP]`
	repeat, repeated := s.doc.Repeat(e.Line)
	switch {
	case e.Remedy != "":
		remedy = e.Remedy
	case e.Line == 0:
		remedy = writeRules
	case repeated && s.isForeign():
	case repeated:
		what, remedy = fmt.Sprintf("%s is on line %d already", repeat.Name, repeat.First), "keep one"
	case strings.HasPrefix(what, "expected value"):
		remedy = `write the action in quotes, as in COMMAND = "drop"`
	case strings.HasPrefix(what, "strings cannot contain newlines"):
		what, remedy = "a string does not end on its line", "close the quote"
	}
	s.fault(max(1, e.Line), what, remedy)
}

// blank empties the line. If the line opens a section, blank empties all of that section,
// whose rules would otherwise belong to the section above. It reports whether that
// changed anything.
func (s *source) blank(line int) bool {
	lines := bytes.Split(s.text, []byte("\n"))
	if line == 0 || line > len(lines) || len(bytes.TrimSpace(lines[line-1])) == 0 {
		return false
	}
	opens := func(l []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(l), []byte("[")) }
	section := opens(lines[line-1])
	lines[line-1] = nil
	for i := line; section && i < len(lines) && !opens(lines[i]); i++ {
		lines[i] = nil
	}
	s.text = bytes.Join(lines, []byte("\n"))
	return true
}

// value returns the value of the key: a string, a map[string]any for a section, or another
// of TOML's types; nil if there is no such key.
func (s *source) value(key toml.Key) any {
	var v any = s.values
	for _, k := range key {
		section, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = section[k]
	}
	return v
}

// line returns where the key first appears.
func (s *source) line(key toml.Key) int { return max(1, s.doc.Line(key...)) }

// faultAt notes a fault on the key's line.
func (s *source) faultAt(key toml.Key, what, remedy string) {
	if len(s.faults) < maxFaults {
		s.fault(s.line(key), what, remedy)
	}
}

func (s *source) fault(line int, what, remedy string) {
	s.faults = append(s.faults, &tomlpos.Error{Name: s.name, Line: line, What: what, Remedy: remedy})
}
