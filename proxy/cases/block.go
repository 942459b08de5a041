package cases

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/BurntSushi/toml"

	"switchyard/policy/tomlpos"
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
	var err error
	if b.meta, err = tomlpos.Decode(b.text, &b.root); err == nil {
		b.values, err = tomlpos.Values(&b.meta, b.root)
	}
	var syntax toml.ParseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return &place{b.first - 1 + tomlpos.At(b.text, syntax.Position), tomlpos.Printable(syntax.Message), "correct the TOML; strings stand in quotes, and a table in braces on one line"}
	default:
		return &place{b.first, tomlpos.Printable(err.Error()), "correct the TOML"}
	}
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
		marks := tomlpos.Marks(line)
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

// line returns the line of what stands at the path, or of what is nearest above it.
func (b *block) line(path ...string) int {
	line, level := b.first, b.root
	for _, name := range path {
		p, ok := level[name]
		if !ok {
			return line
		}
		if n := tomlpos.Of(b.text, &b.meta, p); n > 0 {
			line = b.first - 1 + n
		}
		below := make(map[string]toml.Primitive)
		if b.meta.PrimitiveDecode(p, &below) != nil {
			return line
		}
		level = below
	}
	return line
}

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
