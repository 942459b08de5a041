package meter

import (
	"math/rand/v2"
	"slices"

	"switchyard/policy/wasm/binary"
)

// A generator makes valid modules at random: expressions and statements of
// integers, with every kind of control, calls, memory and globals. Nothing keeps
// them from running for ever.
type generator struct {
	*rand.Rand
	g      *guest
	locals []byte   // types, parameters included
	labels [][]byte // types that a branch passes, innermost last
	left   int      // instructions that the function may still get, about
	result []byte
}

var numbers = []byte{tI32, tI64}

func generate(seed uint64) []byte {
	r := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), g: &guest{pages: 1}}
	for range 1 + r.IntN(4) {
		r.g.globals = append(r.g.globals, r.number())
	}
	for i := range 2 + r.IntN(4) {
		f := fn{sig: sig{params: r.numbers(3), results: r.numbers(3)}, locals: append(r.numbers(6+20*r.IntN(2)), tI32)}
		f.export = string(rune('a' + i))
		r.g.funcs = append(r.g.funcs, f)
		r.g.table = append(r.g.table, uint32(i))
	}
	for i := range r.g.funcs {
		r.function(&r.g.funcs[i])
	}
	return r.g.assemble()
}

func (r *generator) number() byte { return numbers[r.IntN(len(numbers))] }

func (r *generator) numbers(most int) []byte {
	types := make([]byte, r.IntN(most+1))
	for i := range types {
		types[i] = r.number()
	}
	return types
}

func (r *generator) function(f *fn) {
	r.locals = slices.Concat(f.params, f.locals)
	r.result = f.results
	r.labels = [][]byte{f.results}
	r.left = 20 + r.IntN(150)
	if r.IntN(8) == 0 { // more values than a machine has registers
		r.left *= 4
	}
	f.code = code(r.statements(), r.values(f.results))
}

func (r *generator) statements() (out []byte) {
	for range 1 + r.IntN(5) {
		if r.left--; r.left > 0 {
			out = append(out, r.statement()...)
		}
	}
	return out
}

func (r *generator) values(types []byte) (out []byte) {
	for _, t := range types {
		out = append(out, r.value(t)...)
	}
	return out
}

// inside makes the code of a block whose label passes some types, and that
// leaves results.
func (r *generator) inside(label []byte, results []byte) []byte {
	r.labels = append(r.labels, label)
	out := code(r.statements(), r.values(results))
	r.labels = r.labels[:len(r.labels)-1]
	return out
}

func (r *generator) statement() []byte {
	switch r.IntN(18) {
	case 16:
		return code(r.address(), r.value(tI32), op(byte(0x3a+r.IntN(2)), 0, 8)) // of 8 and 16 bits
	case 17:
		return code(r.address(), r.value(tI64), op(byte(0x3c+r.IntN(3)), 0, 8)) // of 8 to 32 bits
	case 0, 1, 2:
		local := r.IntN(len(r.locals))
		return code(r.value(r.locals[local]), set(local))
	case 3:
		global := r.IntN(len(r.g.globals))
		return code(r.value(r.g.globals[global]), with(opGlobalSet, uint64(global)))
	case 4:
		return code(r.address(), r.value(tI32), op(0x36, 0, 8))
	case 5:
		return code(r.address(), r.value(tI64), op(0x37, 0, 8))
	case 6:
		return control(opBlock, blockEmpty, r.inside(nil, nil))
	case 7, 8:
		// Turns are counted in the last local more often than not.
		return control(opLoop, blockEmpty, r.inside(nil, nil), r.countdown())
	case 9:
		return code(r.value(tI32), control(opIf, blockEmpty, r.inside(nil, nil), op(opElse), r.inside(nil, nil)))
	case 10:
		label := r.IntN(len(r.labels))
		types := r.labels[len(r.labels)-1-label]
		return code(r.value(tI32), ifThen(r.inside(nil, types), br(label+1)))
	case 11:
		return r.table()
	case 12:
		return code(r.value(tI32), ifThen(r.inside(nil, r.result), op(opReturn)))
	case 13:
		return r.call(r.IntN(len(r.g.funcs)))
	case 14:
		return code(r.address(), r.value(tI32), i32(int32(r.IntN(70000))), bulkOp(11, 0))
	}
	return code(r.address(), r.address(), i32(int32(r.IntN(1000))), bulkOp(10, 0, 0))
}

func (r *generator) countdown() []byte {
	last := len(r.locals) - 1
	return code(get(last), i32(1), op(opI32Sub), with(opLocalTee, uint64(last)), i32(31), op(0x71), brIf(0))
}

func (r *generator) address() []byte {
	return code(r.value(tI32), i32(0x1ffff), op(0x71)) // and: up to twice the memory
}

// table branches by a table, to labels that pass nothing.
func (r *generator) table() []byte {
	var labels []byte
	n := 0
	for i, types := range r.labels {
		if len(types) == 0 {
			labels = binary.AppendU(labels, uint64(len(r.labels)-i))
			n++
		}
	}
	labels = append(labels, 0)
	return block(r.inside(nil, []byte{tI32}), with(0x0e, uint64(n)), labels)
}

// call calls a function, directly or by the table, and drops what it returns.
func (r *generator) call(f int) []byte {
	s := r.g.funcs[f].sig
	out := r.values(s.params)
	if r.IntN(2) == 0 {
		out = append(out, call(f)...)
	} else {
		out = slices.Concat(out, i32(int32(f)), with(opCallIndirect, r.g.typeOf(s)), op(0))
	}
	return append(out, repeat(len(s.results), op(0x1a))...)
}

func (r *generator) value(t byte) []byte {
	if r.left--; r.left < 0 {
		return r.constant(t)
	}
	switch r.IntN(12) {
	case 0, 1:
		return r.constant(t)
	case 2, 3, 4:
		if i := r.IntN(len(r.locals)); r.locals[i] == t {
			return get(i)
		}
		return r.constant(t)
	case 5:
		if i := r.IntN(len(r.g.globals)); r.g.globals[i] == t {
			return with(opGlobalGet, uint64(i))
		}
		return r.constant(t)
	case 6:
		return control(opBlock, t, r.inside([]byte{t}, []byte{t}))
	case 7:
		return code(r.value(tI32), control(opIf, t, r.inside([]byte{t}, []byte{t}), op(opElse), r.inside([]byte{t}, []byte{t})))
	case 8:
		return r.several(t)
	}
	if t == tI32 {
		return r.value32()
	}
	return r.value64()
}

// several makes a block of several results, of which the first is left.
func (r *generator) several(t byte) []byte {
	types := append([]byte{t}, r.numbers(3)...)
	blockType := r.g.typeOf(sig{results: types})
	return slices.Concat([]byte{opBlock}, binary.AppendS(nil, int64(blockType)), r.inside(types, types), []byte{opEnd},
		repeat(len(types)-1, op(0x1a)))
}

func (r *generator) constant(t byte) []byte {
	if t == tI32 {
		return i32(int32(r.Uint32()) >> r.IntN(32))
	}
	return i64(int64(r.Uint64()) >> r.IntN(64))
}

func (r *generator) value32() []byte {
	switch r.IntN(16) {
	case 0:
		return code(r.address(), op(0x28, 0, 8))
	case 6, 7:
		return code(r.value(tI32), r.value(tI32), op(byte(0x46+r.IntN(10))))
	case 8:
		return code(r.value(tI32), op([]byte{0x45, 0xc0, 0xc1}[r.IntN(3)])) // eqz, sign extension
	case 9:
		return code(r.address(), op(byte(0x2c+r.IntN(4)), 0, 8)) // of 8 and 16 bits
	case 10:
		return code(r.value(tI64), op(0x50))
	case 11:
		return r.comparedWithZero()
	case 12:
		return r.ofFloat(tI32)
	case 13:
		return r.ofVector(tI32)
	case 1:
		return code(r.value(tI64), op(0xa7))
	case 2:
		return code(r.value(tI64), r.value(tI64), op(byte(0x51+r.IntN(10))))
	case 3:
		return op(0x3f, 0) // memory.size
	case 4:
		return code(i32(int32(r.IntN(3))), op(opMemoryGrow, 0))
	case 5:
		return code(r.value(tI32), op(byte(0x67+r.IntN(3))))
	}
	return code(r.value(tI32), r.value(tI32), op(byte(0x6a+r.IntN(15))))
}

func (r *generator) value64() []byte {
	switch r.IntN(12) {
	case 0:
		return code(r.address(), op(0x29, 0, 8))
	case 6:
		return code(r.address(), op(byte(0x30+r.IntN(6)), 0, 8)) // of 8 to 32 bits
	case 7:
		return code(r.value(tI64), op([]byte{0x79, 0x7a, 0x7b, 0xc2, 0xc3, 0xc4}[r.IntN(6)]))
	case 8:
		return r.ofFloat(tI64)
	case 9:
		return r.ofVector(tI64)
	case 1:
		return code(r.value(tI32), op(byte(0xac+r.IntN(2))))
	case 2:
		return code(r.value(tI64), r.value(tI64), r.value(tI32), op(0x1b))
	}
	return code(r.value(tI64), r.value(tI64), op(byte(0x7c+r.IntN(15))))
}

// comparedWithZero compares zero with an `and`, either way around.
func (r *generator) comparedWithZero() []byte {
	zero, and, first := i32(0), op(opI32And), 0x46
	t := r.number()
	if t == tI64 {
		zero, and, first = i64(0), op(opI64And), 0x51
	}
	left, right := zero, code(r.value(t), r.value(t), and)
	if r.IntN(3) == 0 {
		left, right = right, left
	}
	return code(left, right, op(byte(first+r.IntN(10))))
}

// ofFloat makes an integer of floating-point numbers, without showing the bits of a NaN.
func (r *generator) ofFloat(t byte) []byte {
	wide := byte(r.IntN(2)) // f64 instead of f32
	switch {
	case t == tI32 && r.IntN(2) == 0:
		return code(r.float(wide), r.float(wide), op(0x5b+6*wide+byte(r.IntN(6))))
	case t == tI32:
		return code(r.float(wide), bulkOp(2*wide+byte(r.IntN(2))))
	}
	return code(r.float(wide), bulkOp(4+2*wide+byte(r.IntN(2))))
}

func (r *generator) float(wide byte) []byte {
	if r.left--; r.left < 0 {
		return code(r.constant(tI64), op(0xb4+5*wide))
	}
	switch r.IntN(6) {
	case 0, 1:
		return code(r.value(tI32), op(0xb2+5*wide+byte(r.IntN(2))))
	case 2:
		return code(r.value(tI64), op(0xb4+5*wide+byte(r.IntN(2))))
	case 3:
		return code(r.float(wide), op(0x8b+14*wide+byte(r.IntN(7))))
	case 4:
		return code(r.float(1-wide), op([]byte{0xb6, 0xbb}[wide]))
	}
	return code(r.float(wide), r.float(wide), op(0x92+14*wide+byte(r.IntN(6))))
}

// ofVector makes an integer of a vector.
func (r *generator) ofVector(t byte) []byte {
	v := r.vector()
	switch {
	case t == tI64:
		return code(v, op(opVector, 0x1d, byte(r.IntN(2))))
	case r.IntN(2) == 0:
		return code(v, op(opVector), [][]byte{{0x53}, {0x63}, {0x64}, {0x83, 1}, {0x84, 1}, {0xa3, 1}, {0xa4, 1}, {0xc3, 1}, {0xc4, 1}}[r.IntN(9)])
	}
	return code(v, op(opVector), [][]byte{{0x15, 9}, {0x16, 9}, {0x18, 5}, {0x19, 5}, {0x1b, 2}}[r.IntN(5)])
}

// vectorPairs are operations on two vectors of integers, and vectorOnes on one.
var (
	vectorPairs = slices.Concat(between(0x23, 0x4c), between(0x4e, 0x51), between(0x65, 0x66), between(0x6e, 0x73),
		between(0x76, 0x79), []int{0x7b}, []int{0x82}, between(0x85, 0x86), between(0x8e, 0x93), between(0x95, 0x99),
		between(0x9b, 0x9f), []int{0xae}, between(0xb1, 0xb1), between(0xb5, 0xba), between(0xbc, 0xbf),
		[]int{0xce, 0xd1, 0xd5}, between(0xd6, 0xdf))
	vectorOnes = slices.Concat([]int{0x4d, 0x60, 0x61, 0x62, 0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0x81}, between(0x87, 0x8a),
		[]int{0xa0, 0xa1}, between(0xa7, 0xaa), []int{0xc0, 0xc1}, between(0xc7, 0xca))
	vectorShifts = slices.Concat(between(0x6b, 0x6d), between(0x8b, 0x8d), between(0xab, 0xad), between(0xcb, 0xcd))
)

func between(from, to int) (all []int) {
	for i := from; i <= to; i++ {
		all = append(all, i)
	}
	return all
}

func vectorOp(n int) []byte { return with(opVector, uint64(n)) }

func (r *generator) vector() []byte {
	if r.left--; r.left < 0 {
		return code(r.constant(tI64), op(opVector, 0x12))
	}
	switch r.IntN(7) {
	case 0:
		return code(r.value(tI32), op(opVector, byte(0x0f+r.IntN(3))))
	case 1:
		return code(r.value(tI64), op(opVector, 0x12))
	case 2:
		return code(r.address(), op(opVector, byte(r.IntN(11)), 0, 8)) // loads of all kinds
	case 3:
		return code(r.vector(), vectorOp(vectorOnes[r.IntN(len(vectorOnes))]))
	case 4:
		return code(r.vector(), r.value(tI32), vectorOp(vectorShifts[r.IntN(len(vectorShifts))]))
	case 5:
		lanes := make([]byte, 16)
		for i := range lanes {
			lanes[i] = byte(r.IntN(32))
		}
		return code(r.vector(), r.vector(), op(opVector, 0x0d), lanes)
	}
	return code(r.vector(), r.vector(), vectorOp(vectorPairs[r.IntN(len(vectorPairs))]))
}
