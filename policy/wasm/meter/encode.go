package meter

// encode writes the module with everything that was added, which always follows
// what the module has of the same kind, so that no index changes.
func (m *module) encode(l Limits) []byte {
	wrapped, wrappers := m.wrap(l)
	sec := &m.sections
	sec[secType].extend(len(m.blockTypes), m.addedTypes)
	sec[secFunction].extend(len(wrapped), m.wrapperTypes(wrapped))
	sec[secTable].replace(m.encodeTables())
	sec[secGlobal].extend(3, encodeGlobals(l))
	sec[secExport].count = 0
	sec[secExport].replace(nil)
	sec[secExport].extend(len(m.exports)+3, m.encodeExports(wrapped))
	if m.refFuncs && len(wrapped) > 0 {
		sec[secElement].extend(1, declare(wrapped))
	}
	sec[secCode].replace(m.code)
	sec[secCode].extend(len(wrapped), wrappers)

	out := []byte("\x00asm\x01\x00\x00\x00")
	customs := m.customs
	for rank := 0; rank <= len(sectionOrder); rank++ {
		for len(customs) > 0 && customs[0].after == rank {
			out = appendSection(out, secCustom, nil, customs[0].all)
			customs = customs[1:]
		}
		if rank < len(sectionOrder) {
			out = sec[sectionOrder[rank]].append(out, sectionOrder[rank])
		}
	}
	return out
}

// extend adds items to a section, which may be new.
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

func (s *section) append(out []byte, id byte) []byte {
	switch {
	case !s.present:
		return out
	case s.all != nil:
		return appendSection(out, id, nil, s.all)
	}
	return appendSection(out, id, appendU(nil, uint64(s.count)), s.items)
}

func appendSection(out []byte, id byte, head, body []byte) []byte {
	out = appendU(append(out, id), uint64(len(head)+len(body)))
	return append(append(out, head...), body...)
}

// wrap writes a function for each function that is exported: it sets the
// counters and calls it. The first result lists those functions in the order of
// their wrappers.
func (m *module) wrap(l Limits) (wrapped []uint32, code []byte) {
	seen := map[uint32]bool{}
	for _, e := range m.exports {
		if e.kind != kindFunc || seen[e.index] {
			continue
		}
		seen[e.index] = true
		wrapped = append(wrapped, e.index)
		out := []byte{0} // no locals
		out = global(out, opGlobalGet, m.budget())
		out = global(out, opGlobalSet, m.fuel())
		out = appendS(append(out, opI32Const), int64(l.Depth))
		out = global(out, opGlobalSet, m.depth())
		for i := range m.types[m.funcs[e.index]].params {
			out = appendU(append(out, opLocalGet), uint64(i))
		}
		out = append(appendU(append(out, opCall), uint64(e.index)), opEnd)
		code = append(appendU(code, uint64(len(out))), out...)
	}
	return wrapped, code
}

func (m *module) wrapperTypes(wrapped []uint32) (out []byte) {
	for _, f := range wrapped {
		out = appendU(out, uint64(m.funcs[f]))
	}
	return out
}

// encodeTables writes the tables with the sizes that they may grow to.
func (m *module) encodeTables() (out []byte) {
	for _, t := range m.tables {
		out = appendU(append(out, t.refType, 1), uint64(t.min))
		out = appendU(out, uint64(t.max))
	}
	return out
}

// encodeGlobals writes the fuel, the budget and the depth.
func encodeGlobals(l Limits) []byte {
	const i64, i32, mutable = 0x7e, 0x7f, 1
	out := appendS([]byte{i64, mutable, opI64Const}, int64(l.LoadFuel))
	out = appendS(append(out, opEnd, i64, mutable, opI64Const), int64(l.Fuel))
	out = appendS(append(out, opEnd, i32, mutable, opI32Const), int64(l.Depth))
	return append(out, opEnd)
}

// encodeExports writes the exports, functions by their wrappers.
func (m *module) encodeExports(wrapped []uint32) (out []byte) {
	wrapper := map[uint32]int{}
	for i, f := range wrapped {
		wrapper[f] = len(m.funcs) + i
	}
	for _, e := range m.exports {
		index := uint64(e.index)
		if e.kind == kindFunc {
			index = uint64(wrapper[e.index])
		}
		out = appendExport(out, e.name, e.kind, index)
	}
	out = appendExport(out, []byte(FuelExport), kindGlobal, m.fuel())
	out = appendExport(out, []byte(BudgetExport), kindGlobal, m.budget())
	return appendExport(out, []byte(DepthExport), kindGlobal, m.depth())
}

func appendExport(out, name []byte, kind byte, index uint64) []byte {
	out = append(appendU(out, uint64(len(name))), name...)
	return appendU(append(out, kind), index)
}

// declare writes an element segment that only names functions: code may take a
// reference to a function that is named outside of code, and the exports name
// the wrappers now.
func declare(funcs []uint32) []byte {
	out := appendU([]byte{3, 0}, uint64(len(funcs)))
	for _, f := range funcs {
		out = appendU(out, uint64(f))
	}
	return out
}
