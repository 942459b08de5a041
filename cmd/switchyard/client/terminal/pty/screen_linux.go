package pty

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The emulated screen does what package terminal asks of a terminal, and notes everything else:
//
//	ESC [ H  K  J  2J        cursor home, erase to the right, below, all
//	ESC [ ? 1049 h, l        the alternate screen, which leaves the normal one as it was
//	ESC [ ? 7 h, l  ? 25 h, l   wrapping of lines, the cursor
//	ESC [ 0m 1m 2m 1;31m     colours, of which only is noted that there were any
//
// A sequence that is not in this list gets into odd, by which tests notice that a terminal would have
// to know more.

// A screen is what a terminal shows.
type screen struct {
	columns, rows int
	normal, other [][]rune // rows; shown is one of them
	shown         [][]rune
	row, column   int
	wraps, cursor bool
	odd           []string // sequences that are not known
	erasures      int
	coloured      bool
	pending       []byte // the beginning of a sequence or a letter
}

// newScreen returns a blank screen that wraps lines and shows the cursor, as a terminal begins.
func newScreen(columns, rows int) screen {
	s := screen{wraps: true, cursor: true}
	s.resize(columns, rows)
	return s
}

// resize clears both screens. A real terminal keeps some of their content, in ways that differ.
func (s *screen) resize(columns, rows int) {
	other := s.isOther()
	s.columns, s.rows, s.row, s.column = columns, rows, 0, 0
	s.normal, s.other = blank(columns, rows), blank(columns, rows)
	if s.shown = s.normal; other {
		s.shown = s.other
	}
}

// blank returns the lines of an empty screen.
func blank(columns, rows int) [][]rune {
	lines := make([][]rune, rows)
	for i := range lines {
		lines[i] = slices.Repeat([]rune{' '}, columns)
	}
	return lines
}

// isOther reports whether the alternate screen is shown.
func (s *screen) isOther() bool { return len(s.shown) > 0 && &s.shown[0] == &s.other[0] }

// text returns the lines without blanks at their ends and without empty lines at the bottom.
func (s *screen) text() string {
	var lines []string
	for _, line := range s.shown {
		lines = append(lines, strings.TrimRight(string(line), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// state lists the modes of the terminal that a program has changed and not restored.
func (s *screen) state() string {
	var says []string
	if s.isOther() {
		says = append(says, "other screen")
	}
	if !s.cursor {
		says = append(says, "no cursor")
	}
	if !s.wraps {
		says = append(says, "no wrapping")
	}
	return strings.Join(append(says, s.odd...), ", ")
}

// write takes output in pieces of any length. What is cut off at the end waits for the next piece.
func (s *screen) write(b []byte) {
	b = append(s.pending, b...)
	for len(b) > 0 {
		n := s.one(b)
		if n == 0 {
			break // more is to come
		}
		b = b[n:]
	}
	s.pending = bytes.Clone(b)
}

// one does what the first letter or sequence says, and returns its length; 0 if it is
// not whole.
func (s *screen) one(b []byte) int {
	switch b[0] {
	case '\r':
		s.column = 0
		return 1
	case '\n':
		s.down()
		return 1
	case '\x1b':
		end := bytes.IndexFunc(b[min(2, len(b)):], func(r rune) bool { return '@' <= r && r <= '~' })
		switch {
		case len(b) < 2 || b[1] == '[' && end < 0:
			return 0
		case b[1] != '[':
			s.odd = append(s.odd, fmt.Sprintf("%q", b[:2]))
			return 2
		}
		s.sequence(string(b[2 : 3+end]))
		return 3 + end
	}
	if !utf8.FullRune(b) {
		return 0
	}
	r, n := utf8.DecodeRune(b)
	if r < ' ' {
		s.odd = append(s.odd, fmt.Sprintf("%q", r))
		return n
	}
	// A terminal wraps only when something is written behind the last column.
	if s.column == s.columns {
		if s.column--; s.wraps {
			s.column = 0
			s.down()
		}
	}
	s.shown[s.row][s.column] = r
	s.column++
	return n
}

// down goes to the next line, and scrolls at the last one.
func (s *screen) down() {
	if s.row++; s.row == s.rows {
		s.row--
		copy(s.shown, s.shown[1:])
		s.shown[s.row] = slices.Repeat([]rune{' '}, s.columns)
	}
}

// sequence does what the text behind ESC [ says.
func (s *screen) sequence(text string) {
	switch text {
	case "H":
		s.row, s.column = 0, 0
	case "K", "J":
		if text == "J" && s.row == 0 && s.column == 0 && s.text() != "" {
			s.erasures++
		}
		clear := s.shown[s.row][min(s.column, s.columns-1):]
		copy(clear, slices.Repeat([]rune{' '}, len(clear)))
		for i := s.row + 1; text == "J" && i < s.rows; i++ {
			s.shown[i] = slices.Repeat([]rune{' '}, s.columns)
		}
	case "2J":
		if s.text() != "" {
			s.erasures++
		}
		copy(s.shown, blank(s.columns, s.rows))
	case "?1049h":
		s.other = blank(s.columns, s.rows)
		s.shown = s.other
	case "?1049l":
		s.shown = s.normal
	case "?7h", "?7l":
		s.wraps = text == "?7h"
	case "?25h", "?25l":
		s.cursor = text == "?25h"
	case "0m":
	case "1m", "2m", "1;31m":
		s.coloured = true
	default:
		s.odd = append(s.odd, fmt.Sprintf("%q", "\x1b["+text))
	}
}
