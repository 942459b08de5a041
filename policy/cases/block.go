package cases

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// A block is one part of a file, decoded by itself: what stands above the first
// case, or one case. So each fault has its line, and a case whose syntax is faulty
// hides no other.
type block struct {
	text   []byte
	first  int // the line of the file that its first one is
	meta   toml.MetaData
	root   map[string]toml.Primitive // for positions
	values map[string]any
}

var caseHeader = regexp.MustCompile(`^[ \t]*\[\[[ \t]*case[ \t]*\]\]`)

// split cuts a file before each [[case]].
func split(src []byte) []*block {
	blocks := []*block{{first: 1}}
	number := 0
	for line := range bytes.Lines(src) {
		number++
		if header := caseHeader.Find(line); header != nil {
			line = append([]byte("[case]"), line[len(header):]...)
			blocks = append(blocks, &block{first: number})
		}
		last := blocks[len(blocks)-1]
		last.text = append(last.text, line...)
	}
	return blocks
}

// A place is where something is wrong, and what.
type place struct {
	line         int
	what, remedy string
}

// decode reads the block as TOML. It returns what is wrong with its syntax, or nil.
func (b *block) decode() *place {
	if p := b.bounded(); p != nil {
		return p
	}
	err := b.decodeText()
	var syntax toml.ParseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return &place{b.lineAt(syntax.Position), printable(syntax.Message), "correct the TOML; strings stand in quotes, and a table in braces on one line"}
	default:
		return &place{b.first, printable(err.Error()), "correct the TOML"}
	}
}

// decodeText turns panics of the decoder into errors.
func (b *block) decodeText() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("not understood as TOML: %v", p)
		}
	}()
	if b.meta, err = toml.Decode(string(b.text), &b.root); err != nil {
		return err
	}
	b.values = make(map[string]any)
	for name, p := range b.root {
		var v any
		if err := b.meta.PrimitiveDecode(p, &v); err != nil {
			return err
		}
		b.values[name] = v
	}
	return nil
}

// What a block may have at most, so that the decoder takes no time or memory out of
// proportion.
const (
	maxBlock = 256 << 10
	maxKeys  = 2000
	deepest  = 16
)

func (b *block) bounded() *place {
	if len(b.text) > maxBlock {
		return &place{b.first, fmt.Sprintf("%d bytes without a new case, at most %d are read", len(b.text), maxBlock), "write less into one case"}
	}
	number, depth, keys := b.first-1, 0, 0
	for line := range bytes.Lines(b.text) {
		number++
		marks := marksOf(line)
		keys += bytes.Count(marks, []byte("="))
		depth += bytes.Count(marks, []byte("[")) + bytes.Count(marks, []byte("{"))
		switch {
		case bytes.ContainsAny(marks, `"'`):
			return &place{number, "a string of several lines", `write it on one line, \n for a new one`}
		case depth > deepest || bytes.Count(marks, []byte(".")) > maxKeys:
			return &place{number, "nests deeper than any message", "close what was opened"}
		case keys > maxKeys:
			return &place{number, fmt.Sprintf("more than %d keys without a new case", maxKeys), "write less into one case"}
		}
		depth = max(0, depth-bytes.Count(marks, []byte("]"))-bytes.Count(marks, []byte("}")))
	}
	return nil
}

// marksOf returns the line without strings and comment, and with a quote where a
// string of several lines begins.
func marksOf(line []byte) []byte {
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

func printable(message string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, message)
}

// lineAt counts for itself: the decoder's own count is one too high at the end of a
// line.
func (b *block) lineAt(p toml.Position) int {
	return b.first + bytes.Count(b.text[:max(0, min(p.Start, len(b.text)))], []byte("\n"))
}

// line returns the line of what stands at the path, or of what is nearest above it.
func (b *block) line(path ...string) int {
	line, level := b.first, b.root
	for _, name := range path {
		p, ok := level[name]
		if !ok {
			return line
		}
		// The decoder keeps positions for its own errors only, so it is asked for one.
		var refused toml.ParseError
		if errors.As(b.meta.PrimitiveDecode(p, refuser{}), &refused) && refused.Position.Line > 0 {
			line = b.lineAt(refused.Position)
		}
		below := make(map[string]toml.Primitive)
		if b.meta.PrimitiveDecode(p, &below) != nil {
			return line
		}
		level = below
	}
	return line
}

// A refuser is a target that no value can be decoded to.
type refuser struct{}

func (refuser) UnmarshalTOML(any) error { return errors.New("refused") }

// order returns the names below the path in the order in which they are written.
func (b *block) order(path ...string) []string {
	var names []string
	for _, key := range b.meta.Keys() {
		if len(key) > len(path) && slices.Equal(key[:len(path)], path) && !slices.Contains(names, key[len(path)]) {
			names = append(names, key[len(path)])
		}
	}
	return names
}
