// Package tomlpos reads TOML files and finds the line of each key, which the decoder does
// not tell, for error messages. It attaches no meaning to keys.
package tomlpos

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Limits of a file. The decoder spells out the path to every key, so its time and memory
// grow with the square of the depth, and with the number of keys times the length of their
// paths: without the limits, a few kilobytes of brackets cost hundreds of megabytes.
const (
	// MaxDepth is how many brackets may be open around a value. A dot in a key counts as
	// one bracket.
	MaxDepth = 16
	// MaxPath is the length in bytes of the path to a key, with dots between the names.
	MaxPath = 512
)

// A Document is a TOML file and the lines of its keys. Lines count from 1.
type Document struct {
	// Keys has every header and every "key =", in the order of the text and named as
	// toml.MetaData.Keys names them.
	Keys []Key
	// Lines has the line on which each key, table and list element first appears, by path.
	// Paths are spelled as toml.Key spells them, with the index of an element as its name:
	// listener.0.address.
	Lines map[string]int
	// TooDeep is the line on which the text exceeds MaxDepth, or 0.
	TooDeep int
	// LongString is the line of the first string in three quotes, or 0.
	LongString int

	text    string
	refused *SyntaxError   // where the text exceeds a limit; Keys and Lines end there
	repeats map[int]Repeat // by line
}

// A Key is a key or header as the text has it.
type Key struct {
	Name toml.Key
	Line int
}

// A Repeat is a key that was defined before.
type Repeat struct {
	Name  string
	First int // the line of the first definition
}

// Line returns the line of the key at the path, else that of the innermost table or list
// around it, else 0. A path without indices leads to a list but not into it. So a fault of a key
// that is missing gets the line of its section's header.
func (d *Document) Line(path ...string) (line int) {
	at := place{}
	for _, name := range path {
		at = at.below(name)
		n, ok := d.Lines[at.path]
		if !ok {
			break
		}
		line = n
	}
	return line
}

// Repeat returns the key on that line which the decoder refuses because it was defined
// before, if there is one.
func (d *Document) Repeat(line int) (Repeat, bool) {
	r, ok := d.repeats[line]
	return r, ok
}

// A SyntaxError is why a document cannot be decoded. What fits on one line.
type SyntaxError struct {
	Line   int // 0 if it is not known
	What   string
	Remedy string // empty if the reader of the document knows it better
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.What) }

// Decode returns the values of the document, as BurntSushi/toml decodes them into a map. The
// error is a *SyntaxError, which quotes nothing of the document.
func (d *Document) Decode() (values map[string]any, err error) {
	if d.refused != nil {
		return nil, d.refused
	}
	// The decoder panics in states that it considers impossible. A file must not bring
	// the program down.
	defer func() {
		if p := recover(); p != nil {
			values, err = nil, &SyntaxError{What: "not understood as TOML"}
		}
	}()
	_, err = toml.Decode(d.text, &values)
	if err == nil {
		return values, nil
	}
	if syntax, ok := errors.AsType[toml.ParseError](err); ok {
		what := withoutContent(syntax.Message)
		if bytes := d.notText(); bytes != nil && (what == notTOML || isAboutBytes(syntax.Message)) {
			return nil, bytes
		}
		return nil, &SyntaxError{Line: d.lineAt(syntax.Position.Start), What: what}
	}
	return nil, &SyntaxError{What: notTOML}
}

// isAboutBytes reports whether a message of the decoder is about bytes that no TOML has.
func isAboutBytes(message string) bool {
	return slices.ContainsFunc([]string{"control characters", "invalid UTF-8", "NULL bytes"}, func(words string) bool { return strings.Contains(message, words) })
}

// withoutContent returns a message of the decoder without what it quotes from the file: a path
// may lead to a file that is a secret, and errors reach readers of the log.
func withoutContent(message string) string {
	for _, found := range []string{", but got ", " but got ", " but found "} {
		message, _, _ = strings.Cut(message, found)
	}
	for _, whole := range []string{"expected ", "unexpected ", "floats must ", "strings cannot "} { // they quote only TOML's own signs
		if strings.HasPrefix(message, whole) {
			return message
		}
	}
	for _, begin := range []string{"Invalid integer", "Invalid float", "invalid float", "invalid datetime", "invalid escape",
		"cannot use sign with non-decimal numbers", "not a binary number", "not an octal number", "not a hexadecimal number"} {
		if strings.HasPrefix(message, begin) {
			return begin
		}
	}
	switch {
	case strings.Contains(message, "already"):
		return "a key or section is defined twice"
	case strings.Contains(message, "out of range"):
		return "a number is out of range"
	}
	return notTOML
}

// notTOML is What of a SyntaxError about which nothing more can be said.
const notTOML = "not TOML"

// lineAt returns the line of an offset that the decoder names, which counts behind the
// mark. Its own line is one too high for an error at the end of a line.
func (d *Document) lineAt(offset int) int {
	end := min(max(0, offset)+markLength(d.text), len(d.text))
	return 1 + strings.Count(d.text[:end], "\n")
}

// markLength returns the length of the byte order mark that the decoder skips.
func markLength(text string) int {
	for _, mark := range []string{"\ufeff", "\xff\xfe", "\xfe\xff"} {
		if strings.HasPrefix(text, mark) {
			return len(mark)
		}
	}
	return 0
}
