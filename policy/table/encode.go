package table

import "switchyard/policy/wasm/binary"

// The part of WebAssembly's binary format that the module of a table needs. Numbers in code are
// signed LEB128: 16 is `10`, and 0x0301 is `81 06`. Package binary has the rest; this file only
// gives its names the shape in which module.go reads like the text format.

const (
	sectionCustom   = binary.SectionCustom
	sectionType     = binary.SectionType
	sectionFunction = binary.SectionFunction
	sectionExport   = binary.SectionExport
	sectionCode     = binary.SectionCode

	funcType   = binary.Func
	exportFunc = binary.KindFunction
	typeI32    = binary.I32
	typeI64    = binary.I64
	typeVoid   = binary.Block

	opIf       = 0x04
	opElse     = 0x05
	opEnd      = 0x0b
	opReturn   = 0x0f
	opLocalGet = 0x20
	opLocalSet = 0x21
	opI32Const = 0x41
	opI64Const = 0x42
	opI32LtU   = 0x49
	opI32Or    = 0x72
	opI32Shl   = 0x74
	opI32ShrU  = 0x76
)

// section appends a section: its id, its length in bytes, its content.
func section(m []byte, id byte, content []byte) []byte { return binary.AppendSection(m, id, content) }

// vector returns the number of elements and the elements.
func vector(elements ...[]byte) []byte { return binary.AppendVector(nil, elements...) }

// name returns the length of the name in bytes and the name.
func name(s string) []byte { return sized([]byte(s)) }

// sized returns the length of b and b.
func sized(b []byte) []byte { return binary.AppendSized(nil, b) }

// appendSigned appends n as signed LEB128.
func appendSigned(b []byte, n int64) []byte { return binary.AppendS(b, n) }
