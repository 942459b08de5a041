package binary

import (
	"bytes"
	"strings"
	"testing"
)

// Numbers of every length, with their bytes.
var numbers = []struct {
	v     int64
	bytes string // signed
}{
	{0, "\x00"}, {1, "\x01"}, {63, "\x3f"}, {64, "\xc0\x00"}, {-1, "\x7f"}, {-64, "\x40"}, {-65, "\xbf\x7f"},
	{1<<31 - 1, "\xff\xff\xff\xff\x07"}, {-1 << 31, "\x80\x80\x80\x80\x78"},
	{1<<63 - 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"}, {-1 << 63, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f"},
}

func TestNumbers(t *testing.T) {
	for _, tt := range numbers {
		b := AppendS([]byte{9}, tt.v)
		if string(b) != "\x09"+tt.bytes {
			t.Errorf("AppendS(%d) = % x, want % x", tt.v, b[1:], tt.bytes)
		}
		r := NewReader(b[1:])
		if v := r.S64(); v != tt.v || r.Err != nil || r.Left() != 0 {
			t.Errorf("S64(% x) = %d, %v; want %d", b[1:], v, r.Err, tt.v)
		}
	}
	for _, v := range []uint32{0, 127, 128, 1 << 31, 1<<32 - 1} {
		r := NewReader(AppendU(nil, uint64(v)))
		if got := r.U32(); got != v || r.Err != nil || r.Left() != 0 {
			t.Errorf("U32 = %d, %v; want %d", got, r.Err, v)
		}
	}
}

// A number may not be longer than its bits need, and the bits that do not fit must be
// zero or copies of the sign.
func TestNumbersThatDoNotFit(t *testing.T) {
	u32 := func(r *Reader) int64 { return int64(r.U32()) }
	s32 := func(r *Reader) int64 { return int64(r.S32()) }
	for _, tt := range []struct {
		bytes string
		read  func(*Reader) int64
		want  int64 // -7 for a fault
	}{
		{"\xff\xff\xff\xff\x0f", u32, 1<<32 - 1},
		{"\xff\xff\xff\xff\x1f", u32, -7},
		{"\x80\x80\x80\x80\x80\x00", u32, -7},
		{"\xff\xff\xff\xff\x7f", s32, -1},
		{"\xff\xff\xff\xff\x3f", s32, -7},
		{"\xff\xff\xff\xff\x0f", (*Reader).S33, 1<<32 - 1},
		{"\x80\x80\x80\x80\x70", (*Reader).S33, -1 << 32},
		{"\x80\x80\x80\x80\x20", (*Reader).S33, -7},
		{"\x80", u32, -7},
		{"", u32, -7},
	} {
		r := NewReader([]byte(tt.bytes))
		if v := tt.read(r); tt.want == -7 && (r.Err == nil || v != 0 || r.Left() != 0) || tt.want != -7 && (v != tt.want || r.Err != nil) {
			t.Errorf("% x: %d, %v; want %d", tt.bytes, v, r.Err, tt.want)
		}
	}
}

func TestFirstFaultStays(t *testing.T) {
	r := NewReader([]byte{3, 1})
	r.Count(1, "items")
	const want = "byte 0: 3 items do not fit into the 1 bytes left"
	if r.Bytes(1); r.Err == nil || r.Err.Error() != want || r.Left() != 0 {
		t.Errorf("%v, %d bytes left; want %s", r.Err, r.Left(), want)
	}
	if r.Index(5, "type"); r.Err.Error() != want || r.Byte() != 0 || r.Name() != "" {
		t.Errorf("later reads give something: %v", r.Err)
	}
}

func TestReadersSay(t *testing.T) {
	for want, read := range map[string]func(*Reader){
		"byte 0: type 3 does not exist, there are 3":                                         func(r *Reader) { r.Index(3, "type") },
		"byte 0: a name is not UTF-8":                                                        func(r *Reader) { r.Name() },
		"byte 0: a function has 3 bytes, 2 are left":                                         func(r *Reader) { r.Byte(); r.Pos--; r.End--; r.Part("a function") },
		"byte 0: value type 0x3 is not known":                                                func(r *Reader) { r.ValueType() },
		"byte 0: reference type 0x3 is not known":                                            func(r *Reader) { r.RefType() },
		"byte 0: limits of kind 0x3 are of shared or 64-bit memory, which are not supported": func(r *Reader) { r.Limits() },
		"byte 0: 4 bytes are left over after the end":                                        func(r *Reader) { r.Done("the end") },
		"byte 0: 5 bytes are announced, 4 are left":                                          func(r *Reader) { r.Bytes(5) },
	} {
		r := NewReader([]byte("\x03\xff\x61\x62"))
		if read(r); r.Err == nil || r.Err.Error() != want {
			t.Errorf("%v, want %s", r.Err, want)
		}
	}
}

func TestTypes(t *testing.T) {
	r := NewReader([]byte{I64, ExternRef, 0, 5, 1, 5, 7})
	if v, ref := r.ValueType(), r.RefType(); v != I64 || ref != ExternRef {
		t.Errorf("types %#x, %#x", v, ref)
	}
	if lo, hi := r.Limits(); lo != 5 || hi != 1<<32-1 {
		t.Errorf("limits without a maximum are %d–%d", lo, hi)
	}
	if lo, hi := r.Limits(); lo != 5 || hi != 7 || r.Err != nil || r.Left() != 0 {
		t.Errorf("limits are %d–%d, %v", lo, hi, r.Err)
	}
}

// The package comment's module, written and read.
func TestModule(t *testing.T) {
	m := AppendSection([]byte(Preamble), SectionType, AppendVector(nil, []byte{Func, 0, 0}))
	m = AppendSection(m, SectionExport, []byte{1}, AppendSized(nil, []byte("x")), []byte{KindFunction, 0})
	const want = "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x07\x05\x01\x01\x78\x00\x00"
	if string(m) != want {
		t.Fatalf("got % x, want % x", m, want)
	}
	r := NewReader(m)
	r.Bytes(len(Preamble))
	var seen []string
	for r.Left() > 0 {
		id := r.Byte()
		s := r.Part("a section")
		seen = append(seen, SectionNames[id])
		if id == SectionExport && (s.Count(3, "exports") != 1 || s.Name() != "x" || s.Left() != 2) {
			t.Errorf("%v; the export is not read", s.Err)
		}
	}
	if r.Err != nil || strings.Join(seen, " ") != "type export" {
		t.Errorf("%v, sections %v", r.Err, seen)
	}
}

// Whatever the bytes are, a reader stays within them and ends.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x01\x04\x01\x60\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(b)
		for r.Left() > 0 {
			pos := r.Pos
			s := r.Part("a part")
			for range s.Count(1, "items") {
				s.S33()
			}
			if s.Pos > s.End || s.End > r.Pos || r.Err == nil && r.Pos <= pos {
				t.Fatalf("at %d of %d: the part is %d–%d", r.Pos, len(b), s.Pos, s.End)
			}
		}
		r = NewReader(b)
		if v := r.S64(); r.Err == nil && len(AppendS(nil, v)) > r.Pos {
			t.Fatalf("%d was read from %d bytes and takes %d", v, r.Pos, len(AppendS(nil, v)))
		}
		if name := NewReader(AppendSized(nil, bytes.ToValidUTF8(b, nil))).Name(); name != string(bytes.ToValidUTF8(b, nil)) {
			t.Fatalf("a name is read as %q", name)
		}
	})
}
