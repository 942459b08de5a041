package cases

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"switchyard/policy/tomlpos"
)

// A block is one part of a file, decoded by itself: what is above the first case, or
// one case. So a syntax fault in one case hides no faults of other cases.
type block struct {
	text   []byte
	first  int // the line of the file on which the block begins
	doc    *tomlpos.Document
	values map[string]any
}

var caseHeader = regexp.MustCompile(`^[ \t]*\[\[[ \t]*case[ \t]*\]\]`)

// split cuts a file before each [[case]], which becomes a [case] of its block. Lines stay lines, so
// a line of a block is that of the file less first:
//
//	1  [peers]                      block 0, first 1
//	2  a = { users = [1] }
//	3  [[case]]                     block 1, first 3, decoded as [case]
//	4  from = "a"
//	5  [[case]]                     block 2, first 5
//
// A [[case]] within a string of several lines would be cut as well; such strings are refused.
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

// A fault is what is wrong on a line of the file.
type fault struct {
	line         int
	what, remedy string
}

// decode reads the block as TOML. It returns a fault of its syntax, or nil.
func (b *block) decode() *fault {
	if len(b.text) > maxBlock {
		return &fault{b.first, fmt.Sprintf("%d bytes without a new case, at most %d are read", len(b.text), maxBlock), "write less into one case"}
	}
	b.doc = tomlpos.Scan(b.text)
	if f := b.bounded(); f != nil {
		return f
	}
	var err error
	b.values, err = b.doc.Decode()
	if syntax, ok := errors.AsType[*tomlpos.SyntaxError](err); ok {
		return &fault{b.inFile(syntax.Line), syntax.What, cmp.Or(syntax.Remedy, "correct the TOML; strings need quotes, and a table in braces must be on one line")}
	}
	return nil
}

// What a block may have at most.
const (
	maxBlock = 256 << 10 // bytes
	maxKeys  = 2000
)

// bounded refuses what no case needs, before the decoder takes time and memory for it.
func (b *block) bounded() *fault {
	switch doc := b.doc; {
	case doc.LongString > 0:
		return &fault{b.inFile(doc.LongString), "a string of several lines", `write it on one line, \n for a new one`}
	case doc.TooDeep > 0:
		return &fault{b.inFile(doc.TooDeep), "nests deeper than any message", "close what was opened"}
	case len(doc.Keys) > maxKeys:
		return &fault{b.inFile(doc.Keys[maxKeys].Line), fmt.Sprintf("more than %d keys without a new case", maxKeys), "write less into one case"}
	}
	return nil
}

// inFile converts a line of the block to one of the file; 0 is the first line.
func (b *block) inFile(line int) int { return b.first - 1 + cmp.Or(line, 1) }

// line returns the line of what is at the path, or of the nearest above it.
func (b *block) line(path ...string) int { return b.inFile(b.doc.Line(path...)) }

// order returns the names below the path in the order in which they are written.
func (b *block) order(path ...string) []string {
	var names []string
	for _, key := range b.doc.Keys {
		name := key.Name
		if len(name) > len(path) && slices.Equal(name[:len(path)], path) && !slices.Contains(names, name[len(path)]) {
			names = append(names, name[len(path)])
		}
	}
	return names
}
