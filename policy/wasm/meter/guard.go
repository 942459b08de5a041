package meter

// wazero 1.12 compiles some comparisons wrongly on amd64. Where a conditional branch
// consumes a comparison of a constant zero on the left with an `and` on the right, it
// writes one TEST, whose flags are those of the exchanged comparison (the `and` with zero):
//
//	i32.const 0; local.get 0; i32.const 1; i32.and; i32.ge_u; if   asks (x & 1) >= 0: always
//
// The compiler sees through locals, through blocks that pass one value only, and through
// shifts by zero, and a local that was never set is a zero too. So no zero is looked for:
// each ordering comparison whose right operand can be an `and` gets a guard, an `or` with
// zero between the two, which the compiler does not see through. Comparisons for equality
// are right either way. The same comparison as metering writes it:
//
//	i32.const 0                            41 00
//	local.get 0; i32.const 1; i32.and      20 00 41 01 71
//	i32.const 0; i32.or                    41 00 72         the guard
//	i32.ge_u                               4f
//
// One pass approximates conservatively whether an operand can be an `and`: a local counts
// as holding one if any instruction of the function may store one in it, before or after
// the comparison, and what comes from a block, a call or a vector may always be one. Guards
// are inserted on every platform, so that a module uses the same fuel everywhere.

// A guard is a place in the instructions, before a comparison.
type guard struct {
	at    int  // the offset in body.out of the comparison
	local int  // the right operand is this local, and needs the guard only if it can hold an `and`
	wide  bool // the operands are i64
}

// An operand is what is known about the top of the stack. Nothing is known about the values
// below it: after an instruction that only consumes values, the top is anything.
type operand int

const (
	anything operand = -2 // it may be the result of an `and`
	noAnd    operand = -1 // it is not; values from 0 on are the local that was pushed
)

// track follows the top of the stack past an instruction, and places guards. It is called
// before the instruction is copied.
func (b *body) track(first byte, op opcode) {
	shifted := b.shift
	b.shift = false
	switch {
	case first >= opI32LtS && first <= opI32GeU, first >= opI64LtS && first <= opI64GeU:
		if b.top != noAnd {
			b.guards = append(b.guards, guard{at: len(b.out), local: int(b.top), wide: first >= opI64LtS})
			b.marks[len(b.marks)-1].weight++
			b.values += 2
		}
		b.top = noAnd
	case first == opI32And, first == opI64And:
		b.ands = true
		b.top = anything
	case first >= opI32Shl && first <= opI32ShrU, first >= opI64Shl && first <= opI64ShrU:
		b.top = anything // a shift by zero is its left operand
		if shifted {
			b.top = noAnd
		}
	case first == opLocalGet, first == opLocalSet, first == opLocalTee:
		// see trackLocal
	case op.idle, first == opMisc, first == opVector, first == opCall, first == opCallIndirect, op.imm == immControl:
		b.top = anything
	default:
		b.top = noAnd
	}
}

// constant notes a constant: by at least one and less than 32, no shift is by zero.
func (b *body) constant(v int64) {
	b.shift = v > 0 && v < 32
	b.m.constants = append(b.m.constants, v)
}

// trackLocal follows the top of the stack past an instruction on a local.
func (b *body) trackLocal(op byte, local uint32) {
	if op == opLocalGet {
		b.top = operand(local)
		b.strides.local(local)
		return
	}
	value := b.strides.pop()
	b.strides.set(local, value)
	if op == opLocalTee {
		b.strides.push(value)
	}
	if b.top != noAnd {
		b.holdsAnd[local] = true
	}
	if op == opLocalSet {
		b.top = anything
	}
}

// needed reports whether the right operand can be an `and`. It is called after the walk of
// the whole function, because a later store may reach the comparison through a loop.
func (b *body) needed(g guard) bool {
	return b.ands && (g.local < 0 || b.holdsAnd[uint32(g.local)])
}

// appendGuarded appends the instructions from one place to another, with the guards between.
func (b *body) appendGuarded(out []byte, from, to int) []byte {
	for len(b.guards) > 0 && b.guards[0].at < to {
		g := b.guards[0]
		b.guards = b.guards[1:]
		if !b.needed(g) {
			continue
		}
		out = append(out, b.out[from:g.at]...)
		from = g.at
		if g.wide {
			out = append(out, opI64Const, 0, opI64Or)
		} else {
			out = append(out, opI32Const, 0, opI32Or)
		}
	}
	return append(out, b.out[from:to]...)
}
