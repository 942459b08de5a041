package meter

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"switchyard/policy/wasm/binary"
)

// dataAt returns an active segment of data.
func dataAt(at int32, content string) []byte {
	return append(append(append([]byte{0}, i32(at)...), opEnd), sized([]byte(content))...)
}

// withData returns a module with a page of memory and these segments.
func withData(counted bool, segments ...[]byte) []byte {
	m := []byte(binary.Preamble)
	m = binary.AppendSection(m, binary.SectionMemory, vectorOf([]byte{0, 1}))
	m = binary.AppendSection(m, binary.SectionExport, vectorOf([]byte{1, 'm', binary.KindMemory, 0}))
	if counted {
		m = binary.AppendSection(m, binary.SectionDataCount, []byte{byte(len(segments))})
	}
	return binary.AppendSection(m, binary.SectionData, vectorOf(segments...))
}

func TestSegmentsAreJoined(t *testing.T) {
	zeros := strings.Repeat("\x00", maxGap)
	for _, c := range []struct {
		name    string
		counted bool
		given   [][]byte
		want    [][]byte // nil: as given
	}{
		{"near", false, [][]byte{dataAt(16, "ab"), dataAt(20, "c")}, [][]byte{dataAt(16, "ab\x00\x00c")}},
		{"adjacent", false, [][]byte{dataAt(0, "ab"), dataAt(2, "c")}, [][]byte{dataAt(0, "abc")}},
		{"as far as may be", false, [][]byte{dataAt(9, "a"), dataAt(10+maxGap, "b")}, [][]byte{dataAt(9, "a"+zeros+"b")}},
		{"too far", false, [][]byte{dataAt(9, "a"), dataAt(11+maxGap, "b")}, nil},
		{"in groups", false, [][]byte{dataAt(0, "a"), dataAt(2, "b"), dataAt(1000, "c"), dataAt(1002, "d"), dataAt(3000, "")},
			[][]byte{dataAt(0, "a\x00b"), dataAt(1000, "c\x00d"), dataAt(3000, "")}},
		{"one", false, [][]byte{dataAt(5, "a")}, nil},
		{"overlapping", false, [][]byte{dataAt(0, "abc"), dataAt(2, "d")}, nil},
		{"backwards", false, [][]byte{dataAt(9, "b"), dataAt(0, "a")}, nil},
		{"back and forth", false, [][]byte{dataAt(900, "c"), dataAt(902, "d"), dataAt(9, "a"), dataAt(11, "b")},
			[][]byte{dataAt(900, "c\x00d"), dataAt(9, "a\x00b")}},
		{"back into a gap", false, [][]byte{dataAt(0, "a"), dataAt(9, "b"), dataAt(1, "c")}, nil},
		{"over what was there", false, [][]byte{dataAt(5, "b"), dataAt(0, "a"), dataAt(9, "c")}, nil},
		{"with numbers", true, [][]byte{dataAt(0, "a"), dataAt(2, "b")}, nil},
		{"passive", false, [][]byte{dataAt(0, "a"), {1, 1, 'b'}, dataAt(2, "c")}, nil},
		{"with the memory's number", false, [][]byte{dataAt(0, "a"), slices.Concat([]byte{2, 0}, i32(2), []byte{opEnd, 1, 'b'})}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			given := withData(c.counted, c.given...)
			if c.want == nil {
				c.want = c.given
			}
			rewritten := mustRewrite(t, given, ample)
			if want := binary.AppendSection(nil, binary.SectionData, vectorOf(c.want...)); !bytes.HasSuffix(rewritten, want) {
				t.Errorf("got % x, want it to end in % x", rewritten, want)
			}
			before, _ := instantiate(t, given).ExportedMemory("m").Read(0, 1<<16)
			after, _ := instantiate(t, rewritten).ExportedMemory("m").Read(0, 1<<16)
			if !bytes.Equal(before, after) {
				t.Error("the memory begins otherwise")
			}
		})
	}
}

// TestSegmentsOutOfBounds holds that data outside of the memory is still refused.
func TestSegmentsOutOfBounds(t *testing.T) {
	for _, segments := range [][][]byte{
		{dataAt(65530, "a"), dataAt(65535, "bc")},
		{dataAt(0, "a"), dataAt(-1, "b")},
		{dataAt(-2, "a"), dataAt(-1, "bcd")},
	} {
		rt := newRuntime(t)
		if _, err := rt.Instantiate(ctx, mustRewrite(t, withData(false, segments...), ample)); err == nil {
			t.Errorf("% x: instantiated", segments)
		}
	}
}
