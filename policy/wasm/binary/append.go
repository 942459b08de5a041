package binary

import "encoding/binary"

// AppendU appends v as unsigned LEB128, in as few bytes as possible.
func AppendU(out []byte, v uint64) []byte { return binary.AppendUvarint(out, v) }

// AppendS appends v as signed LEB128, in as few bytes as possible. Bit 6 of the last
// byte is the sign.
func AppendS(out []byte, v int64) []byte {
	for v < -0x40 || v >= 0x40 {
		out = append(out, byte(v)|0x80)
		v >>= 7
	}
	return append(out, byte(v)&0x7f)
}

// AppendSized appends the size of content and content: a name, a function's code.
func AppendSized(out, content []byte) []byte {
	return append(AppendU(out, uint64(len(content))), content...)
}

// AppendSection appends a section whose content is the parts in a row.
func AppendSection(out []byte, id byte, parts ...[]byte) []byte {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	out = AppendU(append(out, id), uint64(size))
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// AppendVector appends how many items there are, and the items.
func AppendVector(out []byte, items ...[]byte) []byte {
	out = AppendU(out, uint64(len(items)))
	for _, item := range items {
		out = append(out, item...)
	}
	return out
}
