package meter

import (
	"fmt"

	"switchyard/policy/wasm/binary"
)

// sectionOrder is the order in which sections come. Custom ones may be anywhere.
var sectionOrder = [...]byte{binary.SectionType, binary.SectionImport, binary.SectionFunction, binary.SectionTable,
	binary.SectionMemory, binary.SectionGlobal, binary.SectionExport, binary.SectionStart, binary.SectionElement,
	binary.SectionDataCount, binary.SectionCode, binary.SectionData}

// A module holds what rewriting needs to know. Sections that do not change are kept as
// bytes, which alias the module that was given.
//
// It checks what rewriting relies on, such as the order of sections, the range of every
// index that it looks up, and the limits; wazero validates the rest in the result.
type module struct {
	sections [binary.Sections]section
	names    []byte // the content of the custom section with names, or nil

	types          []funcType
	funcs          []uint32 // type of each function, imported ones first
	imports        []Import
	imported       int     // of funcs
	tables         []table // without imported ones
	importedTables int
	memory         memory
	globals        int // imported ones included
	mutable        int // of globals
	elems          int // segments
	elements       int // of all segments
	datas          int
	dataBytes      int // of all segments
	exports        []export
	constants      []int64 // see Rewritten

	exportedFuncs int             // of exports
	referenced    []bool          // by function: something in the module calls it or refers to it
	exported      map[uint32]bool // functions
	codeBytes     int             // of all functions
	bodies        []binary.Reader // of the functions that are not imported

	// Computed by metering.
	metered    []function
	blockTypes map[string]int // results -> index of the added type
	addedTypes []byte
	refFuncs   bool  // some code takes a reference to a function
	lastSet    []int // by local: the last event in which the present function set it
	events     int   // blocks opened and locals set so far: the clock of opened and lastSet
	locals     int   // of all functions so far
	branching  int64 // see MaxBranching
	reloads    int   // see MaxReloads
}

// A section is a vector of items, or bytes if it is not a vector.
//
//	id  size  count  item item item …
//	          └─ all ───────────────┘
//	                 └─ items ──────┘
type section struct {
	present bool
	count   int
	items   []byte // after the count
	all     []byte // with the count
}

type funcType struct {
	params, results int
	resultTypes     []byte
}

type memory struct {
	min, max uint32
	bounded  bool // it declares max
	own      bool // the module defines it
}

// most returns the largest number of pages that the memory declares.
func (m memory) most() uint32 {
	if m.bounded {
		return max(m.min, m.max)
	}
	return m.min
}

// far returns what a load costs more in the memory as it begins, in units of fuel. A memory that
// is imported may have any size.
func (m memory) far() int {
	switch {
	case !m.own || m.min > FarPages:
		return farUnits
	case m.min > nearPages:
		return midUnits
	}
	return 0
}

// An Import is one entry of the import section.
type Import struct {
	Module, Name string
	Kind         byte // binary.KindFunction and so on
}

func (i Import) String() string {
	kinds := [...]string{"function", "table", "memory", "global"}
	return fmt.Sprintf("%s %q.%q", kinds[i.Kind], i.Module, i.Name)
}

type table struct {
	refType  byte
	min, max uint32
}

type export struct {
	name  []byte
	kind  byte
	index uint32
}

// parse reads a module section by section. The code is only cut into functions, which meter walks when
// all sections are read.
func parse(buf []byte) (*module, error) {
	r := binary.NewReader(buf)
	readHeader(r)
	m := &module{blockTypes: map[string]int{}, exported: map[uint32]bool{}}
	rank := 0
	for r.Err == nil && r.Left() > 0 {
		start := r.Pos
		id := r.Byte()
		s := r.Part(fmt.Sprintf("section %d", id))
		if id == binary.SectionCustom {
			m.readCustom(&s)
		} else {
			rank = m.readSection(&s, id, start, rank)
		}
		r.Err = s.Err
	}
	if r.Err == nil && len(m.bodies) != len(m.funcs)-m.imported {
		r.Fail("%d functions are declared, %d have code", len(m.funcs)-m.imported, len(m.bodies))
	}
	return m, r.Err
}

// readHeader reads the magic number and the version. A component has layer 1 in the byte
// that is 0 in a module.
func readHeader(r *binary.Reader) {
	if head := r.Bytes(min(8, r.Left())); string(head) != binary.Preamble {
		switch {
		case len(head) < 8 || string(head[:4]) != "\x00asm":
			r.FailAt(0, "not a WebAssembly module")
		case head[6] == 1:
			r.FailAt(4, "a component, where a core module is needed")
		default:
			r.FailAt(4, "version % x of WebAssembly, where version 1 is needed", head[4:])
		}
	}
}

// readSection reads a section that is not custom. It returns how many entries of
// sectionOrder are now past.
func (m *module) readSection(s *binary.Reader, id byte, start, rank int) int {
	at := rank
	for at < len(sectionOrder) && sectionOrder[at] != id {
		at++
	}
	switch {
	case id == 13:
		s.FailAt(start, "a tag section is of exceptions, which are not supported")
	case id >= binary.Sections:
		s.FailAt(start, "section %d is not known", id)
	case at == len(sectionOrder):
		s.FailAt(start, "the %s section is repeated or out of order", binary.SectionNames[id])
	}
	if s.Err != nil {
		return rank
	}
	sec := &m.sections[id]
	sec.present, sec.all = true, s.Buf[s.Pos:s.End]
	m.readItems(s, id, sec)
	if s.Done("the section"); s.Err != nil {
		s.Err = fmt.Errorf("%s section: %w", binary.SectionNames[id], s.Err)
	}
	return at + 1
}

// readItems reads the items of a section. Before it allocates anything, it checks the count
// against the remaining bytes, using the least size of an item.
func (m *module) readItems(s *binary.Reader, id byte, sec *section) {
	if id == binary.SectionStart {
		m.refer(s)
		return
	}
	if id == binary.SectionDataCount {
		s.U32()
		return
	}
	item := [binary.Sections]struct {
		what string
		size int // bytes that an item takes at least
		most int
		read func(*binary.Reader)
	}{
		binary.SectionType:     {"types", 3, MaxTypes, m.readType},
		binary.SectionImport:   {"imports", 4, MaxImports, m.readImport},
		binary.SectionFunction: {"functions", 1, MaxFunctions, m.readFunction},
		binary.SectionTable:    {"tables", 3, MaxTables, m.readTable},
		binary.SectionMemory:   {"memories", 2, 1, m.readMemory},
		binary.SectionGlobal:   {"globals", 4, MaxGlobals, m.readGlobal},
		binary.SectionExport:   {"exports", 3, MaxExports, m.readExport},
		binary.SectionElement:  {"element segments", 3, MaxElementParts, m.readElement},
		binary.SectionCode:     {"function bodies", 3, MaxFunctions, m.readCode},
		binary.SectionData:     {"data segments", 2, MaxDataParts, m.readData},
	}[id]
	start := s.Pos
	if sec.count = s.Count(item.size, item.what); sec.count > item.most {
		s.FailAt(start, "%d %s, at most %d are supported", sec.count, item.what, item.most)
	}
	if s.Err != nil {
		return
	}
	sec.items = s.Buf[s.Pos:s.End]
	for i := 0; i < sec.count && s.Err == nil; i++ {
		item.read(s)
	}
	m.checkTables(s)
}
