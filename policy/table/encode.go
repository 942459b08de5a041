package table

import "switchyard/policy/wasm/binary"

// The part of WebAssembly's binary format that the module of a table needs. Numbers in code are
// signed LEB128: 16 is `10`, and 0x0301 is `81 06`. Package binary has the rest; this file only
// gives its names the shape in which module.go reads like the text format.

const (
	funcType = binary.Func
	typeI32  = binary.I32
	typeI64  = binary.I64
	typeVoid = binary.Block

	opIf        = 0x04
	opElse      = 0x05
	opEnd       = 0x0b
	opReturn    = 0x0f
	opCall      = 0x10
	opLocalGet  = 0x20
	opLocalSet  = 0x21
	opGlobalGet = 0x23
	opI32Const  = 0x41
	opI64Const  = 0x42
	opI32Eqz    = 0x45
	opI32Eq     = 0x46
	opI32LtU    = 0x49
	opI64Ne     = 0x52
	opI64LeU    = 0x58
	opI32And    = 0x71
	opI32Or     = 0x72
	opI32Shl    = 0x74
	opI32ShrU   = 0x76
	opI64Sub    = 0x7d
	opI64And    = 0x83
	opI64Or     = 0x84
	opI64ShrU   = 0x88
	opI32Wrap   = 0xa7
)

// vector returns the number of elements and the elements.
func vector(elements ...[]byte) []byte { return binary.AppendVector(nil, elements...) }

// name returns the length of the name in bytes and the name.
func name(s string) []byte { return sized([]byte(s)) }

// sized returns the length of b and b.
func sized(b []byte) []byte { return binary.AppendSized(nil, b) }

// appendSigned appends n as signed LEB128.
func appendSigned(b []byte, n int64) []byte { return binary.AppendS(b, n) }
