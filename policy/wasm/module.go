package wasm

import (
	"bytes"
	encoding "encoding/binary"
	"strings"

	"switchyard/policy/wasm/binary"
)

// The first look at a module, before package meter reads all of it. Its errors are about what goes wrong
// most often with files, rather than with modules: a text, half a file, a component.

// A preamble is four bytes that all WebAssembly begins with and four of a version.
const (
	magic     = "\x00asm"
	component = "\x0d\x00\x01\x00"
)

// checkMagic refuses what is not a complete core module of version 1:
//
//	""                          the file is empty
//	"(module"                   the text format
//	"\x00as"                    truncated
//	"\x00asm\x0d\x00\x01\x00"   a component
//	"\x00asm\x02\x00\x00\x00"   another version
//	a section beyond the end    truncated
func checkMagic(module []byte) error {
	switch {
	case len(module) == 0:
		return refuse("write the module to it", "the file is empty")
	case bytes.HasPrefix(bytes.TrimLeft(module, " \t\r\n"), []byte("(module")),
		bytes.HasPrefix(module, []byte(";;")):
		return refuse("translate it with wat2wasm", "this is WebAssembly's text format")
	case !strings.HasPrefix(magic, string(module[:min(len(magic), len(module))])):
		return refuse("give the .wasm file that the toolchain wrote", `not WebAssembly, which begins with \0asm`)
	case len(module) < 8:
		return refuse("write the file again; was it still being written?", "truncated: %d bytes do not hold the 8 of the preamble", len(module))
	case string(module[4:8]) == component:
		return refuse("build a core module: target wasip1 or wasm32-unknown-unknown, not wasip2", "this is a component, not a core module")
	case string(module[:8]) != binary.Preamble:
		return refuse("build it for WebAssembly core version 1", "WebAssembly version %d is not known", encoding.LittleEndian.Uint32(module[4:]))
	}
	r := binary.NewReader(module)
	r.Bytes(len(binary.Preamble))
	for r.Left() > 0 {
		at := r.Pos
		id, size := r.Byte(), r.U32()
		if r.Err != nil || int64(size) > int64(r.Left()) {
			return refuse("write the file again; was it still being written?",
				"truncated: section %d at byte %d should have %d bytes, %d are there", id, at, size, r.Left())
		}
		r.Bytes(int(size))
	}
	return nil
}
