package tomlpos

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const saveAsUTF8 = "save the file as UTF-8"

// notText returns the first byte that no TOML has, or nil. The decoder refuses such a text as well,
// but gives no remedy, and gives the line before if the byte begins a line.
func (d *Document) notText() *SyntaxError {
	if strings.HasPrefix(d.text, "\xff\xfe") || strings.HasPrefix(d.text, "\xfe\xff") {
		return &SyntaxError{1, "it is UTF-16", saveAsUTF8}
	}
	line := 1
	for at, r := range d.text {
		switch {
		case r == '\n':
			line++
		case r == '\t', r == '\r' && strings.HasPrefix(d.text[at:], "\r\n"):
		case r < ' ', r == 0x7f:
			return &SyntaxError{line, fmt.Sprintf("it has the control character %U", r), "remove that"}
		case r == utf8.RuneError && !strings.HasPrefix(d.text[at:], string(utf8.RuneError)):
			return &SyntaxError{line, "it is not UTF-8", saveAsUTF8}
		}
	}
	return nil
}
