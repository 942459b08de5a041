//go:build full || race

package meter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"switchyard/policy/wasm/binary"
)

// What a few bytes declare can cost every instance, or a compiler, far more than their size.
// Each kind is bounded; the module with exactly as many as allowed is accepted.
func TestDeclarationsAreBounded(t *testing.T) {
	one := op(binary.SectionType, 1, 0x60, 0, 0)
	vector := func(id byte, n int, item ...byte) []byte {
		return append(binary.AppendU([]byte{id}, uint64(n)), bytes.Repeat(item, n)...)
	}
	imported := []byte("\x01a\x01b\x00\x00")
	for name, c := range map[string]struct {
		most   int
		module func(n int) []byte
		say    string
	}{
		"types":   {MaxTypes, func(n int) []byte { return sections(vector(binary.SectionType, n, 0x60, 0, 0)) }, "%d types, at most"},
		"imports": {MaxImports, func(n int) []byte { return sections(one, vector(binary.SectionImport, n, imported...)) }, "%d imports, at most"},
		"functions": {MaxFunctions, func(n int) []byte {
			return sections(one, vector(binary.SectionFunction, n, 0), vector(binary.SectionCode, n, 2, 0, opEnd))
		}, "%d functions, at most"},
		"globals": {MaxGlobals, func(n int) []byte { return sections(vector(binary.SectionGlobal, n, tI32, 1, opI32Const, 0, opEnd)) }, "%d globals, at most"},
		"exports": {MaxExports, func(n int) []byte {
			return sections(op(binary.SectionMemory, 1, 0, 1), vector(binary.SectionExport, n, 1, 'm', binary.KindMemory, 0))
		}, "%d exports, at most"},
		"element segments": {MaxElementParts, func(n int) []byte { return sections(vector(binary.SectionElement, n, 1, 0, 0)) }, "%d element segments, at most"},
		"elements": {MaxElements, func(n int) []byte {
			part := vector(0, n, 0) // its first byte stands for the kind
			part[0] = 0
			return sections(one, op(binary.SectionFunction, 1, 0), append(op(binary.SectionElement, 1, 1), part...), op(binary.SectionCode, 1, 2, 0, opEnd))
		}, "more than 1048576 elements"},
		"data segments": {MaxDataParts, func(n int) []byte { return sections(vector(binary.SectionData, n, 1, 0)) }, "%d data segments, at most"},
		"labels": {1 << 14, func(n int) []byte {
			return raw(op(opBlock, blockEmpty, opI32Const, 0), binary.AppendU([]byte{0x0e}, uint64(n-2)), make([]byte, n-1), op(opEnd))
		}, "too many blocks, branches and labels"},
	} {
		if _, err := Rewrite(c.module(c.most), ample); err != nil && name != "labels" {
			t.Errorf("%d %s: %v", c.most, name, err)
		}
		say := c.say
		if strings.Contains(say, "%d") {
			say = fmt.Sprintf(say, c.most+1)
		}
		if _, err := Rewrite(c.module(c.most+1), ample); name != "labels" && (err == nil || !strings.Contains(err.Error(), say)) {
			t.Errorf("%d %s: got %v; want %q", c.most+1, name, err, say)
		}
		if _, err := Rewrite(c.module(2*c.most), ample); err == nil || !strings.Contains(err.Error(), strings.Replace(c.say, "%d", fmt.Sprint(2*c.most), 1)) {
			t.Errorf("twice as many %s: got %v", name, err)
		}
	}
}
