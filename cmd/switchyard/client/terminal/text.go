package terminal

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Harmless spells what a terminal would obey or hide, rather than show, as JSON does:
// an escape is \u001b, and what turns the direction of writing is \u202e. What is no
// UTF-8 becomes \ufffd. In a string of JSON, the outcome means the same. For a text of
// several lines, see HarmlessLines.
func Harmless(s string) string {
	if strings.IndexFunc(s, harmful) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !harmful(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			unit(&b, high)
			unit(&b, low)
		default:
			unit(&b, r)
		}
	}
	return b.String()
}

// HarmlessLines is Harmless for each line, and leaves lines lines.
func HarmlessLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Harmless(line)
	}
	return strings.Join(lines, "\n")
}

// harmful reports whether a rune does something else than be seen. Those that may come
// from what is no UTF-8 are among them.
func harmful(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) ||
		unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// unit spells a unit of UTF-16.
func unit(b *strings.Builder, r rune) {
	const digits = "0123456789abcdef"
	b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		b.WriteByte(digits[r>>shift&0xf])
	}
}

// wide are those that take two columns, as most terminals have it.
var wide = [][2]rune{{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff},
	{0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
	{0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd}}

func columnsOf(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	for _, w := range wide {
		if w[0] <= r && r <= w[1] {
			return 2
		}
	}
	return 1
}

// Width is how many columns a harmless text takes.
func Width(s string) (columns int) {
	for _, r := range s {
		columns += columnsOf(r)
	}
	return columns
}

// cut returns the beginning of a text that takes at most so many columns, and how many
// it takes.
func cut(s string, columns int) (string, int) {
	taken := 0
	for i, r := range s {
		w := columnsOf(r)
		if taken+w > columns {
			return s[:i], taken
		}
		taken += w
	}
	return s, taken
}

// Shorten returns a harmless text that takes at most so many columns, which are 3 at
// least; one that was longer ends with dots.
func Shorten(s string, columns int) string {
	if whole, _ := cut(s, columns); whole == s {
		return s
	}
	begin, _ := cut(s, columns-3)
	return begin + "..."
}
