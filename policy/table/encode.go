package table

// The part of WebAssembly's binary format that a module of a table consists of.

const (
	sectionCustom   = 0
	sectionType     = 1
	sectionFunction = 3
	sectionExport   = 7
	sectionCode     = 10

	funcType   = 0x60
	exportFunc = 0x00
	typeI32    = 0x7f
	typeI64    = 0x7e
	typeVoid   = 0x40

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
func section(m []byte, id byte, content []byte) []byte {
	return append(append(m, id), sized(content)...)
}

// vector returns the number of elements and the elements.
func vector(elements ...[]byte) []byte {
	b := appendUnsigned(nil, uint64(len(elements)))
	for _, e := range elements {
		b = append(b, e...)
	}
	return b
}

// name returns the length of the name in bytes and the name.
func name(s string) []byte { return sized([]byte(s)) }

// sized returns the length of b and b.
func sized(b []byte) []byte {
	return append(appendUnsigned(nil, uint64(len(b))), b...)
}

// appendUnsigned appends n as unsigned LEB128: seven bits a byte, low ones first.
func appendUnsigned(b []byte, n uint64) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// appendSigned appends n as signed LEB128: bit 6 of the last byte is the sign.
func appendSigned(b []byte, n int64) []byte {
	for n < -0x40 || n >= 0x40 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n)&0x7f)
}
