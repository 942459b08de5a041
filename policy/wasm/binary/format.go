// Package binary reads and writes WebAssembly's binary format below the level of
// instructions: the preamble, sections, numbers, names and types. It judges nothing but
// the form, and never trusts a size beyond the bytes that are there.
//
// A module is the preamble and its sections, each an id, a size and a content; most
// contents are a vector, which is a count and the items:
//
//	00 61 73 6d 01 00 00 00   preamble
//	01 04 01 60 00 00         section 1 (types) of 4 bytes: one item, func () -> ()
//	07 05 01 01 78 00 00      section 7 (exports) of 5 bytes: one item, "x" is function 0
//
// Numbers are LEB128: seven bits in each byte, low ones first, the high bit set in all
// bytes but the last.
package binary

// Preamble begins every core module: the magic and version 1.
const Preamble = "\x00asm\x01\x00\x00\x00"

// Ids of the sections. They do not follow their order in a module.
const (
	SectionCustom    = 0
	SectionType      = 1
	SectionImport    = 2
	SectionFunction  = 3
	SectionTable     = 4
	SectionMemory    = 5
	SectionGlobal    = 6
	SectionExport    = 7
	SectionStart     = 8
	SectionElement   = 9
	SectionCode      = 10
	SectionData      = 11
	SectionDataCount = 12
	Sections         = 13 // how many there are
)

// SectionNames holds the name of every section, indexed by its id.
var SectionNames = [Sections]string{"custom", "type", "import", "function", "table", "memory", "global",
	"export", "start", "element", "code", "data", "data count"}

// Kinds of imports and exports.
const (
	KindFunction = 0
	KindTable    = 1
	KindMemory   = 2
	KindGlobal   = 3
)

// Types. Block is the type of a block without parameters and results.
const (
	I32       = 0x7f
	I64       = 0x7e
	F32       = 0x7d
	F64       = 0x7c
	V128      = 0x7b
	FuncRef   = 0x70
	ExternRef = 0x6f
	Func      = 0x60
	Block     = 0x40
)

// ValueType reads the type of a value.
func (r *Reader) ValueType() byte {
	switch b := r.Byte(); b {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
		return b
	default:
		if r.Err == nil {
			r.FailAt(r.Pos-1, "value type %#x is %s", b, strange(b))
		}
		return 0
	}
}

// RefType reads the type of a reference.
func (r *Reader) RefType() byte {
	b := r.Byte()
	if r.Err == nil && b != FuncRef && b != ExternRef {
		r.FailAt(r.Pos-1, "reference type %#x is %s", b, strange(b))
	}
	return b
}

// strange says what a type is that is none of those above.
func strange(b byte) string {
	const first, last = 0x62, 0x74 // of references with a type, and of what only those can name
	if b >= first && b <= last {
		return "of typed references, which are not supported"
	}
	return "not known"
}

// Limits reads the sizes of a table or a memory. Without a maximum it returns
// the largest.
func (r *Reader) Limits() (lo, hi uint32) {
	flags := r.Byte()
	if flags > 1 && r.Err == nil {
		r.FailAt(r.Pos-1, "limits of kind %#x are of shared or 64-bit memory, which are not supported", flags)
	}
	lo, hi = r.U32(), ^uint32(0)
	if flags == 1 {
		hi = r.U32()
	}
	return lo, hi
}
