package terminal

import "unicode"

// wide are the ranges of characters that most terminals show in two columns: East Asian scripts and
// emoji. No terminal can be asked, and a table from a library would be another guess.
var wide = [][2]rune{{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff},
	{0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
	{0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd}}

// columnsOf returns the width of a character: none for one that combines with the character before,
// two for one of wide.
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

// Width returns the width of a sanitized text, in columns.
func Width(s string) (columns int) {
	for _, r := range s {
		columns += columnsOf(r)
	}
	return columns
}

// cut returns the longest prefix of s that fits into that many columns, and its width.
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

// Shorten cuts a sanitized text to that many columns, at least 3. If it cuts, the text ends
// with three dots.
func Shorten(s string, columns int) string {
	if whole, _ := cut(s, columns); whole == s {
		return s
	}
	begin, _ := cut(s, columns-3)
	return begin + "..."
}
