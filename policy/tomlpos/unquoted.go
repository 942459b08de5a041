package tomlpos

import (
	"regexp"
	"slices"
	"strings"
)

var (
	quoted  = regexp.MustCompile(`"(\\.|[^"\\])*"|'[^']*'`)
	literal = regexp.MustCompile(`^(true|false|[+-]?(inf|nan|[0-9_]+(\.[0-9_]+)?([eE][+-]?[0-9_]+)?)|0[xob][0-9a-fA-F_]+|[0-9]{4}-[0-9-]+([Tt][0-9:.Zz+-]+)?|[0-9]{2}:[0-9:.Zz+-]+)$`)
)

// Unquoted reports whether a value on that line looks like a text without its quotes. It is
// for the remedy of a line that the decoder has refused, which is often about the character
// behind the text:
//
//	timeout = 30s           true
//	names = ["a", b]        true
//	timeout = 30            false
//	timeout = "30s          false: it has a quote
func (d *Document) Unquoted(line int) bool {
	lines := strings.Split(d.text, "\n")
	if line < 1 || line > len(lines) {
		return false
	}
	text := quoted.ReplaceAllString(lines[line-1], "true")
	text, _, _ = strings.Cut(text, "#")
	if _, value, isPair := strings.Cut(text, "="); isPair {
		text = value
	} else if strings.HasPrefix(strings.TrimSpace(text), "[") {
		return false // a header
	}
	values := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r,[]{}", r) })
	return slices.ContainsFunc(values, func(v string) bool { return !literal.MatchString(v) && !strings.ContainsAny(v, "=\"'") })
}
