package meter

import (
	"slices"

	"switchyard/policy/wasm/binary"
)

// A small assembler for guests, so that tests need no toolchain. Code is bytes;
// the functions below write the instructions that tests need.

const (
	tI32  = 0x7f
	tI64  = 0x7e
	tF64  = 0x7c
	tV128 = 0x7b
	tFunc = 0x70
)

type sig struct{ params, results []byte }

type fn struct {
	sig
	locals []byte // types
	code   []byte // without the last end
	export string
}

// A guest is a module to be assembled. Its functions come after its imports, and
// each signature makes a type of its own, shared by equal ones.
type guest struct {
	imports []sig // all from module "host", named "f0", "f1", …
	funcs   []fn
	table   []uint32 // of functions, set at instantiation
	tables  [][2]uint32
	pages   int
	globals []byte // types of mutable globals, zero at first, exported as "g0", "g1", …
	start   int    // function index, or 0 for none
	custom  []byte // a custom section at the end, with its name
	types   []sig
}

func (g *guest) typeOf(s sig) uint64 {
	i := slices.IndexFunc(g.types, func(t sig) bool {
		return slices.Equal(t.params, s.params) && slices.Equal(t.results, s.results)
	})
	if i < 0 {
		i = len(g.types)
		g.types = append(g.types, s)
	}
	return uint64(i)
}

func vectorOf(items ...[]byte) []byte { return binary.AppendVector(nil, items...) }

func sized(b []byte) []byte { return binary.AppendSized(nil, b) }

func (g *guest) assemble() []byte {
	var types, imports, funcs, tables, globals, exports, code [][]byte
	for i, s := range g.imports {
		name := append([]byte("\x04host\x02f"), '0'+byte(i), binary.KindFunction)
		imports = append(imports, binary.AppendU(name, g.typeOf(s)))
	}
	for i, f := range g.funcs {
		funcs = append(funcs, binary.AppendU(nil, g.typeOf(f.sig)))
		if f.export != "" {
			exports = append(exports, appendExport(nil, []byte(f.export), binary.KindFunction, uint64(len(g.imports)+i)))
		}
		code = append(code, sized(slices.Concat(encodeLocals(f.locals), f.code, []byte{opEnd})))
	}
	for _, s := range g.types {
		types = append(types, slices.Concat([]byte{0x60}, sized(s.params), sized(s.results)))
	}
	if len(g.table) > 0 {
		tables = append(tables, binary.AppendU([]byte{tFunc, 0}, uint64(len(g.table))))
	}
	for _, t := range g.tables {
		tables = append(tables, binary.AppendU(binary.AppendU([]byte{tFunc, 1}, uint64(t[0])), uint64(t[1])))
	}
	for i, t := range g.globals {
		globals = append(globals, slices.Concat([]byte{t, 1}, zeroOf(t), []byte{opEnd}))
		exports = append(exports, appendExport(nil, []byte{'g', '0' + byte(i)}, binary.KindGlobal, uint64(i)))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	add := func(id byte, items [][]byte) {
		if len(items) > 0 {
			out = binary.AppendSection(out, id, vectorOf(items...))
		}
	}
	add(binary.SectionType, types)
	add(binary.SectionImport, imports)
	add(binary.SectionFunction, funcs)
	add(binary.SectionTable, tables)
	if g.pages > 0 {
		add(binary.SectionMemory, [][]byte{binary.AppendU([]byte{0}, uint64(g.pages))})
		exports = append(exports, appendExport(nil, []byte("memory"), binary.KindMemory, 0))
	}
	add(binary.SectionGlobal, globals)
	add(binary.SectionExport, exports)
	if g.start > 0 {
		out = binary.AppendSection(out, binary.SectionStart, binary.AppendU(nil, uint64(g.start)))
	}
	if len(g.table) > 0 {
		elems := binary.AppendU([]byte{0, opI32Const, 0, opEnd}, uint64(len(g.table)))
		for _, f := range g.table {
			elems = binary.AppendU(elems, uint64(f))
		}
		add(binary.SectionElement, [][]byte{elems})
	}
	add(binary.SectionCode, code)
	if g.custom != nil {
		out = binary.AppendSection(out, binary.SectionCustom, g.custom)
	}
	return out
}

func encodeLocals(types []byte) []byte {
	var groups [][]byte
	for i := 0; i < len(types); {
		n := 1
		for i+n < len(types) && types[i+n] == types[i] {
			n++
		}
		groups = append(groups, append(binary.AppendU(nil, uint64(n)), types[i]))
		i += n
	}
	return vectorOf(groups...)
}

func zeroOf(t byte) []byte {
	switch t {
	case tI32:
		return i32(0)
	case tI64:
		return i64(0)
	}
	return append([]byte{opF64Const}, make([]byte, 8)...)
}

// Instructions.

func code(parts ...[]byte) []byte        { return slices.Concat(parts...) }
func op(b ...byte) []byte                { return b }
func with(op byte, n uint64) []byte      { return binary.AppendU([]byte{op}, n) }
func i32(v int32) []byte                 { return binary.AppendS([]byte{opI32Const}, int64(v)) }
func i64(v int64) []byte                 { return binary.AppendS([]byte{opI64Const}, v) }
func get(local int) []byte               { return with(opLocalGet, uint64(local)) }
func set(local int) []byte               { return with(opLocalSet, uint64(local)) }
func call(f int) []byte                  { return with(opCall, uint64(f)) }
func br(label int) []byte                { return with(opBr, uint64(label)) }
func brIf(label int) []byte              { return with(opBrIf, uint64(label)) }
func loop(body ...[]byte) []byte         { return control(opLoop, blockEmpty, body...) }
func block(body ...[]byte) []byte        { return control(opBlock, blockEmpty, body...) }
func ifThen(body ...[]byte) []byte       { return control(opIf, blockEmpty, body...) }
func repeat(n int, body []byte) []byte   { return slices.Repeat(body, n) }
func bulkOp(n byte, rest ...byte) []byte { return append([]byte{opMisc, n}, rest...) }

func control(op, blockType byte, body ...[]byte) []byte {
	return slices.Concat([]byte{op, blockType}, slices.Concat(body...), []byte{opEnd})
}
