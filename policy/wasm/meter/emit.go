package meter

import (
	"cmp"
	"slices"

	"switchyard/policy/wasm/binary"
)

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
//	  block                                02 40
//	    fuel -= 1                          23 00  42 01  7d  24 00
//	    depth -= 1                         23 00  23 02  41 01  6b  24 02
//	    fuel | int64(depth)                23 02  ac  84
//	    if that < 0: branch to the end     42 00  53  0d 00
//	    block (result i32)                 02 7f
//	      local.get 0                      20 00
//	      call 0                           10 00
//	    end                                0b
//	    depth += 1                         23 02  41 01  6a  24 02
//	    return                             0f
//	  end                                  0b
//	  unreachable                          00
//	end                                    0b
//
// The `or` of both counters is negative exactly if one of them is, so that one branch checks
// two limits. All charges of a function branch to the same end, which a compiler places after
// the code: only a branch that is taken costs more than its comparison. A charge leaves the
// stack unchanged, so it may be where the stack holds values.
//
// A function with a loop that calls nothing keeps the fuel in a local, as a compiler has locals
// in registers. It writes the global before calls and at its end, and reads it back after calls.
// Added locals follow the function's own, so that no index changes.

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

// A counter is where a function keeps the fuel while it runs: the global, or a local.
type counter struct {
	local bool
	index uint64
}

func (c counter) get(out []byte) []byte {
	if c.local {
		return binary.AppendU(append(out, opLocalGet), c.index)
	}
	return global(out, opGlobalGet, c.index)
}

// keep sets the counter to the i64 on top of the stack, which stays there.
func (c counter) keep(out []byte) []byte {
	if c.local {
		return binary.AppendU(append(out, opLocalTee), c.index)
	}
	return c.get(global(out, opGlobalSet, c.index))
}

// less subtracts the units of a cost from the i64 on top of the stack, with the extra units of
// loads and stores while the memory is large:
//
//	units + far*loads + (far>>farShift)*stores
func (m *module) less(out []byte, k cost) []byte {
	out = binary.AppendS(append(out, opI64Const), int64(fuelFor(k.weight)))
	out = append(out, opI64Sub)
	if k.loads > 0 {
		out = append(times(global(out, opGlobalGet, m.far()), k.loads), opI64Sub)
	}
	if k.stores > 0 {
		out = global(out, opGlobalGet, m.far())
		out = append(times(append(out, opI64Const, farShift, opI64ShrU), k.stores), opI64Sub)
	}
	return out
}

// times multiplies the i64 on top of the stack.
func times(out []byte, n uint32) []byte {
	if n == 1 {
		return out
	}
	return append(binary.AppendS(append(out, opI64Const), int64(n)), opI64Mul)
}

// trapBelowZero branches to a label if the i64 on top of the stack is negative.
func trapBelowZero(out []byte, label uint32) []byte {
	return binary.AppendU(append(out, opI64Const, 0, opI64LtS, opBrIf), uint64(label))
}

// charge subtracts a cost from the fuel, and branches to the label if less was left.
func (m *module) charge(out []byte, fuel counter, k cost, label uint32) []byte {
	return trapBelowZero(fuel.keep(m.less(fuel.get(out), k)), label)
}

// chargeInPlace subtracts a cost from the fuel, and traps if less was left. A branch to a label
// shared by all charges is faster, but a compiler's time grows with the square of their number,
// which only that of blocks and branches bounds: see MaxBranching.
func (m *module) chargeInPlace(out []byte, fuel counter, k cost) []byte {
	out = fuel.keep(m.less(fuel.get(out), k))
	out = append(out, opI64Const, 0, opI64LtS, opIf, blockEmpty)
	return append(m.store(out, fuel), opUnreachable, opEnd)
}

// resetDepth sets the depth to that of a call from the host.
func (m *module) resetDepth(out []byte, l Limits) []byte {
	return global(binary.AppendS(append(out, opI32Const), int64(l.Depth)), opGlobalSet, m.depth())
}

// moveDepth adds to the depth or subtracts from it, as op says. A trap does not restore the
// depth: the instance is closed then, and each call from the host resets it anyway.
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
func chargeLength(out []byte, fuel counter, added uint64, shift bulk, label uint32) []byte {
	op, by := byte(opI64Shl), shift
	if shift < 0 {
		op, by = opI64ShrU, -shift
	}
	out = binary.AppendU(append(out, opLocalTee), added)
	out = binary.AppendU(append(fuel.get(out), opLocalGet), added)
	out = append(out, opI64ExtendU, opI64Const, byte(by), op, opI64Sub)
	return trapBelowZero(fuel.keep(out), label)
}

// An insertion is what metering adds at an offset of the code.
type insertion struct {
	at   int
	skip int // bytes of the code that it replaces
	code []byte
}

// function writes the code of a function with all its charges but that of the entry.
func (b *body) function() function {
	f := function{entry: b.marks[0].most, fuel: counter{index: b.m.fuel()}, depth: depthFor(b.values), calls: b.calls, indirect: b.indirect}
	f.locals = b.addLocals(&f.fuel)
	from := 0
	f.code = make([]byte, 0, len(b.out)+len(b.out)/8+16)
	for _, in := range b.insertions(f.fuel) {
		f.code = append(b.appendGuarded(f.code, from, in.at), in.code...)
		from = in.at + in.skip
	}
	f.code = b.appendGuarded(f.code, from, len(b.out))
	return f
}

// addLocals writes the declarations of the locals, with an i32 for lengths and an i64 for the
// fuel if they are needed.
func (b *body) addLocals(fuel *counter) []byte {
	groups, added := uint64(b.groups), []byte(nil)
	if len(b.lengths) > 0 {
		groups++
		added = append(added, 1, binary.I32)
	}
	if b.tight {
		*fuel = counter{local: true, index: uint64(b.locals) + uint64(len(added)/2)}
		groups++
		added = append(added, 1, binary.I64)
	}
	return append(append(binary.AppendU(nil, groups), b.localDecl...), added...)
}

// insertions returns everything that metering adds, in the order of the places. At one place,
// the fuel is read back after a call before anything charges, and written before the next call
// after that.
func (b *body) insertions(fuel counter) (all []insertion) {
	add := func(at int, code []byte) { all = append(all, insertion{at: at, code: code}) }
	for _, k := range b.callSites {
		if fuel.local {
			add(k.end, binary.AppendU(append(global(nil, opGlobalGet, b.m.fuel()), opLocalSet), fuel.index))
		}
	}
	for i := range b.marks[1:] {
		k := &b.marks[i+1]
		switch {
		case k.payer != int32(i+1) || !k.reached || k.most == cost{}:
		case k.renews:
			add(k.at, b.m.chargeInPlace(nil, fuel, k.most))
		default:
			add(k.at, b.m.charge(nil, fuel, k.most, k.label))
		}
	}
	all = append(all, b.turns(fuel)...)
	for _, k := range b.lengths {
		add(k.at, chargeLength(nil, fuel, uint64(b.locals), k.shift, k.label))
	}
	for _, k := range b.callSites {
		if fuel.local {
			add(k.at, global(fuel.get(nil), opGlobalSet, b.m.fuel()))
		}
	}
	slices.SortStableFunc(all, func(a, b insertion) int { return cmp.Compare(a.at, b.at) })
	return all
}

// turns returns the charges of branches to loops. That of a br_if is where the branch is
// taken, and others before the branch. A br_table pays for the dearest of its loops.
//
//	br_if $loop   ─▶   if  charge  br $loop  end
func (b *body) turns(fuel counter) (all []insertion) {
	for i := 0; i < len(b.backs); i++ {
		k := b.backs[i]
		turn := b.turn(k)
		if k.cond {
			out := b.m.charge([]byte{opIf, blockEmpty}, fuel, turn, k.label+1)
			out = append(binary.AppendU(append(out, opBr), uint64(k.to)+1), opEnd)
			all = append(all, insertion{k.at, len(binary.AppendU([]byte{opBrIf}, uint64(k.to))), out})
			continue
		}
		for ; i+1 < len(b.backs) && b.backs[i+1].at == k.at; i++ {
			turn = turn.or(b.turn(b.backs[i+1]))
		}
		all = append(all, insertion{at: k.at, code: b.m.charge(nil, fuel, turn, k.label)})
	}
	return all
}

// assemble writes all functions.
func (m *module) assemble(l Limits) (code []byte) {
	counted := m.counted()
	for i := range m.metered {
		code = binary.AppendSized(code, m.assembled(i, counted[i], l))
	}
	return code
}

// assembled writes a function: the charge at the entry, and the code.
//
//	block                   a charge that finds too little fuel branches to its end
//	  charge fuel and depth
//	  block
//	    code                a return is a branch to the end of this block
//	  end
//	  depth += held
//	  return
//	end
//	unreachable
//
// If only the host calls the function, it takes the budget as the fuel that is left, and needs
// no wrapper.
func (m *module) assembled(i int, counted bool, l Limits) []byte {
	f := &m.metered[i]
	index := m.imported + i
	out := append(f.locals, opBlock, blockEmpty)
	before := counter{index: m.fuel()}
	if m.onlyExported(uint32(index)) {
		before = counter{index: m.budget()}
		if counted {
			out = m.resetDepth(out, l)
		}
	}
	out = f.fuel.keep(m.less(before.get(out), f.entry))
	if counted {
		out = m.moveDepth(out, opI32Sub, f.depth)
		out = append(global(out, opGlobalGet, m.depth()), opI64ExtendS, opI64Or)
	}
	out = m.appendBlockType(append(trapBelowZero(out, 0), opBlock), m.types[m.funcs[index]])
	out = m.store(append(out, f.code...), f.fuel)
	if counted {
		out = m.moveDepth(out, opI32Add, f.depth)
	}
	out = append(out, opReturn, opEnd)
	return append(m.store(out, f.fuel), opUnreachable, opEnd)
}

// store writes the fuel to its global, if the function keeps it in a local.
func (m *module) store(out []byte, fuel counter) []byte {
	if fuel.local {
		return global(fuel.get(out), opGlobalSet, m.fuel())
	}
	return out
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
