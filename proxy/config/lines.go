package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// lineNumbers returns the line, from 1, at which each key and table of a TOML
// source first appears. Names are as toml.Key spells them, and an element of a
// list is named by its index: listener.0.address. The source is known to be valid,
// so only what tells keys, strings and brackets apart is looked at.
func lineNumbers(source string) map[string]int {
	s := &scanner{
		source: strings.TrimPrefix(source, "\ufeff"),
		line:   1,
		counts: make(map[string]int),
		lines:  make(map[string]int),
	}
	var table toml.Key
	for s.skip(); s.at < len(s.source); s.skip() {
		begun := s.at
		if s.peek() == '[' {
			table = s.header()
		} else {
			s.pair(table)
		}
		if s.at == begun { // not TOML after all
			s.advance(1)
		}
	}
	return s.lines
}

// deepest is how many names a path has at most; what is further down has its line
// there. No key of the configuration is nearly as deep.
const deepest = 16

type scanner struct {
	source string
	at     int // the next byte
	line   int // that it is in
	counts map[string]int
	lines  map[string]int
}

// header reads [name] or [[name]] and returns the table that it opens.
func (s *scanner) header() toml.Key {
	s.advance(1)
	list := s.accept('[')
	names := s.key()
	var table toml.Key
	for i, name := range names {
		table = below(table, name)
		id := table.String()
		s.note(table)
		if list && i == len(names)-1 {
			s.counts[id]++
		}
		if n := s.counts[id]; n > 0 { // of a list, the latest table
			table = below(table, strconv.Itoa(n-1))
		}
		s.note(table)
	}
	s.accept(']')
	if list {
		s.accept(']')
	}
	return table
}

// below returns the path of what is called name in a table or list.
func below(path toml.Key, name string) toml.Key {
	if len(path) == deepest {
		return path
	}
	return append(slices.Clone(path), name)
}

// pair reads name = value in a table.
func (s *scanner) pair(table toml.Key) {
	path := table
	for _, name := range s.key() {
		path = below(path, name)
		s.note(path)
	}
	s.accept('=')
	s.value(path)
}

// key reads a name, or several with dots between.
func (s *scanner) key() toml.Key {
	var names toml.Key
	for s.at < len(s.source) {
		s.skipBlanks()
		switch s.peek() {
		case '"', '\'':
			names = append(names, unquote(s.text()))
		default:
			begun := s.at
			s.advanceTo(" \t.=]\r\n#")
			names = append(names, s.source[begun:s.at])
		}
		s.skipBlanks()
		if !s.accept('.') {
			break
		}
	}
	return names
}

// value reads any value, and the keys in it.
func (s *scanner) value(path toml.Key) {
	s.skipBlanks()
	switch s.peek() {
	case '"', '\'':
		s.text()
	case '[':
		s.members(']', func(i int) {
			element := below(path, strconv.Itoa(i))
			s.note(element)
			s.value(element)
		})
	case '{':
		s.members('}', func(int) { s.pair(path) })
	default: // number, boolean, or a time, which may have a blank in it
		s.advanceTo(",]}#\r\n")
	}
}

// members reads a bracket, what is between the commas, and the closing bracket.
func (s *scanner) members(closing byte, member func(i int)) {
	s.advance(1)
	s.skip()
	for i := 0; s.at < len(s.source) && !s.accept(closing); i++ {
		begun := s.at
		member(i)
		s.skip()
		s.accept(',')
		s.skip()
		if s.at == begun { // not TOML after all
			return
		}
	}
}

// text reads a string of any of the four kinds and returns it with its quotes.
func (s *scanner) text() string {
	begun := s.at
	quote := s.source[s.at : s.at+1]
	end := quote
	if strings.HasPrefix(s.source[s.at:], strings.Repeat(quote, 3)) {
		end = strings.Repeat(quote, 3)
	}
	s.advance(len(end))
	for s.at < len(s.source) && !strings.HasPrefix(s.source[s.at:], end) {
		if quote == `"` && s.peek() == '\\' {
			s.advance(1)
		}
		s.advance(1)
	}
	s.advance(len(end))
	for i := 0; i < 2 && len(end) == 3 && s.peek() == quote[0]; i++ {
		s.advance(1) // up to two quotes may end what the three enclose
	}
	return s.source[begun:s.at]
}

func unquote(text string) string {
	var v struct{ Text string }
	if _, err := toml.Decode("Text = "+text, &v); err != nil {
		return text
	}
	return v.Text
}

// skip passes blanks, line ends and comments.
func (s *scanner) skip() {
	for {
		switch s.skipBlanks(); s.peek() {
		case '\r', '\n':
			s.advance(1)
		case '#':
			s.advanceTo("\n")
		default:
			return
		}
	}
}

func (s *scanner) skipBlanks() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.advance(1)
	}
}

func (s *scanner) accept(b byte) bool {
	s.skipBlanks()
	ok := s.peek() == b
	if ok {
		s.advance(1)
	}
	return ok
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.source) {
		return s.source[s.at]
	}
	return 0
}

func (s *scanner) advance(n int) {
	for ; n > 0 && s.at < len(s.source); n-- {
		if s.source[s.at] == '\n' {
			s.line++
		}
		s.at++
	}
}

func (s *scanner) advanceTo(any string) {
	for s.at < len(s.source) && !strings.ContainsRune(any, rune(s.source[s.at])) {
		s.advance(1)
	}
}

// note keeps the line of a path that is seen for the first time.
func (s *scanner) note(path toml.Key) {
	id := path.String()
	if _, ok := s.lines[id]; !ok {
		s.lines[id] = s.line
	}
}
