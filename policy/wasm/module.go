package wasm

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The eight bytes that begin a core module and a component.
var (
	magic     = []byte("\x00asm")
	coreV1    = []byte("\x01\x00\x00\x00")
	component = []byte("\x0d\x00\x01\x00")
)

const sectionImport = 2

// checkMagic refuses what is not a core module of version 1, or not the whole
// of one.
func checkMagic(module []byte) error {
	switch {
	case len(module) == 0:
		return refuse("write the module to it", "the file is empty")
	case bytes.HasPrefix(bytes.TrimLeft(module, " \t\r\n"), []byte("(module")),
		bytes.HasPrefix(module, []byte(";;")):
		return refuse("translate it with wat2wasm", "this is WebAssembly's text format")
	case !bytes.HasPrefix(module, magic[:min(len(magic), len(module))]):
		return refuse("give the .wasm file that the toolchain wrote", "not WebAssembly: it begins with %q", module[:min(8, len(module))])
	case len(module) < 8:
		return refuse("write the file anew; was it still being written?", "truncated: %d bytes do not hold the 8 of the preamble", len(module))
	case bytes.Equal(module[4:8], component):
		return refuse("build a core module: target wasip1 or wasm32-unknown-unknown, not wasip2", "this is a component, not a core module")
	case !bytes.Equal(module[4:8], coreV1):
		return refuse("build it for WebAssembly core version 1", "WebAssembly version %d is not known",
			binary.LittleEndian.Uint32(module[4:]))
	}
	return eachSection(module, func(byte, *reader) error { return nil })
}

// eachSection calls see with the id and the content of each section.
func eachSection(module []byte, see func(id byte, content *reader) error) error {
	r := &reader{rest: module[8:]}
	for len(r.rest) > 0 {
		at := len(module) - len(r.rest)
		id, size := r.byte(), r.uint32()
		if r.short || uint64(size) > uint64(len(r.rest)) {
			return refuse("write the file anew; was it still being written?",
				"truncated: section %d at byte %d should have %d bytes, %d are there", id, at, size, len(r.rest))
		}
		if err := see(id, &reader{rest: r.bytes(size)}); err != nil {
			return err
		}
	}
	return nil
}

// An imported is one entry of the import section.
type imported struct {
	module, name string
	kind         byte
}

func (i imported) String() string {
	kinds := [...]string{"function", "table", "memory", "global"}
	if int(i.kind) < len(kinds) {
		return fmt.Sprintf("%s %q.%q", kinds[i.kind], i.module, i.name)
	}
	return fmt.Sprintf("%q.%q of kind %d", i.module, i.name, i.kind)
}

// importsOf lists what a valid module imports; wazero tells the functions only.
func importsOf(module []byte) (list []imported, err error) {
	err = eachSection(module, func(id byte, r *reader) error {
		if id != sectionImport {
			return nil
		}
		for n := r.uint32(); n > 0 && !r.short; n-- {
			i := imported{module: string(r.bytes(r.uint32())), name: string(r.bytes(r.uint32())), kind: r.byte()}
			switch i.kind {
			case 0: // a type index
				r.uint32()
			case 1: // an element type and limits
				r.byte()
				r.limits()
			case 2:
				r.limits()
			default: // a value type and mutability
				r.bytes(2)
			}
			list = append(list, i)
		}
		return r.err()
	})
	return list, err
}

// A reader takes the numbers of WebAssembly's binary format off a slice. Once
// the slice was too short, short is set and all that follows is zero.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.rest)) {
		r.short, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint32() uint32 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		r.short, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return uint32(v)
}

// limits skips the least size of a table or memory, and the largest if there is
// one.
func (r *reader) limits() {
	bounded := r.byte()&1 != 0
	r.uint32()
	if bounded {
		r.uint32()
	}
}

func (r *reader) err() error {
	if r.short {
		return fmt.Errorf("a section ends in the middle of an entry")
	}
	return nil
}
