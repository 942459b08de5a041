package tomlfmt

import (
	"strings"

	"switchyard/policy/tomlpos"
)

// A scanner cuts a text, which the decoder has accepted, into lines. It formats keys and values as it
// passes them:
//
//	[ route ] # all of it        header  key "[route]", comment "# all of it"
//	# chats                      remark  comment "# chats"
//	CID_MSG_DATA='drop'          entry   key "CID_MSG_DATA", value "'drop'"
//
// It is not a parser: of a number it knows only where that ends, so TOML's values need no rules here.
// failed is set if the scanner does not understand the text; the caller then leaves the file as it is.
// After a failure the methods return what they like, but still end.
type scanner struct {
	tomlpos.Cursor
	comments []string // in the order of the text
	failed   bool
}

func (s *scanner) lines() (all []line) {
	for !s.failed {
		s.Skip(" \t\r")
		switch c := s.Peek(); {
		case s.At >= len(s.Text):
			return all
		case c == '\n':
			s.At++
			all = append(all, line{})
		case c == '#':
			all = append(all, line{kind: remark, comment: s.comment()})
			s.end()
		case c == '[':
			l := line{kind: header, key: s.header()}
			l.comment = s.rest()
			all = append(all, l)
		default:
			l := line{kind: entry, key: s.key()}
			s.expect('=')
			l.value = s.value(0)
			l.comment = s.rest()
			all = append(all, l)
		}
	}
	return all
}

// expect passes a byte and the blanks around it. It moves on also if that is another byte, so that a
// loop that has failed comes to its end.
func (s *scanner) expect(c byte) {
	s.Skip(" \t")
	if s.Peek() != c {
		s.failed = true
	}
	s.Pass(1)
	s.Skip(" \t")
}

// comment returns a comment up to the end of its line.
func (s *scanner) comment() string {
	begin := s.At
	s.SkipTo("\n")
	text := strings.TrimRight(s.Text[begin:s.At], " \t\r")
	s.comments = append(s.comments, text)
	return text
}

// rest returns the comment behind a header or an entry, and passes the end of the line.
func (s *scanner) rest() (comment string) {
	s.Skip(" \t\r")
	if s.Peek() == '#' {
		comment = s.comment()
	}
	s.end()
	return comment
}

// end passes the end of a line.
func (s *scanner) end() {
	if s.At < len(s.Text) && s.Text[s.At] != '\n' {
		s.failed = true
	}
	s.Pass(1)
}

// header returns a header: [a.b] or [[a.b]].
func (s *scanner) header() string {
	open, close := "[", "]"
	if strings.HasPrefix(s.Text[s.At:], "[[") {
		open, close = "[[", "]]"
	}
	s.At += len(open)
	s.Skip(" \t")
	key := s.key()
	s.Skip(" \t")
	if !strings.HasPrefix(s.Text[s.At:], close) {
		s.failed = true
		return ""
	}
	s.At += len(close)
	return open + key + close
}

// key returns a key, whose parts have dots and no blanks between them.
func (s *scanner) key() string {
	var parts []string
	for !s.failed {
		s.Skip(" \t")
		begin := s.At
		switch s.Peek() {
		case '"', '\'':
			s.str()
		default:
			s.SkipTo(" \t\r\n.=]#")
		}
		if s.At == begin {
			s.failed = true
		}
		parts = append(parts, s.Text[begin:s.At])
		s.Skip(" \t")
		if s.Peek() != '.' {
			break
		}
		s.At++
	}
	return strings.Join(parts, ".")
}

// str passes a string of any kind.
func (s *scanner) str() {
	if _, closed := s.Quoted(); !closed {
		s.failed = true
	}
}

// value returns a value as it is formatted within so many brackets. Strings, numbers, dates and the like
// are spelled as they were; only lists and inline tables are laid out again.
func (s *scanner) value(depth int) string {
	begin := s.At
	switch s.Peek() {
	case '"', '\'':
		s.str()
	case '[':
		return s.list(depth, '[', ']')
	case '{':
		return s.list(depth, '{', '}')
	default:
		s.SkipTo(",]}#\r\n")
	}
	if s.At == begin {
		s.failed = true
		return ""
	}
	return strings.TrimRight(s.Text[begin:s.At], " \t")
}
