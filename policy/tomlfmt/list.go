package tomlfmt

import "strings"

// indent is what each bracket indents the rows in it by.
const indent = "  "

// How a list that is on several lines is laid out again. Each line of the text is a row and stays
// one; blank rows at both ends go, and of several in a row one is kept:
//
//	x = [ 1,2 , # ids         x = [
//	                            1, 2, # ids
//
//	                            [
//	  [3,                         3,
//	4]]                           4,
//	                            ],
//	                          ]
//
// A list or an inline table on one line stays on one. An inline table gets no line ends of its own if
// it had none, because TOML 1.0 permits none there; a list in it may have some.

// A row is one line within brackets.
type row struct {
	items   []string
	comment string
}

// list returns a list or an inline table, from its opening bracket on. Commas are passed like blanks,
// because brackets writes its own: the decoder has found that they are where they belong.
func (s *scanner) list(depth int, open, close byte) string {
	rows := []row{{}}
	several := false // it has several lines
	for s.At++; !s.failed; {
		s.Skip(" \t\r,")
		last := &rows[len(rows)-1]
		switch c := s.Peek(); {
		case s.At >= len(s.Text):
			s.failed = true
		case c == close:
			s.At++
			return brackets(rows, several, depth, open, close)
		case c == '\n':
			s.At++
			several = true
			rows = append(rows, row{})
		case c == '#':
			several = true
			last.comment = s.comment()
		default:
			item := ""
			if open == '{' {
				item = s.key()
				s.expect('=')
				item += " = "
			}
			item += s.value(depth + 1)
			several = several || open == '[' && strings.Contains(item, "\n")
			last.items = append(last.items, item)
		}
	}
	return ""
}

// brackets writes rows in brackets, on one line unless they had several.
func brackets(rows []row, several bool, depth int, open, close byte) string {
	rows = withoutBlanks(rows)
	switch {
	case len(rows) == 0:
		return string(open) + string(close)
	case !several && open == '[':
		return "[" + strings.Join(rows[0].items, ", ") + "]"
	case !several:
		return "{ " + strings.Join(rows[0].items, ", ") + " }"
	}
	var b strings.Builder
	b.WriteString(string(open) + "\n")
	for _, r := range rows {
		text := ""
		if len(r.items) > 0 {
			text = strings.Join(r.items, ", ") + ","
		}
		if r.comment != "" && text != "" {
			text += " "
		}
		if text += r.comment; text != "" {
			b.WriteString(strings.Repeat(indent, depth+1) + text)
		}
		b.WriteString("\n")
	}
	b.WriteString(strings.Repeat(indent, depth) + string(close))
	return b.String()
}

// withoutBlanks drops blank rows at both ends, and all but one of several.
func withoutBlanks(rows []row) (kept []row) {
	isBlank := func(r row) bool { return len(r.items) == 0 && r.comment == "" }
	for _, r := range rows {
		if isBlank(r) && (len(kept) == 0 || isBlank(kept[len(kept)-1])) {
			continue
		}
		kept = append(kept, r)
	}
	for len(kept) > 0 && isBlank(kept[len(kept)-1]) {
		kept = kept[:len(kept)-1]
	}
	return kept
}
