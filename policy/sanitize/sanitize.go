// Package sanitize makes text from elsewhere harmless for logs, terminals and error
// messages: what peers, policies, files and servers write must not control a terminal,
// forge a line of a log, or show something other than what it is.
//
// The rules are written here and nowhere else. A rune is spelled out, as JSON spells it, if it
//
//   - is a control character, which begins an escape sequence or a new line;
//   - turns the direction of writing or is otherwise a format character;
//   - takes no room and is not seen, such as a variation selector or a filler;
//   - is private, not assigned, or comes from bytes that are not UTF-8.
//
// So "\x1b[2J" becomes `\u001b[2J`, and "\xff" becomes `\ufffd`. Within a JSON text the
// result means the same as before. What is harmless already comes back unchanged, so
// sanitizing twice is the same as sanitizing once. The result may be up to six times as
// long: cut a text before it is sanitized.
package sanitize

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns s as one harmless line.
func Text(s string) string { return replace(s, harmful) }

// Lines returns s as harmless lines: line feeds and tabs stay.
func Lines(s string) string {
	return replace(s, func(r rune) bool { return r != '\n' && r != '\t' && harmful(r) })
}

// Cut returns the longest beginning of s that has at most n bytes and does not end
// within a rune.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// longest is the length in bytes of the longest message that Shorten leaves as it is.
const longest = 2000

// Shorten returns a message of an error without its middle if it is very long, as one that quotes a
// value of a megabyte is. What is wrong is at the beginning, and what to do about it at the end.
func Shorten(message string) string {
	if len(message) <= longest {
		return message
	}
	from := len(message) - longest/2
	for !utf8.RuneStart(message[from]) && from < len(message)-1 {
		from++
	}
	return fmt.Sprintf("%s … (%d bytes) … %s", Cut(message, longest/2), len(message), message[from:])
}

// harmful reports whether a rune does anything other than appear as a glyph or a space.
func harmful(r rune) bool {
	if ' ' <= r && r <= '~' {
		return false
	}
	return r == utf8.RuneError || !unicode.IsGraphic(r) ||
		unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// replace spells out the runes that spelled chooses.
func replace(s string, spelled func(rune) bool) string {
	first := strings.IndexFunc(s, spelled)
	if first < 0 {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:first])
	for _, r := range s[first:] {
		if spelled(r) {
			b.WriteString(spelling(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func spelling(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if r > 0xffff { // two units of UTF-16, as JSON has no other way
		high, low := utf16.EncodeRune(r)
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
