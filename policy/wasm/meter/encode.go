package meter

import "switchyard/policy/wasm/binary"

// encode writes the module with all additions. They follow the module's own items of the
// same kind, so that no index changes. Only segments of data are joined, see joinData.
//
//	types       own, then the types of blocks with several results
//	functions   own, then a wrapper for each exported one that the module itself refers to
//	globals     own, then fuel, budget, depth, far
//	exports     own, with wrappers in place of functions, then fuel, budget, depth
//	elements    own, then a segment that declares the wrapped functions, if code refers to any
//
// A start function and the elements of tables keep the original functions. They use the
// counters of the call or instantiation that calls them; a wrapper would refill the fuel in
// the middle of it.
func (m *module) encode(l Limits) []byte {
	m.joinData()
	code := m.assemble(l)
	wrapped, wrappers := m.wrap(l)
	sec := &m.sections
	sec[binary.SectionType].extend(len(m.blockTypes), m.addedTypes)
	sec[binary.SectionFunction].extend(len(wrapped), m.wrapperTypes(wrapped))
	sec[binary.SectionTable].replace(m.encodeTables())
	if m.memory.bounded && l.Pages > 0 && m.memory.max > l.Pages && m.memory.min <= l.Pages {
		sec[binary.SectionMemory].replace(binary.AppendU(binary.AppendU([]byte{1}, uint64(m.memory.min)), uint64(l.Pages)))
	}
	sec[binary.SectionGlobal].extend(4, m.encodeGlobals(l))
	sec[binary.SectionExport].count = 0
	sec[binary.SectionExport].replace(nil)
	sec[binary.SectionExport].extend(len(m.exports)+3, m.encodeExports(wrapped))
	if m.refFuncs && len(wrapped) > 0 {
		sec[binary.SectionElement].extend(1, declare(wrapped))
	}
	sec[binary.SectionCode].replace(code)
	sec[binary.SectionCode].extend(len(wrapped), wrappers)

	out := []byte(binary.Preamble)
	for _, id := range sectionOrder {
		out = sec[id].append(out, id)
	}
	if m.names != nil {
		out = binary.AppendSection(out, binary.SectionCustom, m.names)
	}
	return out
}

// extend adds items to a section, which may be new. The capacity of items is clipped so
// that append copies them, because they alias the given module, which must not change.
func (s *section) extend(count int, items []byte) {
	if count == 0 {
		return
	}
	s.present, s.all = true, nil
	s.count += count
	s.items = append(s.items[:len(s.items):len(s.items)], items...)
}

// replace sets the bytes of a section's items.
func (s *section) replace(items []byte) {
	s.all, s.items = nil, items
}

// append writes the section: unchanged as it was read, or else with its present count and
// items.
func (s *section) append(out []byte, id byte) []byte {
	switch {
	case !s.present:
		return out
	case s.all != nil:
		return binary.AppendSection(out, id, s.all)
	}
	return binary.AppendSection(out, id, binary.AppendU(nil, uint64(s.count)), s.items)
}

// wrap writes a wrapper for each exported function that the module itself calls or refers to:
// it resets the counters and calls the function. Other exported functions reset them
// themselves, see assembled. The first result lists the functions in the order of their wrappers.
//
//	(func (param i32 i32) (result i64)     the type of the exported function
//	  fuel = budget
//	  depth = Limits.Depth
//	  local.get 0
//	  local.get 1
//	  call classify)
//
// So the host does not have to reset the counters, and sets a global only when the budget
// changes.
func (m *module) wrap(l Limits) (wrapped []uint32, code []byte) {
	seen := map[uint32]bool{}
	for _, e := range m.exports {
		if e.kind != binary.KindFunction || seen[e.index] || m.onlyExported(e.index) {
			continue
		}
		seen[e.index] = true
		wrapped = append(wrapped, e.index)
		out := []byte{0} // no locals
		out = global(out, opGlobalGet, m.budget())
		out = global(out, opGlobalSet, m.fuel())
		out = m.resetDepth(out, l)
		for i := range m.types[m.funcs[e.index]].params {
			out = binary.AppendU(append(out, opLocalGet), uint64(i))
		}
		out = append(binary.AppendU(append(out, opCall), uint64(e.index)), opEnd)
		code = binary.AppendSized(code, out)
	}
	return wrapped, code
}

// wrapperTypes writes the entries of the wrappers in the function section: a wrapper has the
// type of its function.
func (m *module) wrapperTypes(wrapped []uint32) (out []byte) {
	for _, f := range wrapped {
		out = binary.AppendU(out, uint64(m.funcs[f]))
	}
	return out
}

// encodeTables writes the tables with their lowered maximums. Each now declares one.
func (m *module) encodeTables() (out []byte) {
	for _, t := range m.tables {
		out = binary.AppendU(append(out, t.refType, 1), uint64(t.min))
		out = binary.AppendU(out, uint64(t.max))
	}
	return out
}

// encodeGlobals writes the fuel, the budget, the depth, and far. Until memory.grow sets it, far
// is that of the size with which the memory begins.
func (m *module) encodeGlobals(l Limits) []byte {
	const i64, i32, mutable = binary.I64, binary.I32, 1
	out := binary.AppendS([]byte{i64, mutable, opI64Const}, int64(l.LoadFuel-m.instanceCost()))
	out = binary.AppendS(append(out, opEnd, i64, mutable, opI64Const), int64(l.Fuel))
	out = binary.AppendS(append(out, opEnd, i32, mutable, opI32Const), int64(l.Depth))
	return append(out, opEnd, i64, mutable, opI64Const, byte(m.memory.far()), opEnd)
}

// encodeExports writes the exports, with wrappers in place of functions.
func (m *module) encodeExports(wrapped []uint32) (out []byte) {
	wrapper := map[uint32]int{}
	for i, f := range wrapped {
		wrapper[f] = len(m.funcs) + i
	}
	for _, e := range m.exports {
		index := uint64(e.index)
		if w, ok := wrapper[e.index]; ok && e.kind == binary.KindFunction {
			index = uint64(w)
		}
		out = appendExport(out, e.name, e.kind, index)
	}
	out = appendExport(out, []byte(FuelExport), binary.KindGlobal, m.fuel())
	out = appendExport(out, []byte(BudgetExport), binary.KindGlobal, m.budget())
	return appendExport(out, []byte(DepthExport), binary.KindGlobal, m.depth())
}

func appendExport(out, name []byte, kind byte, index uint64) []byte {
	out = binary.AppendSized(out, name)
	return binary.AppendU(append(out, kind), index)
}

// declare writes an element segment that only declares functions. Code may take a reference
// to a function only if something outside of code names it, and the exports now name the
// wrappers instead.
func declare(funcs []uint32) []byte {
	out := binary.AppendU([]byte{3, 0}, uint64(len(funcs)))
	for _, f := range funcs {
		out = binary.AppendU(out, uint64(f))
	}
	return out
}
