//go:build full

package wasm

import (
	"slices"
	"testing"
	"time"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm/binary"
)

// A worst case is the code of one turn of an endless loop, made to take as long as possible
// for its fuel. Its locals are the four parameters of inspect and those below. Memory has 16
// MiB, and each line of 64 bytes begins with the address of another, in one cycle over all.
type worstCase struct {
	name  string
	code  []byte
	setup []byte // code before the loop
	group string

	funcs   [][]byte // further functions, (i32) -> i32
	entries int      // of the table that call them, at least
	pages   uint64   // of memory, if not 256; a smaller memory is only for code that places no address outside it
}

// The locals.
const (
	wAddr = 4 // i32: an address, the next in the cycle
	wRand = 5 // i32: pseudo-random
	wLong = 6 // i64
	wReal = 7 // f64
	wVec  = 8 // v128
	wLow  = 9 // f32
)

func worstCases() []worstCase {
	var list []worstCase
	add := func(group, name string, times int, turn ...[]byte) *worstCase {
		list = append(list, worstCase{name: name, code: slices.Repeat(wasmCat(turn...), times), group: group})
		return &list[len(list)-1]
	}
	// Memory.
	for name, load := range map[string][]byte{"i32.load": wasmOp(0x28, 2, 0), "i64.load": wasmCat(wasmOp(0x29, 2, 0), wasmOp(0xa7)),
		"v128.load": wasmCat(wasmSIMD(0, 2, 0), wasmSIMD(0x1b, 0))} {
		add("loads", name+" chain", 500, wasmGet(wAddr), load, wasmSet(wAddr))
	}
	chain := wasmCat(wasmGet(wAddr), slices.Repeat(wasmOp(0x28, 2, 0), 500), wasmSet(wAddr))
	add("loads", "pure chain", 1, chain)
	add("loads", "midsize chain", 1, chain).pages = 64
	add("loads", "random", 200, wasmPlace, wasmOp(0x28, 2, 0), wasmGet(wAddr), wasmOp(0x6a), wasmSet(wAddr))
	add("loads", "random split", 200, wasmPlace, wasmI32(0xfff), wasmOp(0x72), wasmOp(0x29, 0, 0), wasmGet(wLong), wasmOp(0x7c), wasmSet(wLong))
	add("stores", "random", 200, wasmPlace, wasmGet(wRand), wasmOp(0x36, 2, 0))
	split := wasmCat(wasmPlace, wasmI32(0xfff), wasmOp(0x72), wasmGet(wLong), wasmOp(0x37, 0, 0))
	add("stores", "random split", 200, split)
	add("stores", "one random split a turn", 1, split)
	vector := wasmCat(wasmPlace, wasmI32(0xfff), wasmOp(0x72), wasmGet(wVec))
	add("stores", "random split vector", 200, vector, wasmSIMD(0x0b, 0, 0))
	add("stores", "random split lane", 200, vector, wasmSIMD(0x5b, 0, 0, 1))
	for name, mask := range map[string]int64{"1 MiB": 0xe_ffff, "4 MiB": 0x3e_ffff} {
		within := wasmCat(wasmPlace, wasmI32(mask), wasmOp(0x71), wasmI32(0xfff), wasmOp(0x72), wasmGet(wLong), wasmOp(0x37, 0, 0))
		add("stores", "random split in "+name, 200, within).pages = uint64(mask+0x1_0001) >> 16
	}
	add("stores", "chased", 200, wasmGet(wAddr), wasmOp(0x28, 2, 0), wasmNum(0x22, wAddr), wasmGet(wRand), wasmOp(0x36, 2, 8))
	add("stores", "forwarding stalls", 200, wasmI32(64), wasmGet(wAddr), wasmOp(0x36, 2, 0), wasmI32(65), wasmOp(0x28, 0, 0), wasmSet(wAddr))
	add("stores", "split forwarding", 200, wasmI32(4094), wasmGet(wAddr), wasmOp(0x36, 0, 0), wasmI32(4093), wasmOp(0x28, 0, 0), wasmSet(wAddr))
	// A walk through memory, by steps that depend on what is loaded, and by one line.
	step := func(bit int64) []byte {
		return wasmCat(wasmGet(wRand), wasmI32(bit), wasmOp(0x71, 0x04, 0x40), wasmGet(wAddr), wasmI32(64), wasmOp(0x6a), wasmSet(wAddr), wasmOp(0x0b))
	}
	for name, steps := range map[string][]byte{"walk": nil, "walk by steps": wasmCat(step(64), step(128), step(256))} {
		add("loads", name, 1, wasmI32(0), wasmSet(wAddr), wasmOp(0x03, 0x40), wasmGet(wAddr), wasmOp(0x28, 2, 0), wasmSet(wRand), steps,
			wasmGet(wAddr), wasmI32(64), wasmOp(0x6a), wasmNum(0x22, wAddr), wasmI32(0xff_f000), wasmOp(0x49, 0x0d, 0, 0x0b))
	}
	// A walk of 16 streams by steps of several additions, each of which is a stride.
	for _, lines := range []int{1, 2, 3, 4, 8, 16, 65} {
		further := slices.Repeat(wasmCat(wasmI32(64), wasmOp(0x6a)), lines)
		body := wasmOp(0x03, 0x40)
		for offset := range uint64(16) {
			body = wasmCat(body, wasmGet(wAddr), wasmOp(0x28, 2), binary.AppendU(nil, offset<<18), wasmGet(wRand), wasmOp(0x6a), wasmSet(wRand))
		}
		add("loads", "strides"+hex(uint64(lines)), 1, wasmI32(0), wasmSet(wAddr), body, wasmGet(wAddr), further,
			wasmNum(0x22, wAddr), wasmI32(0xb_0000), wasmOp(0x49, 0x0d, 0, 0x0b))
	}
	// Arithmetic.
	for name, op := range map[string]byte{"div_s": 0x7f, "div_u": 0x80, "rem_s": 0x81, "rem_u": 0x82, "mul": 0x7e, "rotl": 0x89, "shl": 0x86} {
		add("integers", "i64."+name, 300, wasmI64(-0x7123456789abcdef), wasmGet(wLong), wasmI64(3), wasmOp(0x84), wasmOp(op), wasmSet(wLong))
	}
	for name, op := range map[string]byte{"div_s": 0x6d, "rem_u": 0x70} {
		add("integers", "i32."+name, 300, wasmI32(-0x71234567), wasmGet(wRand), wasmI32(3), wasmOp(0x72), wasmOp(op), wasmSet(wRand))
	}
	for name, op := range map[string]byte{"clz": 0x79, "ctz": 0x7a, "popcnt": 0x7b, "extend8_s": 0xc2} {
		add("integers", "i64."+name, 300, wasmGet(wLong), wasmOp(op), wasmSet(wLong))
	}
	for name, op := range map[string]byte{"add": 0xa0, "mul": 0xa2, "div": 0xa3, "min": 0xa4, "max": 0xa5, "copysign": 0xa6} {
		add("reals", "f64."+name, 300, wasmGet(wReal), wasmF64(1, 0, 0, 0, 0, 0, 0xf0, 0x3f), wasmOp(op), wasmSet(wReal))
		tiny := add("denormals", "f64."+name, 300, wasmGet(wReal), wasmF64(1, 0, 0, 0, 0, 0, 0xe0, 0x3f), wasmOp(op), wasmOp(0x1a))
		tiny.setup = wasmCat(wasmF64(1, 2, 3, 4, 5, 6, 1, 0), wasmSet(wReal))
		small := add("denormals", "f64."+name+" chain", 300, wasmGet(wReal), wasmF64(1, 0, 0, 0, 0, 0, 0xe0, 0x3f), wasmOp(op), wasmOp(0xbd),
			wasmI64(0x000f_0102_0304_0506), wasmOp(0x83), wasmOp(0xbf), wasmSet(wReal))
		small.setup = tiny.setup
	}
	for name, op := range map[string]byte{"sqrt": 0x9f, "ceil": 0x9b, "nearest": 0x9e, "neg": 0x9a} {
		one := add("reals", "f64."+name, 300, wasmGet(wReal), wasmOp(op), wasmSet(wReal))
		one.setup = wasmCat(wasmF64(1, 2, 3, 4, 5, 6, 1, 0), wasmSet(wReal))
	}
	for name, op := range map[string][]byte{"trunc_sat_s": wasmOp(0xfc, 6), "trunc_sat_u": wasmOp(0xfc, 7)} {
		add("reals", "i64."+name, 200, wasmGet(wReal), op, wasmOp(0xba), wasmSet(wReal))
		nan := add("reals", "i64."+name+" of NaN", 200, wasmGet(wReal), op, wasmOp(0x1a))
		nan.setup = wasmCat(wasmF64(0, 0, 0, 0, 0, 0, 0xf8, 0x7f), wasmSet(wReal))
	}
	add("reals", "f64.convert_u", 200, wasmGet(wLong), wasmI64(-1<<63), wasmOp(0x84), wasmOp(0xba), wasmOp(0xbd), wasmSet(wLong))
	dem := add("denormals", "f32.demote", 200, wasmGet(wReal), wasmOp(0xb6), wasmOp(0xbb), wasmOp(0x1a))
	dem.setup = wasmCat(wasmF64(1, 2, 3, 4, 5, 6, 0, 0x38), wasmSet(wReal))
	for n := uint64(0x23); n <= 0xff; n++ {
		times := 100
		switch k := simdKind(n); k {
		case 1:
			add("vectors", "v128 one", times, wasmGet(wVec), wasmSIMD(n), wasmSet(wVec)).name += hex(n)
		case 2:
			add("vectors", "v128 two", times, wasmGet(wVec), wasmGet(wVec), wasmSIMD(n), wasmSet(wVec)).name += hex(n)
		case 3:
			add("vectors", "v128 shift", times, wasmGet(wVec), wasmGet(wRand), wasmSIMD(n), wasmSet(wVec)).name += hex(n)
		case 4:
			add("vectors", "v128 test", times, wasmGet(wVec), wasmSIMD(n), wasmSet(wRand)).name += hex(n)
		}
		if n >= 0xe3 || n >= 0x67 && n <= 0x6a || n == 0x75 {
			for i := range list {
				if list[i].name == "v128 two"+hex(n) || list[i].name == "v128 one"+hex(n) {
					list[i].setup = wasmCat(wasmI64(0x0000_1234_0000_5678), wasmSIMD(0x12), wasmSet(wVec))
					d := list[i]
					d.name, d.group = d.name+" denormal", "denormals"
					d.code = slices.Repeat(wasmCat(wasmGet(wVec), wasmGet(wVec), wasmSIMD(n), wasmOp(0x1a)), 100)
					if simdKind(n) == 1 {
						d.code = slices.Repeat(wasmCat(wasmGet(wVec), wasmSIMD(n), wasmOp(0x1a)), 100)
					}
					list = append(list, d)
					break
				}
			}
		}
	}
	add("vectors", "swizzle", 100, wasmGet(wVec), wasmGet(wVec), wasmSIMD(0x0e), wasmSet(wVec))
	add("vectors", "shuffle", 100, wasmGet(wVec), wasmGet(wVec), wasmSIMD(0x0d, 31, 1, 30, 3, 29, 5, 28, 7, 27, 9, 26, 11, 25, 13, 24, 15), wasmSet(wVec))
	// Control.
	add("branches", "if", 100, wasmRandom, wasmI32(1<<20), wasmOp(0x71), wasmOp(0x04, 0x40, 0x01, 0x0b))
	add("branches", "br_if", 100, wasmOp(0x02, 0x40), wasmRandom, wasmI32(1<<20), wasmOp(0x71), wasmOp(0x0d, 0), wasmGet(wLong), wasmI64(3), wasmOp(0x85), wasmSet(wLong), wasmOp(0x0b))
	add("branches", "br_if of one", 100, wasmOp(0x02, 0x40), wasmGet(wRand), wasmI32(1), wasmOp(0x77), wasmNum(0x22, wRand), wasmI32(1), wasmOp(0x71), wasmOp(0x0d, 0, 0x0b))
	add("branches", "select", 100, wasmRandom, wasmGet(wAddr), wasmGet(wRand), wasmI32(1<<20), wasmOp(0x71), wasmOp(0x1b), wasmSet(wAddr))
	add("branches", "br_table", 20, wasmTable(200))
	list[len(list)-1].code = wasmTable(5000)
	list[len(list)-1].name = "br_table of 5000"
	add("branches", "br_table of 200", 1, wasmTable(200))
	add("branches", "br_table of 3", 50, wasmTable(3))
	// Calls.
	direct := add("calls", "direct", 1)
	for i := range 2000 {
		direct.code = append(direct.code, wasmCat(wasmGet(wAddr), wasmNum(0x10, uint64(3+(i*769)%2000)), wasmSet(wAddr))...)
	}
	direct.funcs = slices.Repeat([][]byte{wasmGet(0)}, 2000)
	cold := add("calls", "cold", 1)
	for i := range 15_000 {
		cold.code = append(cold.code, wasmCat(wasmGet(wAddr), wasmNum(0x10, uint64(3+(i*15401)%15_000)), wasmSet(wAddr))...)
	}
	cold.funcs = slices.Repeat([][]byte{wasmGet(0)}, 15_000)
	for name, n := range map[string]struct{ entries, funcs int }{"indirect": {1 << 19, 8000}, "indirect of few": {1 << 15, 8000}, "indirect of 500": {1 << 15, 500}} {
		indirect := add("calls", name, 100, wasmGet(wAddr), wasmRandom, wasmI32(11), wasmOp(0x76), wasmI32(int64(n.entries-1)), wasmOp(0x71), wasmOp(0x11, 3, 0), wasmSet(wAddr))
		indirect.funcs, indirect.entries = slices.Repeat([][]byte{wasmGet(0)}, n.funcs), n.entries
	}
	deep := add("calls", "deep", 10, wasmI32(150), wasmNum(0x10, 3), wasmSet(wAddr))
	deep.funcs = [][]byte{wasmCat(wasmGet(0), wasmOp(0x04, 0x7f), wasmGet(0), wasmI32(1), wasmOp(0x6b), wasmNum(0x10, 3), wasmOp(0x05), wasmI32(0), wasmOp(0x0b))}
	// Bulk.
	for _, n := range []int64{0, 1, 7, 63, 64, 100, 1000, 4096, 65536, 1 << 20, 8 << 20} {
		add("bulk", "memory.fill"+hex(uint64(n)), 20, wasmPlaceBelow(n), wasmI32(1), wasmI32(n), wasmOp(0xfc, 11, 0))
		add("bulk", "memory.copy"+hex(uint64(n)), 20, wasmPlaceBelow(n), wasmPlaceBelow(n), wasmI32(n), wasmOp(0xfc, 10, 0, 0))
	}
	add("bulk", "memory.copy over itself", 20, wasmI32(1), wasmI32(0), wasmI32(1<<20), wasmOp(0xfc, 10, 0, 0))
	for _, n := range []int64{0, 1, 8, 100, 10000} {
		add("bulk", "table.fill"+hex(uint64(n)), 20, wasmI32(17), wasmOp(0xd0, 0x70), wasmI32(n), wasmOp(0xfc, 17, 0))
		add("bulk", "table.copy"+hex(uint64(n)), 20, wasmI32(17), wasmI32(50_000), wasmI32(n), wasmOp(0xfc, 14, 0, 0))
		add("bulk", "table.init"+hex(uint64(n)), 20, wasmI32(17), wasmI32(0), wasmI32(0), wasmOp(0xfc, 12, 0, 0))
	}
	add("leaving", "memory.grow", 20, wasmI32(0), wasmOp(0x40, 0, 0x1a))
	add("leaving", "memory.grow too far", 20, wasmI32(1), wasmOp(0x40, 0, 0x1a))
	add("leaving", "table.grow", 20, wasmOp(0xd0, 0x70), wasmI32(0), wasmOp(0xfc, 15, 0, 0x1a))
	add("leaving", "ref.func", 20, wasmOp(0xd2, 0, 0x1a))
	add("tables", "table.get", 100, wasmPlace, wasmI32(0xf_ffff), wasmOp(0x71), wasmOp(0x25, 0, 0xd1), wasmSet(wAddr))
	add("tables", "table.set", 100, wasmPlace, wasmI32(0xf_ffff), wasmOp(0x71), wasmOp(0xd0, 0x70, 0x26, 0))
	code := add("code", "straight", 1)
	for range 30_000 {
		code.code = append(code.code, wasmCat(wasmGet(wLong), wasmI64(0x123456789), wasmOp(0x85), wasmSet(wLong))...)
	}
	code = add("code", "jumping", 1)
	for range 5_000 {
		code.code = append(code.code, wasmCat(wasmOp(0x02, 0x40), wasmI32(1), wasmOp(0x0d, 0), slices.Repeat(wasmCat(wasmGet(wLong), wasmI64(0x123456789), wasmOp(0x85), wasmSet(wLong)), 3), wasmOp(0x0b))...)
	}
	return list
}

// simdKind returns 1, 2, 3 and 4 for vector instructions (v)->v, (v,v)->v, (v,i32)->v and
// (v)->i32; 0 for others.
func simdKind(n uint64) int {
	switch n {
	case 0x4d, 0x60, 0x61, 0x62, 0x67, 0x68, 0x69, 0x6a, 0x74, 0x75, 0x7a, 0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x87, 0x88, 0x89, 0x8a,
		0x94, 0xa0, 0xa1, 0xa7, 0xa8, 0xa9, 0xaa, 0xc0, 0xc1, 0xc7, 0xc8, 0xc9, 0xca, 0xe0, 0xe1, 0xe3, 0xec, 0xed, 0xef, 0x5e, 0x5f,
		0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff:
		return 1
	case 0x53, 0x63, 0x64, 0x83, 0x84, 0xa3, 0xa4, 0xc3, 0xc4:
		return 4
	case 0x6b, 0x6c, 0x6d, 0x8b, 0x8c, 0x8d, 0xab, 0xac, 0xad, 0xcb, 0xcc, 0xcd:
		return 3
	case 0x52, 0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee:
		return 0
	}
	if n >= 0x54 && n <= 0x5d {
		return 0
	}
	return 2
}

// module assembles the case: inspect, or _initialize if it is to run at the start, does not
// end.
func (c worstCase) module(atStart bool) []byte {
	const i32, i64, f64, f32, v128 = 0x7f, 0x7e, 0x7c, 0x7d, 0x7b
	pages := uint64(256)
	if c.pages != 0 {
		pages = c.pages
	}
	cells := int64(pages) << 10
	out := []byte(binary.Preamble)
	section := func(id byte, items ...[]byte) {
		out = binary.AppendSection(out, id, binary.AppendVector(nil, items...))
	}
	section(binary.SectionType, wasmOp(0x60, 0, 0), wasmOp(0x60, 2, i32, i32, 1, i64),
		wasmOp(0x60, 4, i64, i64, i64, i64, 1, i64), wasmOp(0x60, 1, i32, 1, i32))
	functions := [][]byte{{0}, {1}, {2}}
	for range c.funcs {
		functions = append(functions, []byte{3})
	}
	section(binary.SectionFunction, functions...)
	section(binary.SectionTable, binary.AppendU([]byte{0x70, 0}, 1<<20))
	section(binary.SectionMemory, wasmCat([]byte{1}, binary.AppendU(nil, pages), binary.AppendU(nil, pages)))
	export := func(name string, f byte) []byte {
		return append(binary.AppendSized(nil, []byte(name)), 0, f)
	}
	section(binary.SectionExport, export(abi.Marker, 0), export(abi.Initialize, 0), export(abi.Classify, 1), export(abi.Inspect, 2))
	var elements []byte
	for i := range c.funcs {
		elements = binary.AppendU(elements, uint64(3+i))
	}
	count := binary.AppendU(nil, uint64(len(c.funcs)))
	passive := wasmCat([]byte{1, 0}, count, elements)
	segments := [][]byte{passive, {3, 0, 1, 0}}
	for at := 0; at < c.entries; at += len(c.funcs) {
		segments = append(segments, wasmCat([]byte{0}, wasmI32(int64(at)), []byte{0x0b}, count, elements))
	}
	section(binary.SectionElement, segments...)
	body := func(locals, code []byte) []byte { return binary.AppendSized(nil, wasmCat(locals, code, []byte{0x0b})) }
	// for i := 0; i < cells; i++ { word[16 i] = 64 ((i*0x1d0d35 + 0x2b2ff7) mod cells) }
	initialize := wasmCat(wasmOp(0x03, 0x40),
		wasmGet(0), wasmI32(6), wasmOp(0x74),
		wasmGet(0), wasmI32(0x1d0d35), wasmOp(0x6c), wasmI32(0x2b2ff7), wasmOp(0x6a), wasmI32(cells-1), wasmOp(0x71), wasmI32(6), wasmOp(0x74),
		wasmOp(0x36, 2, 0),
		wasmGet(0), wasmI32(1), wasmOp(0x6a), wasmNum(0x22, 0), wasmI32(cells), wasmOp(0x49), wasmOp(0x0d, 0, 0x0b))
	endless := wasmCat(c.setup, wasmOp(0x03, 0x40), c.code, wasmOp(0x0c, 0, 0x0b), wasmOp(0x00))
	locals := wasmOp(6, 1, i32, 1, i32, 1, i64, 1, f64, 1, v128, 1, f32)
	bodies := [][]byte{body(wasmOp(1, 1, i32), initialize), body([]byte{0}, wasmI64(4)), body(locals, endless)}
	if atStart {
		bodies[0] = body(wasmOp(7, 4, i32, 1, i32, 1, i32, 1, i64, 1, f64, 1, v128, 1, f32), wasmCat(initialize, endless))
		bodies[2] = body([]byte{0}, wasmI64(4))
	}
	for _, f := range c.funcs {
		bodies = append(bodies, body([]byte{0}, f))
	}
	section(binary.SectionCode, bodies...)
	return out
}

// slowest are the cases of each group that take longest.
var slowest = []string{"pure chain", "midsize chain", "walk", "walk by steps", "chased", "random split", "memory.fill 3f", "v128 one fd", "f64.sqrt", "i64.rem_u",
	"br_if of one", "br_table of 200", "indirect of 500", "deep", "memory.grow", "table.copy 8", "ref.func", "f64.mul chain"}

// Twice what docs/security.md promises: CPU time, too, grows when other processes use the
// caches and the memory's bandwidth.
const (
	worstDecision = 20 * time.Millisecond
	worstStart    = 200 * time.Millisecond
	measurements  = 3 // of a case at most; one that is quick enough suffices
)

// TestWorstCases measures the CPU time of a decision that uses all of its fuel in the worst
// ways known. Instances are made before.
func TestWorstCases(t *testing.T) {
	limits := DefaultLimits()
	limits.LoadFuel = 1 << 40
	e := newEngine(t, limits, nil)
	for _, c := range worstCases() {
		t.Run(c.group+"/"+c.name, func(t *testing.T) {
			p := loadModule(t, e, c.name, c.module(false), nil)
			best := time.Hour
			for n := 0; n < measurements && best > worstDecision; n++ {
				s, err := p.claim(0)
				if err != nil {
					t.Fatal(err)
				}
				s.Release()
				read, stop := e.clock()
				_, err = p.Inspect(header, question(nil))
				took := read()
				stop()
				wantFault(t, err, policy.FaultFuel, "ran longer")
				best = min(best, took)
			}
			t.Logf("%v, %.1f ns a unit", best, float64(best)/float64(limits.Fuel))
			if best > worstDecision {
				t.Errorf("a decision takes %v, want at most %v", best, worstDecision)
			}
		})
	}
}

// compiled returns the policy of a module of which no instance is made yet.
func compiled(t *testing.T, e *Engine, module []byte) *Policy {
	t.Helper()
	made := compileModule(e.config, rewrite(t, module))
	t.Cleanup(func() { made.close() })
	if made.err != nil {
		t.Fatal(made.err)
	}
	return &Policy{limits: e.limits, runtime: made.runtime, compiled: made.module}
}

// TestWorstStarts does the same in _initialize, with all of the fuel for loading.
func TestWorstStarts(t *testing.T) {
	e := newEngine(t, DefaultLimits(), nil)
	for _, c := range worstCases() {
		if !slices.Contains(slowest, c.name) {
			continue
		}
		t.Run(c.group+"/"+c.name, func(t *testing.T) {
			p := compiled(t, e, c.module(true))
			best := time.Hour
			for n := 0; n < measurements && best > worstStart; n++ {
				read, stop := e.clock()
				_, err := p.instantiate(nil)
				took := read()
				stop()
				wantFault(t, err, policy.FaultFuel, "_initialize")
				best = min(best, took)
			}
			t.Log(best)
			if best > worstStart {
				t.Errorf("making an instance takes %v, want at most %v", best, worstStart)
			}
		})
	}
}
