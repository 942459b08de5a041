// Package tomlpos is what readers of TOML files that people write have in common: faults
// that name a line, and where in the text something stands. What a file may hold is its
// reader's business.
package tomlpos

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// An Error is one fault of a file, and what to do about it.
type Error struct {
	Name   string // of the file
	Line   int    // from 1
	What   string
	Remedy string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s; %s", e.Name, e.Line, e.What, e.Remedy) }

// Errors is every fault of a file.
type Errors []*Error

// Error returns one line for each fault.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, fault := range e {
		texts[i] = fault.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap returns the faults, each an *Error.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, fault := range e {
		errs[i] = fault
	}
	return errs
}

// Sort puts them in the order of lines.
func (e Errors) Sort() {
	slices.SortStableFunc(e, func(a, b *Error) int { return a.Line - b.Line })
}

// Marks returns what structures a line: its text without strings and comment, and with
// a quote where a string of several lines begins.
func Marks(line []byte) []byte {
	var marks []byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '#':
			return marks
		case c != '"' && c != '\'':
			marks = append(marks, c)
			continue
		case bytes.HasPrefix(line[i:], []byte{c, c, c}):
			return append(marks, c)
		}
		for i++; i < len(line) && line[i] != c; i++ {
			if c == '"' && line[i] == '\\' {
				i++
			}
		}
	}
	return marks
}

// Decode is toml.Decode. It turns the decoder's panics, which it has for states that it
// takes for impossible, into errors: a file must not bring the program down.
func Decode(text []byte, into any) (meta toml.MetaData, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("not understood as TOML: %v", p)
		}
	}()
	return toml.Decode(string(text), into)
}

// Values returns what the decoder found at the root of a file, as any. Its errors and
// panics are those of Decode.
func Values(meta *toml.MetaData, root map[string]toml.Primitive) (values map[string]any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("not understood as TOML: %v", p)
		}
	}()
	values = make(map[string]any)
	for name, p := range root {
		var v any
		err = errors.Join(err, meta.PrimitiveDecode(p, &v))
		values[name] = v
	}
	return values, err
}

// Printable keeps a message of the decoder, which may quote the file, on one line.
func Printable(message string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, message)
}

// At returns the line, from 1, of a position in the text. It counts for itself: the
// decoder's own count is one too high for an error at the end of a line.
func At(text []byte, p toml.Position) int {
	return 1 + bytes.Count(text[:max(0, min(p.Start, len(text)))], []byte("\n"))
}

// Of returns the line of what was decoded to p, or 0 if that is not known. The decoder
// keeps positions for its own errors only, so it is asked for one.
func Of(text []byte, meta *toml.MetaData, p toml.Primitive) int {
	var refused toml.ParseError
	if !errors.As(meta.PrimitiveDecode(p, refuser{}), &refused) || refused.Position.Line == 0 {
		return 0
	}
	return At(text, refused.Position)
}

// A refuser is a target that no value can be decoded to.
type refuser struct{}

func (refuser) UnmarshalTOML(any) error { return errors.New("refused") }
