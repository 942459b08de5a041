package meter

import "switchyard/policy/wasm/binary"

// What metering adds to a function that calls another one, with the bytes of each line. Of
// the globals, here 0 is the fuel and 2 the depth:
//
//	(func (param i32) (result i32)
//	  local.get 0                          20 00
//	  call 0                               10 00
//	end                                    0b
//
// becomes
//
//	(func (param i32) (result i32)
//	  fuel -= 1                            23 00  42 01  7d  24 00
//	  depth -= 1                           23 02  41 01  6b  24 02
//	  fuel | int64(depth)                  23 00  23 02  ac  84
//	  if that < 0: trap                    42 00  53  04 40  00  0b
//	  block (result i32)                   02 7f
//	    local.get 0                        20 00
//	    call 0                             10 00
//	  end                                  0b
//	  depth += 1                           23 02  41 01  6a  24 02
//	end                                    0b
//
// The `or` of both counters is negative exactly if one of them is, so that one branch checks
// two limits. The sequence needs no local, so the indices of locals do not change. A charge
// leaves the stack unchanged, so it may stand where the stack holds values.

// The added globals follow those of the module.
func (m *module) fuel() uint64   { return uint64(m.globals) }
func (m *module) budget() uint64 { return uint64(m.globals) + 1 }
func (m *module) depth() uint64  { return uint64(m.globals) + 2 }

// far is the global with the extra units that a load costs while the memory is large; those of
// a store follow from it. It is the only added global that is not exported: the host need not
// read it.
func (m *module) far() uint64 { return uint64(m.globals) + 3 }

// appendFar sets far from the present size of the memory: midUnits above nearPages, and
// farUnits above FarPages.
//
//	far = (memory.size >u nearPages) * midUnits + (memory.size >u FarPages) * (farUnits - midUnits)
//
// A comparison is 0 or 1, so this needs no branch. The size changes only by memory.grow, so
// far is set there, and a charge only reads it.
func (m *module) appendFar(out []byte) []byte {
	out = append(out, opMemorySize, 0)
	out = binary.AppendS(append(out, opI32Const), nearPages)
	out = append(out, opI32GtU, opI32Const, midUnits, opI32Mul, opMemorySize, 0)
	out = binary.AppendS(append(out, opI32Const), FarPages)
	out = append(out, opI32GtU, opI32Const, farUnits-midUnits, opI32Mul, opI32Add, opI64ExtendU)
	return global(out, opGlobalSet, m.far())
}

// global appends global.get or global.set.
func global(out []byte, op byte, index uint64) []byte { return binary.AppendU(append(out, op), index) }

// pay subtracts the units of a mark from the fuel, plus the extra units of its loads and
// stores while the memory is large:
//
//	fuel -= units + far*loads + (far>>farShift)*stores
func (m *module) pay(out []byte, k mark) []byte {
	out = global(out, opGlobalGet, m.fuel())
	out = binary.AppendS(append(out, opI64Const), int64(fuelFor(k.weight)))
	out = append(out, opI64Sub)
	if k.loads > 0 {
		out = append(times(global(out, opGlobalGet, m.far()), k.loads), opI64Sub)
	}
	if k.stores > 0 {
		out = global(out, opGlobalGet, m.far())
		out = append(times(append(out, opI64Const, farShift, opI64ShrU), k.stores), opI64Sub)
	}
	return global(out, opGlobalSet, m.fuel())
}

// times multiplies the i64 on top of the stack.
func times(out []byte, n uint64) []byte {
	if n == 1 {
		return out
	}
	return append(binary.AppendS(append(out, opI64Const), int64(n)), opI64Mul)
}

// trapBelowZero traps if the i64 on top of the stack is negative.
func trapBelowZero(out []byte) []byte {
	return append(out, opI64Const, 0, opI64LtS, opIf, blockEmpty, opUnreachable, opEnd)
}

// charge subtracts units from the fuel and traps if fewer were left.
func (m *module) charge(out []byte, k mark) []byte {
	out = m.pay(out, k)
	return trapBelowZero(global(out, opGlobalGet, m.fuel()))
}

// chargeFrame charges fuel and depth in one go. After a trap, the sign of each global tells
// the host which of them ran out.
func (m *module) chargeFrame(out []byte, k mark, depth uint64) []byte {
	out = m.pay(out, k)
	out = m.moveDepth(out, opI32Sub, depth)
	out = global(out, opGlobalGet, m.fuel())
	out = global(out, opGlobalGet, m.depth())
	return trapBelowZero(append(out, opI64ExtendS, opI64Or))
}

// moveDepth adds to the depth or subtracts from it, as op says. A trap does not restore the
// depth: the instance is closed then, and the wrapper of each call resets it anyway.
func (m *module) moveDepth(out []byte, op byte, depth uint64) []byte {
	out = global(out, opGlobalGet, m.depth())
	out = binary.AppendS(append(out, opI32Const), int64(depth))
	return global(append(out, op), opGlobalSet, m.depth())
}

// chargeLength charges for the length on top of the stack, before the instruction runs. The
// length stays on the stack. For memory.fill, whose length costs a unit for 64 bytes:
//
//	… length          local.tee added       keeps the length on the stack
//	                  fuel -= int64(added) >> 6
//	                  if fuel < 0: trap
//	                  memory.fill
//
// The length is extended without a sign, so the charge is never negative: a length of
// 0xffffffff costs 67,108,863 units and does not add fuel.
func (b *body) chargeLength(shift bulk) {
	b.bulks = true
	op, by := byte(opI64Shl), shift
	if shift < 0 {
		op, by = opI64ShrU, -shift
	}
	out, m := b.out, b.m
	out = binary.AppendU(append(out, opLocalTee), uint64(b.locals)) // the added local
	out = global(out, opGlobalGet, m.fuel())
	out = binary.AppendU(append(out, opLocalGet), uint64(b.locals))
	out = append(out, opI64ExtendU, opI64Const, byte(by), op, opI64Sub)
	out = global(out, opGlobalSet, m.fuel())
	b.out = trapBelowZero(global(out, opGlobalGet, m.fuel()))
}

// appendBody assembles a function: the charge at its entry, and its code with the charges at
// its marks. If it holds depth, a block encloses the code, so that every way out of it gives
// the depth back:
//
//	charge fuel and depth
//	block
//	  code                  a return is a branch to the end of the block
//	end
//	depth += held
func (m *module) appendBody(b *body) {
	b.lighten()
	b.merge()
	out := make([]byte, 0, len(b.localDecl)+len(b.out)+len(b.out)/8+64)
	if b.bulks {
		out = binary.AppendU(out, uint64(b.groups)+1)
		out = append(append(out, b.localDecl...), 1, binary.I32)
	} else {
		out = append(binary.AppendU(out, uint64(b.groups)), b.localDecl...)
	}
	depth := depthFor(b.values)
	holds := b.calls || depth > smallFrame
	if holds {
		out = m.chargeFrame(out, b.marks[0], depth)
		out = append(out, opBlock)
		out = m.appendBlockType(out, b.sig)
	} else {
		out = m.charge(out, b.marks[0])
	}
	from := 0
	for _, k := range b.marks[1:] {
		if k.weight == 0 && k.loads == 0 && k.stores == 0 {
			continue
		}
		out = b.appendGuarded(out, from, k.at)
		out = m.charge(out, k)
		from = k.at
	}
	out = b.appendGuarded(out, from, len(b.out))
	if holds {
		out = append(m.moveDepth(out, opI32Add, depth), opEnd)
	}
	m.code = binary.AppendSized(m.code, out)
}

// merge moves weights that are not worth a charge of their own to the parent, so that only
// the marks that charge have a weight. A parent stands before its children, so one pass from
// the last mark to the first moves a weight as far up as it goes. Marks without a parent keep
// even a small weight: a loop that charged nothing could run forever. Marks with loads that
// may be far keep their weight too, as the parent would pay much for a load that is skipped.
func (b *body) merge() {
	for i := len(b.marks) - 1; i >= 0; i-- {
		if k := &b.marks[i]; k.parent != noParent && k.weight < worthCharge && k.loads == 0 {
			b.marks[k.parent].weight += k.weight
			b.marks[k.parent].stores += k.stores
			k.weight, k.stores = 0, 0
		}
	}
}

// appendBlockType appends the type of a block that has no parameters and the results of a
// function. For several results it adds a type to the module.
func (m *module) appendBlockType(out []byte, sig funcType) []byte {
	switch sig.results {
	case 0:
		return append(out, blockEmpty)
	case 1:
		return append(out, sig.resultTypes[0])
	}
	key := string(sig.resultTypes)
	index, ok := m.blockTypes[key]
	if !ok {
		index = len(m.types) + len(m.blockTypes)
		m.blockTypes[key] = index
		m.addedTypes = binary.AppendU(append(m.addedTypes, binary.Func, 0), uint64(sig.results))
		m.addedTypes = append(m.addedTypes, sig.resultTypes...)
	}
	return binary.AppendS(out, int64(index))
}
