// Package terminal draws pages on a terminal, each in place of the last, and reads keys. It
// knows neither what a page shows nor what a key does.
package terminal

import (
	"strings"

	"switchyard/policy/sanitize"
)

// A Style is how text looks on a terminal with colours.
type Style int

// Styles. Without colours the text is the same.
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

// A Line is spans from left to right.
type Line []Span

const (
	home       = "\x1b[H"
	eraseRight = "\x1b[K"
	eraseBelow = "\x1b[J"
	plainText  = "\x1b[0m"
)

// render returns the text that replaces the last page by this one in a window of that size.
// What does not fit is cut off. To avoid flicker, it erases only what it does not write over.
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
				text = codes[span.Style] + text + plainText
			}
			b.WriteString(text)
		}
		if left > 0 { // else the cursor is on the last column, and would erase it
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
