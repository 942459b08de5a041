package meter

// The items of each section, in the order of the sections.

func (m *module) readType(r *reader) {
	if b := r.byte(); r.err == nil && b != 0x60 {
		r.failAt(r.pos-1, "%#x does not begin the type of a function", b)
	}
	var t funcType
	t.params = len(r.valueTypes())
	t.resultTypes = r.valueTypes()
	t.results = len(t.resultTypes)
	m.types = append(m.types, t)
}

// valueTypes reads the parameters or results of a type.
func (r *reader) valueTypes() []byte {
	start := r.pos
	n := r.count(1, "value types")
	if n > MaxArity {
		r.failAt(start, "%d parameters or results, at most %d are supported", n, MaxArity)
	}
	types := r.pos
	for i := 0; i < n && r.err == nil; i++ {
		r.valueType()
	}
	if r.err != nil {
		return nil
	}
	return r.buf[types:r.pos]
}

func (r *reader) valueType() byte {
	switch b := r.byte(); b {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f:
		return b
	default:
		if r.err == nil {
			r.failAt(r.pos-1, "value type %#x is not known", b)
		}
		return 0
	}
}

func (r *reader) refType() byte {
	b := r.byte()
	if r.err == nil && b != 0x70 && b != 0x6f {
		r.failAt(r.pos-1, "reference type %#x is not known", b)
	}
	return b
}

func (m *module) readImport(r *reader) {
	r.name()
	r.name()
	switch kind := r.byte(); kind {
	case kindFunc:
		m.funcs = append(m.funcs, r.index(len(m.types), "type"))
		m.imported++
	case kindTable:
		r.refType()
		r.limits()
	case kindMemory:
		r.limits()
	case kindGlobal:
		m.readGlobalType(r)
	default:
		if r.err == nil {
			r.failAt(r.pos-1, "import of kind %d is not supported", kind)
		}
	}
}

// limits reads the sizes of a table or a memory. Without a maximum it returns
// the largest.
func (r *reader) limits() (lo, hi uint32) {
	flags := r.byte()
	if flags > 1 && r.err == nil {
		r.failAt(r.pos-1, "limits of kind %#x are of shared or 64-bit memory, which are not supported", flags)
	}
	lo, hi = r.u32(), ^uint32(0)
	if flags == 1 {
		hi = r.u32()
	}
	return lo, hi
}

func (m *module) readGlobalType(r *reader) {
	r.valueType()
	mutable := r.byte()
	if mutable > 1 {
		r.failAt(r.pos-1, "mutability %d of a global is not known", mutable)
	}
	m.globals++
	m.mutable += int(mutable)
}

func (m *module) readFunction(r *reader) {
	m.funcs = append(m.funcs, r.index(len(m.types), "type"))
}

func (m *module) readTable(r *reader) {
	start := r.pos
	t := table{refType: r.refType()}
	t.min, t.max = r.limits()
	if t.max < t.min {
		r.failAt(start, "the largest size of a table is below the smallest")
	}
	m.tables = append(m.tables, t)
}

// checkTables refuses more than run-time memory allows, and holds what the
// tables can grow to to that.
func (m *module) checkTables(r *reader) {
	if len(m.tables) > MaxTables {
		r.fail("%d tables, at most %d are supported", len(m.tables), MaxTables)
		return
	}
	room := int64(MaxTableElements)
	for _, t := range m.tables {
		room -= int64(t.min)
	}
	if room < 0 {
		r.fail("%d elements of tables, at most %d are supported", MaxTableElements-room, MaxTableElements)
		return
	}
	for i := range m.tables {
		t := &m.tables[i]
		t.max = uint32(min(int64(t.max), int64(t.min)+room/int64(len(m.tables))))
	}
}

func (m *module) readMemory(r *reader) {
	if m.sections[secMemory].count > 1 {
		r.fail("%d memories, more than one is not supported", m.sections[secMemory].count)
	}
	r.limits()
}

func (m *module) readGlobal(r *reader) {
	m.readGlobalType(r)
	m.constant(r)
}

// constant reads an expression that gives a value when the module is
// instantiated.
func (m *module) constant(r *reader) {
	for r.err == nil {
		start := r.pos
		switch op := r.byte(); op {
		case opEnd:
			return
		case opI32Const:
			r.s32()
		case opI64Const:
			r.s64()
		case opF32Const:
			r.bytes(4)
		case opF64Const:
			r.bytes(8)
		case opGlobalGet:
			r.index(m.globals, "global")
		case opRefNull:
			r.refType()
		case opRefFunc:
			r.index(len(m.funcs), "function")
		case opVector:
			if second := r.u32(); second != opV128Const {
				r.failAt(start, "opcode %#x %#x in a constant expression is not supported", op, second)
			}
			r.bytes(16)
		default:
			r.failAt(start, "opcode %#x in a constant expression is not supported", op)
		}
	}
}

func (m *module) readExport(r *reader) {
	start := r.pos
	n := r.u32()
	e := export{name: r.bytes(int(n)), kind: r.byte()}
	switch e.kind {
	case kindFunc:
		e.index = r.index(len(m.funcs), "function")
		if m.exportedFuncs++; m.exportedFuncs > MaxExportedFuncs {
			r.failAt(start, "more than %d exported functions are not supported", MaxExportedFuncs)
		}
	case kindGlobal:
		e.index = r.index(m.globals, "global")
	case kindTable, kindMemory:
		e.index = r.u32()
	default:
		r.failAt(start, "export %q of kind %d is not supported", e.name, e.kind)
	}
	switch string(e.name) {
	case FuelExport, BudgetExport, DepthExport:
		r.failAt(start, "export %q has a name that is reserved for metering", e.name)
	}
	m.exports = append(m.exports, e)
}

// readElement reads an element segment. Its kind is three bits: passive or
// declared; with a table or, if passive, declared; of expressions.
func (m *module) readElement(r *reader) {
	start := r.pos
	kind := r.u32()
	if kind > 7 {
		r.failAt(start, "element segment of kind %d is not known", kind)
	}
	active, explicit, expressions := kind&1 == 0, kind&2 != 0, kind&4 != 0
	if active && explicit {
		r.u32() // table
	}
	if active {
		m.constant(r)
	}
	if !active || explicit {
		if expressions {
			r.refType()
		} else if b := r.byte(); b != 0 {
			r.failAt(start, "element segment of kind %d is not known", b)
		}
	}
	n := r.count(1, "elements")
	for i := 0; i < n && r.err == nil; i++ {
		if expressions {
			m.constant(r)
		} else {
			r.index(len(m.funcs), "function")
		}
	}
	m.elems++
}

func (m *module) readCode(r *reader) {
	start := r.pos
	n := r.u32()
	if r.err == nil && int64(n) > int64(r.left()) {
		r.failAt(start, "a function has %d bytes, %d are left", n, r.left())
	}
	m.bodies = append(m.bodies, r.sub(int(n)))
}

func (m *module) readData(r *reader) {
	start := r.pos
	kind := r.u32()
	if kind > 2 {
		r.failAt(start, "data segment of kind %d is not known", kind)
	}
	if kind == 2 {
		r.index(1, "memory")
	}
	if kind != 1 {
		m.constant(r)
	}
	r.bytes(int(r.u32()))
	m.datas++
}

// readNames walks the name section: a module's name, those of functions, and
// those of locals by function; further parts are left alone.
func readNames(r *reader) {
	for r.err == nil && r.left() > 0 {
		part := r.byte()
		size := r.u32()
		if r.err == nil && int64(size) > int64(r.left()) {
			r.fail("a part of the names has %d bytes, %d are left", size, r.left())
		}
		s := r.sub(int(size))
		switch part {
		case 0:
			s.name()
		case 1:
			s.nameMap()
		case 2:
			n := s.count(2, "functions")
			for i := 0; i < n && s.err == nil; i++ {
				s.u32()
				s.nameMap()
			}
		default:
			s.pos = s.end
		}
		s.done("the names")
		r.err = s.err
	}
}

func (r *reader) nameMap() {
	n := r.count(2, "names")
	for i := 0; i < n && r.err == nil; i++ {
		r.u32()
		r.name()
	}
}
