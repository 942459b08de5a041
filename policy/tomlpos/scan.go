package tomlpos

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Scan finds the keys of a text, in time and memory that are linear in its size. It
// leaves to Decode whether the text is TOML, and so looks only at what separates keys,
// strings and brackets:
//
//	[listener.tls]     header: names, closing bracket
//	a.b = [ "x", {     pair: names, "=", value; values nest by brackets
//	  c = 1 } ]
//
// Up to the first fault that the decoder finds, Scan and the decoder see the same keys.
// After a statement that it cannot follow, Scan continues on the next line.
func Scan(text []byte) *Document {
	d := &Document{text: string(text), Lines: make(map[string]int), repeats: make(map[int]Repeat)}
	s := &scanner{
		Document: d,
		Cursor:   Cursor{d.text, markLength(d.text)},
		roles:    make(map[string]role),
		counts:   make(map[string]int),
	}
	var table place
	for s.skip(); s.At < len(s.Text) && s.refused == nil; s.skip() {
		if s.Peek() == '[' {
			table = s.header(table)
		} else {
			s.pair(table, 0)
		}
		s.SkipTo("\n") // in a valid text, over a comment at most
	}
	return d
}

// A text and what Scan notes of it, each path with its first line:
//
//	1  [[listener]]             listener: list;  listener.0: outer
//	2  address = "::1:8000"     listener.0.address: value
//	3  tls.cert = "a.pem"       listener.0.tls: outer;  listener.0.tls.cert: value
//	4  [[listener]]             listener.1: outer, as listener is a list with two elements now
//	5  [listener.tls]           listener.1.tls: header, in the latest element
//
// The decoder tells where a syntax error is, but not where a key is that it has decoded,
// and most faults of a configuration are about such keys.

// A scanner reads a text once, from its beginning to its end.
type scanner struct {
	*Document
	Cursor
	lines   int             // how many end before counted
	counted int             // an offset up to At
	roles   map[string]role // by path
	counts  map[string]int  // of the elements of [[lists]], by path
}

// A place is where a key is: below other keys and, in path, below elements of lists.
type place struct {
	names toml.Key
	path  string
}

func (p place) below(name string) place {
	path := toml.Key{name}.String()
	if p.path != "" {
		path = p.path + "." + path
	}
	return place{append(slices.Clip(p.names), name), path}
}

func (p place) element(i int) place { return place{p.names, p.path + "." + strconv.Itoa(i)} }

// A role is how a path was defined. Of several roles, the highest counts. note knows which
// may follow which.
type role int

const (
	outer  role = iota // by a longer header or dotted key
	header             // by [header]
	list               // by [[header]]
	value              // by key = value
)

// note records a path in this role: its line if it is new, and whether it repeats a
// definition. TOML lets a table be opened twice only where one of both is implied:
//
//	first       then        allowed
//	[a.b]       [a]         yes: a was an outer table so far
//	[a]         [a]         no
//	[[a]]       [[a]]       yes: another element
//	[a]         [[a]]       no
//	a.b = 1     a = 2       no: a value never comes twice or in the place of a table
func (s *scanner) note(p place, as role) {
	if len(p.path) > MaxPath {
		s.refuse("the path to a key is longer than %d bytes", MaxPath)
		return
	}
	line := s.line()
	first, seen := s.Lines[p.path]
	if !seen {
		s.Lines[p.path], s.roles[p.path] = line, as
		return
	}
	was := s.roles[p.path]
	if as == value || was == value || as == header && was != outer || as == list && was == header {
		if _, ok := s.repeats[line]; !ok {
			s.repeats[line] = Repeat{p.path, first}
		}
	}
	s.roles[p.path] = max(was, as)
}

// header reads [name] or [[name]] and returns the table that it opens, or the one that
// was open if it is not a header.
func (s *scanner) header(open place) place {
	s.accept('[')
	isList := s.Peek() == '[' && s.accept('[')
	line := s.line()
	names := s.key(0)
	if names == nil || !s.accept(']') || isList && !s.accept(']') {
		return open
	}
	var p place
	for i, name := range names {
		p = p.below(name)
		switch last := i == len(names)-1; {
		case last && isList:
			s.note(p, list)
			s.counts[p.path]++
		case last:
			s.note(p, header)
		default:
			s.note(p, outer)
		}
		if n := s.counts[p.path]; n > 0 { // of a list, the latest element
			p = p.element(n - 1)
			s.note(p, outer)
		}
	}
	s.Keys = append(s.Keys, Key{p.names, line})
	return p
}

// pair reads name = value in a table, depth levels deep, and reports whether it is one.
func (s *scanner) pair(p place, depth int) bool {
	line := s.line()
	names := s.key(depth)
	if names == nil || !s.accept('=') {
		return false
	}
	for i, name := range names {
		p = p.below(name)
		if i < len(names)-1 {
			s.note(p, outer)
		}
	}
	s.note(p, value)
	s.Keys = append(s.Keys, Key{p.names, line})
	return s.value(p, depth+len(names)-1)
}

// key reads a name, or several with dots between. It returns nil if there is none.
func (s *scanner) key(depth int) (names toml.Key) {
	for {
		s.skipBlanks()
		name, ok := s.name()
		if !ok {
			return nil
		}
		if names = append(names, name); !s.within(depth + len(names) - 1) {
			return nil
		}
		if !s.accept('.') {
			return names
		}
	}
}

func (s *scanner) name() (string, bool) {
	if c := s.Peek(); c == '"' || c == '\'' {
		return unquote(s.quoted()), true
	}
	rest := s.Text[s.At:]
	n := strings.IndexFunc(rest, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	})
	if n < 0 {
		n = len(rest)
	}
	s.Pass(n)
	return rest[:n], n > 0
}

// unquote returns what a quoted name means.
func unquote(text string) string {
	if len(text) >= 2 && !strings.Contains(text, `\`) {
		return text[1 : len(text)-1]
	}
	var v struct{ Text string }
	if _, err := toml.Decode("Text = "+text, &v); err != nil {
		return text
	}
	return v.Text
}

// value reads any value, depth levels deep, and the keys in it. It returns false if it
// cannot follow.
func (s *scanner) value(p place, depth int) bool {
	s.skipBlanks()
	switch s.Peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		return s.members(']', depth+1, func(i int) bool {
			element := p.element(i)
			s.note(element, outer)
			return s.value(element, depth+1)
		})
	case '{':
		return s.members('}', depth+1, func(int) bool { return s.pair(p, depth+1) })
	default: // a number, a boolean, or a time, which may contain a blank
		s.SkipTo(",]}#\r\n")
	}
	return true
}

// members reads a bracket, its members with commas between, and the closing bracket.
func (s *scanner) members(closing byte, depth int, member func(i int) bool) bool {
	if !s.within(depth) {
		return false
	}
	s.Pass(1)
	s.skip()
	for i := 0; !s.accept(closing); i++ {
		if s.At == len(s.Text) || !member(i) {
			return false
		}
		s.skip()
		if !s.accept(',') && s.Peek() != closing {
			return false
		}
		s.skip()
	}
	return true
}

// within reports whether the depth is allowed, and refuses the text if it is not.
func (s *scanner) within(depth int) bool {
	if depth > MaxDepth && s.refused == nil {
		s.TooDeep = s.line()
		s.refuse("nests deeper than %d levels", MaxDepth)
	}
	return s.refused == nil
}

// refuse stops the scan at this line.
func (s *scanner) refuse(format string, limit int) {
	if s.refused == nil {
		s.refused = &SyntaxError{Line: s.line(), What: fmt.Sprintf(format, limit)}
	}
}

// quoted reads a string and returns it with its quotes.
func (s *scanner) quoted() string {
	line := s.line()
	text, _ := s.Quoted()
	if s.LongString == 0 && (strings.HasPrefix(text, `"""`) || strings.HasPrefix(text, "'''")) {
		s.LongString = line
	}
	return text
}

// skip passes blanks, line ends and comments.
func (s *scanner) skip() {
	for {
		switch s.skipBlanks(); s.Peek() {
		case '\r', '\n':
			s.Pass(1)
		case '#':
			s.SkipTo("\n")
		default:
			return
		}
	}
}

func (s *scanner) skipBlanks() { s.Skip(" \t") }

// accept passes blanks and b, and reports whether b was there.
func (s *scanner) accept(b byte) bool {
	s.skipBlanks()
	ok := s.Peek() == b
	if ok {
		s.Pass(1)
	}
	return ok
}

// line returns the line of the next byte.
func (s *scanner) line() int {
	s.lines += strings.Count(s.Text[s.counted:s.At], "\n")
	s.counted = s.At
	return s.lines + 1
}
