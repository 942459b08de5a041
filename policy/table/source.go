package table

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"switchyard/policy/tomlpos"
)

// A source is the text of a table as TOML sees it, with the faults found so far.
type source struct {
	name   string
	meta   toml.MetaData
	values map[string]any
	root   map[string]toml.Primitive            // the same again, for positions
	levels map[string]map[string]toml.Primitive // sections below root, once asked for
	text   []byte                               // what was decoded: lines with faulty syntax are blank
	faults tomlpos.Errors
}

// maxFaults is how many faults are told at once; behind that many there is
// another kind of file.
const maxFaults = 100

// decode reads src as TOML. A line whose syntax is faulty is noted and blanked,
// so that the faults behind it are found as well. It reports whether there is
// anything to look at.
func (s *source) decode(src []byte) bool {
	s.text = bytes.Clone(bytes.TrimPrefix(src, []byte("\ufeff")))
	if !s.bounded() {
		return false
	}
	for len(s.faults) < maxFaults/4 {
		var err error
		s.meta, err = s.decodeOnce()
		var syntax toml.ParseError
		switch {
		case err == nil:
			return true
		case !errors.As(err, &syntax):
			s.fault(1, tomlpos.Printable(err.Error()), "write sections as [route] and rules as COMMAND = \"action\"")
			return false
		}
		line := tomlpos.At(s.text, syntax.Position)
		s.syntaxFault(line, syntax)
		if !s.blank(line) {
			return false
		}
	}
	return false
}

// decodeOnce decodes the text as it is now.
func (s *source) decodeOnce() (meta toml.MetaData, err error) {
	s.root, s.levels = nil, map[string]map[string]toml.Primitive{}
	if meta, err = tomlpos.Decode(s.text, &s.root); err == nil {
		s.values, err = tomlpos.Values(&meta, s.root)
	}
	return meta, err
}

// bounded refuses text on which the decoder would take time or memory out of
// proportion: great size, many keys, deep nesting.
func (s *source) bounded() bool {
	if len(s.text) > MaxSize {
		s.fault(1, fmt.Sprintf("the table has %d bytes, the maximum is %d", len(s.text), MaxSize), "a table is a page or two; is this the right file?")
		return false
	}
	const deepest = 16
	const write = `write sections as [route] and rules as COMMAND = "action"`
	number, depth, keys := 0, 0, 0
	for line := range bytes.Lines(s.text) {
		number++
		marks := tomlpos.Marks(line)
		keys += bytes.Count(marks, []byte("=")) + bytes.Count(marks, []byte("["))
		depth += bytes.Count(marks, []byte("[")) + bytes.Count(marks, []byte("{"))
		switch {
		case bytes.ContainsAny(marks, "\"'"):
			s.fault(number, "a string of several lines", write)
			return false
		case depth > deepest || bytes.Count(marks, []byte(".")) > deepest:
			s.fault(number, "nests deeper than any table", write)
			return false
		case keys > 2*MaxRules:
			s.tooLarge(number, "the table goes on")
			return false
		}
		depth = max(0, depth-bytes.Count(marks, []byte("]"))-bytes.Count(marks, []byte("}")))
	}
	return true
}

func (s *source) tooLarge(line int, what string) {
	s.fault(line, fmt.Sprintf("%s, the maximum is %d rules", what, MaxRules), "write ranges, such as 0x0720-0x072f")
}

func (s *source) syntaxFault(line int, e toml.ParseError) {
	what, remedy := tomlpos.Printable(e.Message), `a rule is COMMAND = "action", a section [route] or [service.SERVICE]`
	switch {
	case strings.HasPrefix(what, "expected value"):
		remedy = `write the action in quotes, as in COMMAND = "drop"`
	case strings.HasPrefix(what, "strings cannot contain newlines"):
		what, remedy = "a string does not end on its line", "close the quote"
	case strings.HasSuffix(what, "has already been defined."):
		_, key, _ := strings.Cut(what, "'")
		key = strings.TrimSuffix(key, "' has already been defined.")
		what = fmt.Sprintf("%s stands on line %d already", key, s.firstLine(key, line))
		remedy = "keep one"
	}
	s.fault(line, what, remedy)
}

// firstLine returns where the key stands in the text above line, which is known
// to decode.
func (s *source) firstLine(key string, line int) int {
	above := source{text: bytes.Join(bytes.Split(s.text, []byte("\n"))[:line-1], []byte("\n"))}
	above.meta, _ = above.decodeOnce()
	for _, k := range above.meta.Keys() {
		if k.String() == key {
			return above.line(k)
		}
	}
	return 1
}

// blank empties the line, and if it opens a section, all of that section: its
// rules would pass for those of the section above. It reports whether that
// changed anything.
func (s *source) blank(line int) bool {
	lines := bytes.Split(s.text, []byte("\n"))
	if line > len(lines) || len(bytes.TrimSpace(lines[line-1])) == 0 {
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

// value returns what the key holds: a string, a map[string]any for a section, or
// another of TOML's values; nil if there is no such key.
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

func (s *source) primitive(key toml.Key) (p toml.Primitive, ok bool) {
	level := s.root
	for i, k := range key {
		if p, ok = level[k]; !ok {
			return p, false
		}
		if i < len(key)-1 {
			level = s.below(key[:i+1], p)
		}
	}
	return p, ok
}

// below returns what the section p at key holds; nothing if it is no section.
func (s *source) below(key toml.Key, p toml.Primitive) map[string]toml.Primitive {
	text := key.String()
	level, known := s.levels[text]
	if !known && s.meta.PrimitiveDecode(p, &level) == nil {
		s.levels[text] = level
	}
	return level
}

// line returns where the key stands; for a section without a header, where the
// first key below it does.
func (s *source) line(key toml.Key) int {
	if key[len(key)-1] == "" {
		key = key[:len(key)-1] // the decoder mistakes "" for what is around it
	}
	if n := s.position(key); n > 0 {
		return n
	}
	for _, k := range s.meta.Keys() {
		if len(k) > len(key) && slices.Equal(k[:len(key)], key) {
			if n := s.position(k); n > 0 {
				return n
			}
		}
	}
	return 1
}

// position returns the key's line, or 0.
func (s *source) position(key toml.Key) int {
	p, ok := s.primitive(key)
	if !ok {
		return 0
	}
	return tomlpos.Of(s.text, &s.meta, p)
}

// faultAt notes a fault of what the key holds.
func (s *source) faultAt(key toml.Key, what, remedy string) {
	if len(s.faults) < maxFaults {
		s.fault(s.line(key), what, remedy)
	}
}

func (s *source) fault(line int, what, remedy string) {
	s.faults = append(s.faults, &tomlpos.Error{Name: s.name, Line: line, What: what, Remedy: remedy})
}
