package tenant

import "strings"

// A pattern is a text with stars, split at its separators, because a star does not match
// a separator. Text and pattern are compared part by part, so the time grows with their
// lengths and not with the number of ways to place the stars.
type pattern struct {
	text      string // equal patterns have equal texts
	separator string
	parts     []part // at least one
	below     bool   // ended in "/**": matches one or more further parts
}

// A part is the literals between the stars of one part of a pattern: "a*b" is {"a", "b"}.
// Each star matches at least one byte. A part without a star has one element.
type part []string

// newPattern splits a pattern. Whether it makes sense is checked before.
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

// matches compares part by part. A pattern without "/**" has as many parts as what it matches.
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

// matches looks for the literals from left to right and takes the first place of each. A
// later place would leave less text for the rest, so backtracking is never needed.
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

// isBelow reports whether every part of a path leads down.
func isBelow(path string) bool {
	for s := range strings.SplitSeq(path, "/") {
		if s == "" || isDots(s) {
			return false
		}
	}
	return true
}

// isDots reports whether a part of a path is "." or "..", which a star does not match.
func isDots(s string) bool { return s == "." || s == ".." }

// lower lowers ASCII letters only. Some other letters have an ASCII letter as their lower
// case, by which a name could turn into another tenant's.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
