// Package terminal draws pages on a terminal, one in the place of the other, and takes
// keys. What stands on a page, and what a key is for, is its callers' business.
package terminal

import (
	"strings"

	"switchyard/policy/sanitize"
)

// A Style is how text looks where there are colours.
type Style int

// Styles. Whoever does without colours reads the same words.
const (
	Plain Style = iota
	Strong
	Faint
	Alarm
)

var codes = [...]string{Strong: "\x1b[1m", Faint: "\x1b[2m", Alarm: "\x1b[1;31m"}

// A Span is text of one style.
type Span struct {
	Text  string
	Style Style
}

// A Line is what stands beside each other.
type Line []Span

const (
	home       = "\x1b[H"
	eraseRight = "\x1b[K"
	eraseBelow = "\x1b[J"
	upright    = "\x1b[0m"
)

// render makes of a page what has to be written so that it stands in the place of the
// one before, in a window of that size. Nothing is erased that is written again, so that
// nothing flickers; what has no room is left out.
func render(page []Line, columns, rows int, colour bool) string {
	var b strings.Builder
	b.WriteString(home)
	for i, line := range page {
		if i == rows {
			break
		}
		if i > 0 {
			b.WriteString("\r\n")
		}
		left := columns
		for _, span := range line {
			text, taken := cut(sanitize.Text(span.Text), left)
			left -= taken
			if colour && span.Style != Plain {
				text = codes[span.Style] + text + upright
			}
			b.WriteString(text)
		}
		if left > 0 { // else the cursor stands on the last column, which would be erased
			b.WriteString(eraseRight)
		}
	}
	if len(page) < rows {
		if len(page) > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(eraseBelow)
	}
	return b.String()
}
