// Package tomlfmt writes TOML files in one form. It attaches no meaning to keys, so a file may
// have keys that no version of this program knows. Nothing is lost or reordered: values are spelled
// as before, and every comment stays with its line.
//
//	[ route ]                            [route]
//	CID_MSG_DATA="broadcast-all" # all   CID_MSG_DATA    = "broadcast-all" # all
//	CID_FILE_NOTIFY  = "drop"            CID_FILE_NOTIFY = "drop"
//	list=[1,2,                           list            = [
//	  3]                                   1, 2,
//	                                       3,
//	                                     ]
//
// Rows without a blank line between them are a block, whose = and whose comments are aligned. A
// section begins behind one blank line. A list over several lines keeps its rows.
package tomlfmt

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"switchyard/policy/tomlpos"
)

// Format returns the text in its one form. Format of that is the same. The error is a
// *tomlpos.SyntaxError if the text is not TOML.
func Format(text string) (string, error) {
	before, err := tomlpos.Scan([]byte(text)).Decode()
	if err != nil {
		return "", err
	}
	s := scanner{Cursor: tomlpos.Cursor{Text: text}}
	lines := s.lines()
	formatted := write(arrange(lines))
	// What was written is read again, because a formatter that loses a row of a routing table would
	// change what is routed.
	after, err := tomlpos.Scan([]byte(formatted)).Decode()
	again := scanner{Cursor: tomlpos.Cursor{Text: formatted}}
	again.lines()
	if err != nil || s.failed || !reflect.DeepEqual(before, after) || !slices.Equal(s.comments, again.comments) {
		return "", errors.New("it cannot be formatted without a change of its meaning; it stays as it is")
	}
	return formatted, nil
}

// A line is a row of the text, or several if its value has them.
type line struct {
	kind    kind
	key     string // of an entry; of a header, all of it
	value   string // of an entry
	comment string // from # on; empty for none
}

type kind int

const (
	blank kind = iota
	remark
	header
	entry
)

// arrange puts blank lines where they belong: none at the beginning, at the end and after a header,
// one before a header and what is remarked above it, and nowhere more than one.
func arrange(lines []line) (arranged []line) {
	last := func() kind {
		if len(arranged) == 0 {
			return header
		}
		return arranged[len(arranged)-1].kind
	}
	for _, l := range lines {
		switch {
		case l.kind == blank && (last() == blank || last() == header):
			continue
		case l.kind == header:
			first := len(arranged)
			for first > 0 && arranged[first-1].kind == remark {
				first--
			}
			if first > 0 && arranged[first-1].kind != blank {
				arranged = slices.Insert(arranged, first, line{})
			}
		}
		arranged = append(arranged, l)
	}
	for len(arranged) > 0 && last() == blank {
		arranged = arranged[:len(arranged)-1]
	}
	return arranged
}

// write returns the lines as text, block by block.
func write(lines []line) string {
	var b strings.Builder
	for len(lines) > 0 {
		end := slices.IndexFunc(lines, func(l line) bool { return l.kind == blank || l.kind == header })
		switch {
		case end == 0:
			writeLine(&b, lines[0].key, lines[0].comment, 0)
			end = 1
		default:
			if end < 0 {
				end = len(lines)
			}
			writeBlock(&b, lines[:end])
		}
		lines = lines[end:]
	}
	return b.String()
}

// writeBlock writes entries and remarks, and aligns the entries.
func writeBlock(b *strings.Builder, block []line) {
	keys, values := 0, 0
	for _, l := range block {
		keys = max(keys, width(l.key))
		if l.comment != "" && l.kind == entry && !strings.Contains(l.value, "\n") {
			values = max(values, width(l.value))
		}
	}
	for _, l := range block {
		if l.kind == remark {
			b.WriteString(l.comment + "\n")
			continue
		}
		text := l.key + strings.Repeat(" ", keys-width(l.key)) + " = " + l.value
		column := keys + len(" = ") + values
		if strings.Contains(l.value, "\n") {
			column = 0
		}
		writeLine(b, text, l.comment, column)
	}
}

// writeLine writes a text, and its comment one column behind the given one at least.
func writeLine(b *strings.Builder, text, comment string, column int) {
	b.WriteString(text)
	if comment != "" {
		b.WriteString(strings.Repeat(" ", max(0, column-width(text))+1) + comment)
	}
	b.WriteString("\n")
}

func width(text string) int { return utf8.RuneCountInString(text) }
