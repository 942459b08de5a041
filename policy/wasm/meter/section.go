package meter

import "switchyard/policy/wasm/binary"

// The items of each section, in the order of the sections. A method reads one item. On a fault
// it stores the error in the reader, whose further reads then return zeros. So a method may
// continue after a fault, but must not use the values as an index or a size.

// readType reads the type of a function:
//
//	0x60  vec(value type)  vec(value type)    parameters, results
func (m *module) readType(r *binary.Reader) {
	switch b := r.Byte(); {
	case r.Err != nil || b == binary.Func:
	case b == 0x4e, b == 0x4f, b == 0x50, b == 0x5e, b == 0x5f: // rec, sub final, sub, array, struct
		r.FailAt(r.Pos-1, "%#x begins a type of garbage collection, which is not supported", b)
	default:
		r.FailAt(r.Pos-1, "%#x does not begin the type of a function", b)
	}
	var t funcType
	t.params = len(valueTypes(r))
	t.resultTypes = valueTypes(r)
	t.results = len(t.resultTypes)
	m.types = append(m.types, t)
}

// valueTypes reads the parameters or results of a type.
func valueTypes(r *binary.Reader) []byte {
	start := r.Pos
	n := r.Count(1, "value types")
	if n > MaxArity {
		r.FailAt(start, "%d parameters or results, at most %d are supported", n, MaxArity)
	}
	types := r.Pos
	for i := 0; i < n && r.Err == nil; i++ {
		r.ValueType()
	}
	if r.Err != nil {
		return nil
	}
	return r.Buf[types:r.Pos]
}

// readImport reads an import. Functions, tables, memories and globals have index spaces of their
// own, in which the imported ones come first:
//
//	name  name  0x00  type index             function
//	            0x01  reftype  limits        table
//	            0x02  limits                 memory
//	            0x03  value type  mutable    global
func (m *module) readImport(r *binary.Reader) {
	i := Import{Module: r.Name(), Name: r.Name(), Kind: r.Byte()}
	m.imports = append(m.imports, i)
	switch i.Kind {
	case binary.KindFunction:
		m.funcs = append(m.funcs, r.Index(len(m.types), "type"))
		m.imported++
	case binary.KindTable:
		m.importedTables++
		r.RefType()
		r.Limits()
	case binary.KindMemory:
		r.Limits()
	case binary.KindGlobal:
		m.readGlobalType(r)
	default:
		if r.Err == nil {
			r.FailAt(r.Pos-1, "import of kind %d is not supported", i.Kind)
		}
	}
}

// readGlobalType reads the type of a global, imported or not.
func (m *module) readGlobalType(r *binary.Reader) {
	r.ValueType()
	mutable := r.Byte()
	if mutable > 1 {
		r.FailAt(r.Pos-1, "mutability %d of a global is not known", mutable)
	}
	m.globals++
	m.mutable += int(mutable)
}

// readFunction reads the type index of a function. Its body is in the code section.
func (m *module) readFunction(r *binary.Reader) {
	m.funcs = append(m.funcs, r.Index(len(m.types), "type"))
}

// readTable reads a table: the type of its elements, and its limits.
func (m *module) readTable(r *binary.Reader) {
	start := r.Pos
	t := table{refType: r.RefType()}
	t.min, t.max = r.Limits()
	if t.max < t.min {
		r.FailAt(start, "the largest size of a table is below the smallest")
	}
	m.tables = append(m.tables, t)
}

// checkTables refuses tables that are too large together, and lowers their maximums so that
// they cannot grow beyond MaxTableElements together. Each gets an equal part of the remaining
// elements: of two tables with 8 and 40 elements, which leave 1,048,528, each may grow by
// 524,264. A table that cannot grow is not a fault in WebAssembly: table.grow returns -1.
func (m *module) checkTables(r *binary.Reader) {
	room := int64(MaxTableElements)
	for _, t := range m.tables {
		room -= int64(t.min)
	}
	if room < 0 {
		r.Fail("%d elements of tables, at most %d are supported", MaxTableElements-room, MaxTableElements)
		return
	}
	for i := range m.tables {
		t := &m.tables[i]
		t.max = uint32(min(int64(t.max), int64(t.min)+room/int64(len(m.tables))))
	}
}

// readMemory reads a memory, of which a module may have one. Its limits begin with a flag: 1 if a
// maximum follows. Without one, the memory could grow as far as 32-bit addresses go.
func (m *module) readMemory(r *binary.Reader) {
	start := r.Pos
	m.memory.own = true
	m.memory.min, m.memory.max = r.Limits()
	m.memory.bounded = r.Pos > start && r.Buf[start] == 1
	if most := m.memory.most(); r.Err == nil && most > MaxPages {
		r.FailAt(start, "a memory of %d pages, more than %d are not valid", most, MaxPages)
	}
}

// readGlobal reads a global: its type, and an expression with its first value.
func (m *module) readGlobal(r *binary.Reader) {
	m.readGlobalType(r)
	if value, known := m.constant(r); known {
		m.constants = append(m.constants, value)
	}
}

// constant reads an expression that is evaluated when the module is instantiated. It has no
// loops or calls, so it needs no metering except in instanceCost. The value is known if the
// expression is an integer.
func (m *module) constant(r *binary.Reader) (value int64, known bool) {
	for first := true; r.Err == nil; first = false {
		start := r.Pos
		op := r.Byte()
		if op == opEnd {
			return value, known
		}
		known = first && (op == opI32Const || op == opI64Const)
		switch op {
		case opI32Const:
			value = int64(r.S32())
		case opI64Const:
			value = r.S64()
		case opF32Const:
			r.Bytes(4)
		case opF64Const:
			r.Bytes(8)
		case opGlobalGet:
			r.Index(m.globals, "global")
		case opRefNull:
			r.RefType()
		case opRefFunc:
			m.refer(r)
		case opVector:
			if second := r.U32(); second != opV128Const {
				r.FailAt(start, "opcode %#x %#x in a constant expression is not supported", op, second)
			}
			r.Bytes(16)
		default:
			r.FailAt(start, "opcode %#x in a constant expression is not supported", op)
		}
	}
	return 0, false
}

// readExport reads an export: a name, a kind, and an index in the index space of that kind.
// Guests cannot export globals by the names that the host reads fuel and depth from.
func (m *module) readExport(r *binary.Reader) {
	start := r.Pos
	n := r.U32()
	e := export{name: r.Bytes(int(n)), kind: r.Byte()}
	switch e.kind {
	case binary.KindFunction:
		e.index = r.Index(len(m.funcs), "function")
		m.exported[e.index] = true
		if m.exportedFuncs++; m.exportedFuncs > MaxExportedFuncs {
			r.FailAt(start, "more than %d exported functions are not supported", MaxExportedFuncs)
		}
	case binary.KindGlobal:
		e.index = r.Index(m.globals, "global")
	case binary.KindTable, binary.KindMemory:
		e.index = r.U32()
	default:
		r.FailAt(start, "export %q of kind %d is not supported", e.name, e.kind)
	}
	switch string(e.name) {
	case FuelExport, BudgetExport, DepthExport:
		r.FailAt(start, "export %q has a name that is reserved for metering", e.name)
	}
	m.exports = append(m.exports, e)
}

// readElement reads an element segment. Its kind has three bits: 1, it is passive or
// declared; 2, it has a table index or, if bit 1 is set, is declared; 4, its elements are
// expressions. A segment that is too long for its table is refused: by the specification no instance
// can be made then, and wazero leaves the table empty instead.
func (m *module) readElement(r *binary.Reader) {
	start := r.Pos
	kind := r.U32()
	if kind > 7 {
		r.FailAt(start, "element segment of kind %d is not known", kind)
	}
	active, explicit, expressions := kind&1 == 0, kind&2 != 0, kind&4 != 0
	var table uint32
	var offset int64
	known := false // the offset
	if active && explicit {
		table = r.U32()
	}
	if active {
		offset, known = m.constant(r)
	}
	if !active || explicit {
		if expressions {
			r.RefType()
		} else if b := r.Byte(); b != 0 {
			r.FailAt(start, "element segment of kind %d is not known", b)
		}
	}
	n := r.Count(1, "elements")
	if m.elements += n; m.elements > MaxElements {
		r.FailAt(start, "more than %d elements in all segments are not supported", MaxElements)
	}
	if local := int64(table) - int64(m.importedTables); known && n > 0 && local >= 0 && local < int64(len(m.tables)) {
		begin, size := uint64(uint32(offset)), m.tables[local].min
		if end := begin + uint64(n); end > uint64(size) {
			r.FailAt(start, "element segment with elements %d to %d, in a table of %d", begin, end-1, size)
		}
	}
	for i := 0; i < n && r.Err == nil; i++ {
		if expressions {
			m.constant(r)
		} else {
			m.refer(r)
		}
	}
	m.elems++
}

// refer reads the index of a function to which the module refers other than by its export.
func (m *module) refer(r *binary.Reader) {
	f := int(r.Index(len(m.funcs), "function"))
	if r.Err != nil {
		return
	}
	m.referenced = append(m.referenced, make([]bool, len(m.funcs)-len(m.referenced))...)
	m.referenced[f] = true
}

// onlyExported reports whether a function of the module is called by nothing but the host.
func (m *module) onlyExported(f uint32) bool {
	return int(f) >= m.imported && m.exported[f] && !m.referenced[f]
}

// readCode takes the bytes of a function's body. They are rewritten when all sections are read,
// because the code refers to sections after it.
func (m *module) readCode(r *binary.Reader) {
	body := r.Part("a function")
	m.codeBytes += body.Left()
	m.bodies = append(m.bodies, body)
}

// readData reads a data segment:
//
//	0  expression  bytes                active, at the address of the expression
//	1  bytes                            passive, for memory.init
//	2  memory index  expression  bytes  active, as 0
func (m *module) readData(r *binary.Reader) {
	start := r.Pos
	kind := r.U32()
	if kind > 2 {
		r.FailAt(start, "data segment of kind %d is not known", kind)
	}
	if kind == 2 {
		r.Index(1, "memory")
	}
	if kind != 1 {
		m.constant(r)
	}
	m.dataBytes += len(r.Bytes(int(r.U32())))
	m.datas++
}

// readCustom reads a custom section. All are left out of the result but the names, as none has
// a meaning for running the module, and they are often odd. Of several sections with names the
// first counts. One that is not as it should be is left out, too: wazero trusts the counts in it.
func (m *module) readCustom(s *binary.Reader) {
	all := s.Buf[s.Pos:s.End]
	if m.names == nil && s.Name() == "name" {
		if readNames(s); s.Err == nil {
			m.names = all
		}
	}
	s.Err = nil
}

// readNames validates the name section: the names of the module, of functions, and of
// locals by function. Other parts are skipped. The names are kept because the trace of a
// trap shows them to the author of the policy.
func readNames(r *binary.Reader) {
	for r.Err == nil && r.Left() > 0 {
		part := r.Byte()
		s := r.Part("a part of the names")
		switch part {
		case 0:
			s.Name()
		case 1:
			nameMap(&s)
		case 2:
			n := s.Count(2, "functions")
			for i := 0; i < n && s.Err == nil; i++ {
				s.U32()
				nameMap(&s)
			}
		default:
			s.Pos = s.End
		}
		s.Done("the names")
		r.Err = s.Err
	}
}

// nameMap reads names by index, of functions or of locals.
func nameMap(r *binary.Reader) {
	n := r.Count(2, "names")
	for i := 0; i < n && r.Err == nil; i++ {
		r.U32()
		r.Name()
	}
}
