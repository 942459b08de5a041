package tenant

import "strings"

// A pattern is a text with stars, in parts, as a star does not reach across a
// separator. Both are compared part by part, so the time for it grows with the
// length of the text and of the pattern, and not with the ways to place the stars.
type pattern struct {
	text      string // equal patterns have equal texts
	separator string
	parts     []part // at least one
	below     bool   // ended in "/**": at least one further part follows, and any number may
}

// A part is what stands between the stars of a part of a pattern. For each star
// there is at least one byte. A part without a star has one element.
type part []string

func newPattern(text, separator string) pattern {
	p := pattern{text: text, separator: separator}
	if separator == "/" {
		text, p.below = strings.CutSuffix(text, "/**")
	}
	for s := range strings.SplitSeq(text, separator) {
		p.parts = append(p.parts, strings.Split(s, "*"))
	}
	return p
}

func (p pattern) matches(text string) bool {
	rest, more := text, true
	for _, part := range p.parts {
		if !more {
			return false
		}
		var s string
		s, rest, more = strings.Cut(rest, p.separator)
		if !part.matches(s) {
			return false
		}
	}
	if !p.below {
		return !more
	}
	return more && isBelow(rest)
}

// matches looks for what stands between the stars from left to right and takes the
// first place of each. A later place leaves less for what follows, so there is
// never a reason to come back.
func (p part) matches(s string) bool {
	if len(p) == 1 {
		return s == p[0]
	}
	if isDots(s) {
		return false
	}
	last := len(p) - 1
	s, ok := strings.CutPrefix(s, p[0])
	for _, literal := range p[1:last] {
		if !ok || s == "" {
			return false
		}
		_, s, ok = strings.Cut(s[1:], literal)
	}
	return ok && len(s) > len(p[last]) && strings.HasSuffix(s, p[last])
}

// isBelow reports whether a path leads down only.
func isBelow(path string) bool {
	for s := range strings.SplitSeq(path, "/") {
		if s == "" || isDots(s) {
			return false
		}
	}
	return true
}

// isDots reports whether a part of a path is a way elsewhere, for which no star
// stands.
func isDots(s string) bool { return s == "." || s == ".." }

// lower makes ASCII letters small. Other letters stay: some of them have a small
// form that is an ASCII letter, and would become part of another's name.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
