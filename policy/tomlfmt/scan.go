package tomlfmt

import "strings"

// A scanner cuts a text, which the decoder has accepted, into lines. It formats keys and values as it
// passes them:
//
//	[ route ] # all of it        header  key "[route]", comment "# all of it"
//	# chats                      remark  comment "# chats"
//	CID_MSG_DATA='drop'          entry   key "CID_MSG_DATA", value "'drop'"
//
// It is no parser: of a number it knows only where that ends, so TOML's values need no rules here.
// failed is set if the scanner does not understand the text; the caller then leaves the file as it is.
// After a failure the methods return what they like, but still end.
type scanner struct {
	text     string
	at       int
	comments []string // in the order of the text
	failed   bool
}

func (s *scanner) lines() (all []line) {
	for !s.failed {
		s.skip(" \t\r")
		switch c := s.peek(); {
		case s.at >= len(s.text):
			return all
		case c == '\n':
			s.at++
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

// peek returns the next byte; 0 at the end, where the decoder permits none.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) skip(these string) {
	for s.at < len(s.text) && strings.IndexByte(these, s.text[s.at]) >= 0 {
		s.at++
	}
}

// expect passes a byte and the blanks around it. It moves on also if that is another byte, so that a
// loop that has failed comes to its end.
func (s *scanner) expect(c byte) {
	s.skip(" \t")
	if s.peek() != c {
		s.failed = true
	}
	s.at = min(s.at+1, len(s.text))
	s.skip(" \t")
}

// comment returns a comment up to the end of its line.
func (s *scanner) comment() string {
	begin := s.at
	if n := strings.IndexByte(s.text[begin:], '\n'); n >= 0 {
		s.at += n
	} else {
		s.at = len(s.text)
	}
	text := strings.TrimRight(s.text[begin:s.at], " \t\r")
	s.comments = append(s.comments, text)
	return text
}

// rest returns the comment behind a header or an entry, and passes the end of the line.
func (s *scanner) rest() (comment string) {
	s.skip(" \t\r")
	if s.peek() == '#' {
		comment = s.comment()
	}
	s.end()
	return comment
}

// end passes the end of a line.
func (s *scanner) end() {
	if s.at < len(s.text) && s.text[s.at] != '\n' {
		s.failed = true
	}
	s.at = min(s.at+1, len(s.text))
}

// header returns a header: [a.b] or [[a.b]].
func (s *scanner) header() string {
	open, close := "[", "]"
	if strings.HasPrefix(s.text[s.at:], "[[") {
		open, close = "[[", "]]"
	}
	s.at += len(open)
	s.skip(" \t")
	key := s.key()
	s.skip(" \t")
	if !strings.HasPrefix(s.text[s.at:], close) {
		s.failed = true
		return ""
	}
	s.at += len(close)
	return open + key + close
}

// key returns a key, whose parts have dots and no blanks between them.
func (s *scanner) key() string {
	var parts []string
	for !s.failed {
		s.skip(" \t")
		begin := s.at
		switch s.peek() {
		case '"', '\'':
			s.str()
		default:
			for s.at < len(s.text) && strings.IndexByte(" \t\r\n.=]#", s.text[s.at]) < 0 {
				s.at++
			}
		}
		if s.at == begin {
			s.failed = true
		}
		parts = append(parts, s.text[begin:s.at])
		s.skip(" \t")
		if s.peek() != '.' {
			break
		}
		s.at++
	}
	return strings.Join(parts, ".")
}

// str passes a string of any kind: basic or literal, on one line or several. Only basic ones, in double
// quotes, have escapes.
func (s *scanner) str() {
	quote := s.text[s.at : s.at+1]
	long := strings.HasPrefix(s.text[s.at:], strings.Repeat(quote, 3))
	if long {
		quote = strings.Repeat(quote, 3)
	}
	for s.at += len(quote); s.at < len(s.text); s.at++ {
		switch {
		case s.text[s.at] == '\\' && quote[0] == '"':
			s.at++
		case strings.HasPrefix(s.text[s.at:], quote):
			s.at += len(quote)
			for n := 0; long && n < 2 && s.peek() == quote[0]; n++ { // """a""""" ends with two quotes of its own
				s.at++
			}
			return
		}
	}
	s.failed = true
}

// value returns a value as it is formatted within so many brackets. Strings, numbers, dates and the like
// are spelled as they were; only lists and inline tables are laid out anew.
func (s *scanner) value(depth int) string {
	begin := s.at
	switch s.peek() {
	case '"', '\'':
		s.str()
	case '[':
		return s.list(depth, '[', ']')
	case '{':
		return s.list(depth, '{', '}')
	default:
		for s.at < len(s.text) && strings.IndexByte(",]}#\r\n", s.text[s.at]) < 0 {
			s.at++
		}
	}
	if s.at == begin {
		s.failed = true
		return ""
	}
	return strings.TrimRight(s.text[begin:s.at], " \t")
}
