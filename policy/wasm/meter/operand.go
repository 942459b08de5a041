package meter

import "switchyard/policy/wasm/binary"

// operands copies the operands of an opcode. It writes every number in its shortest form, so
// that all decoders agree: 2 may be given as `82 80 00` and becomes `02`. It returns how many
// values the instruction passes on, each of which may have to be moved.
func (b *body) operands(first byte, imm immediate) (values int) {
	r := &b.r
	switch imm {
	case immLabel:
		return b.label(first)
	case immLabels:
		return b.labels()
	case immCall:
		return b.call(b.index(len(b.m.funcs), "function"))
	case immCallIndirect:
		return b.callIndirect()
	case immRefFunc:
		if f := b.index(len(b.m.funcs), "function"); r.Err == nil {
			b.m.referenced[f] = true
		}
		b.m.refFuncs = true
	case immLocalGet:
		b.trackLocal(first, b.index(b.locals, "local"))
	case immLocalSet:
		if local := b.index(b.locals, "local"); r.Err == nil {
			b.trackLocal(first, local)
			b.set(local)
		}
	case immGlobal:
		b.index(b.m.globals, "global")
	case immSelect:
		b.zeroOr(1)
		b.out = append(b.out, r.ValueType())
	case immRefNull:
		b.out = append(b.out, r.RefType())
	case immI32:
		v := int64(r.S32())
		b.constant(v)
		b.strides.constant(v)
		b.out = binary.AppendS(b.out, v)
	case immI64:
		v := r.S64()
		b.constant(v)
		b.out = binary.AppendS(b.out, v)
	case immBytes4:
		b.out = append(b.out, r.Bytes(4)...)
	case immBytes8:
		b.out = append(b.out, r.Bytes(8)...)
	case immBytes16:
		b.out = append(b.out, r.Bytes(16)...)
	case immLane:
		b.out = append(b.out, r.Byte())
	default:
		b.memoryOperands(imm)
	}
	return 0
}

// memoryOperands copies the operands of instructions on memories, tables and segments. Indexes of tables
// and data segments stay unchecked, because nothing here looks them up: wazero validates the result.
func (b *body) memoryOperands(imm immediate) {
	switch imm {
	case immMemarg:
		b.memarg()
	case immMemargLane:
		b.memarg()
		b.out = append(b.out, b.r.Byte())
	case immMemory:
		b.zeroOr(0)
	case immMemories:
		b.zeroOr(0)
		b.zeroOr(0)
	case immTable:
		b.u32()
	case immTables:
		b.u32()
		b.u32()
	case immData:
		b.u32()
	case immDataMemory:
		b.u32()
		b.zeroOr(0)
	case immElem:
		b.index(b.m.elems, "element segment")
	case immElemTable:
		b.index(b.m.elems, "element segment")
		b.u32()
	}
}

// zeroOr copies a byte that must be want.
func (b *body) zeroOr(want byte) {
	if got := b.r.Byte(); got != want && b.r.Err == nil {
		b.r.FailAt(b.r.Pos-1, "byte %#x where %#x is needed", got, want)
	}
	b.out = append(b.out, want)
}

// u32 copies an unsigned number. Its encoding may become shorter, because a module may pad
// numbers.
func (b *body) u32() uint32 {
	v := b.r.U32()
	b.out = binary.AppendU(b.out, uint64(v))
	return v
}

// index copies an index, which must be below n. what is its subject, for the error.
func (b *body) index(n int, what string) uint32 {
	v := b.r.Index(n, what)
	b.out = binary.AppendU(b.out, uint64(v))
	return v
}

// memarg copies alignment and offset. The alignment is a power of two, 4 at most (16 bytes,
// of a vector). With several memories, bit 6 says that an index follows.
func (b *body) memarg() {
	start := b.r.Pos
	if align := b.u32(); align > 4 {
		b.r.FailAt(start, "alignment %#x is invalid or of several memories, which are not supported", align)
	}
	b.u32()
}

// label copies a label, which counts the open blocks from the innermost, and returns how many
// values a branch to it passes. The code of each function becomes a block, which takes the label of
// the function, so no label changes.
func (b *body) label(op byte) int {
	label := int(b.index(len(b.frames), "label"))
	if b.r.Err != nil {
		return 0
	}
	to := len(b.frames) - 1 - label
	b.branch(op, to)
	return b.frames[to].arity
}

// labels copies the labels of br_table; the last one is its default. All pass the same number
// of values in a valid module.
func (b *body) labels() (values int) {
	n := b.r.Count(1, "labels")
	b.labelled += n
	b.out = binary.AppendU(b.out, uint64(n))
	for i := 0; i <= n && b.r.Err == nil; i++ {
		values = max(values, b.label(opBrTable))
	}
	// A compiler emits code for each label that passes values.
	b.values += uint64(n) * uint64(values)
	return values
}

// call counts the cost of a direct call beyond its own weight. A call to the host leaves the
// compiled code. The host function charges for its work itself, see host.go of package wasm.
func (b *body) call(f uint32) int {
	if b.r.Err != nil {
		return 0
	}
	b.m.referenced[f] = true
	b.calls = append(b.calls, f)
	if int(f) < b.m.imported {
		b.count(opcode{weight: weightLeave, idle: true}, 0)
	}
	if b.m.codeBytes > nearCode {
		b.count(opcode{weight: weightCall, idle: true}, 0)
	}
	return b.called(b.m.funcs[f])
}

// callIndirect copies the operands of call_indirect: the type that is called, and the table.
func (b *body) callIndirect() int {
	t := b.index(len(b.m.types), "type")
	b.u32()
	if b.r.Err != nil {
		return 0
	}
	b.indirect = true
	return b.called(t)
}

// called records a call of a function of type t, and returns how many values it passes.
func (b *body) called(t uint32) int {
	if b.m.reloads += b.m.mutable; b.m.reloads > MaxReloads {
		b.r.Fail("calls times mutable globals are more than %d, which is not supported", MaxReloads)
	}
	return b.m.types[t].params + b.m.types[t].results
}
