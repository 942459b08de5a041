package meter

import "fmt"

// Section ids, and the order in which sections stand.
const (
	secCustom    = 0
	secType      = 1
	secImport    = 2
	secFunction  = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElement   = 9
	secCode      = 10
	secData      = 11
	secDataCount = 12
	secCount     = 13
)

var (
	sectionOrder = [...]byte{secType, secImport, secFunction, secTable, secMemory, secGlobal,
		secExport, secStart, secElement, secDataCount, secCode, secData}
	sectionNames = [secCount]string{"custom", "type", "import", "function", "table", "memory", "global",
		"export", "start", "element", "code", "data", "data count"}
)

const (
	kindFunc   = 0
	kindTable  = 1
	kindMemory = 2
	kindGlobal = 3
)

// A module is what rewriting has to know of one. Sections that do not change are
// kept as their bytes.
type module struct {
	sections [secCount]section
	customs  []custom

	types    []funcType
	funcs    []uint32 // type of each function, imported ones first
	imported int      // of funcs
	tables   []table  // without imported ones
	globals  int      // imported ones included
	mutable  int      // of globals
	elems    int
	datas    int
	exports  []export

	exportedFuncs int      // of exports
	bodies        []reader // of the functions that are not imported

	// Made by metering.
	code       []byte         // the rewritten bodies, each with its size
	blockTypes map[string]int // results -> index of the added type
	addedTypes []byte
	refFuncs   bool // some code takes a reference to a function
	lastSet    []int
	events     int
	locals     int
	branching  int64
	reloads    int
}

// A section is a vector of items, or just bytes where it is none.
type section struct {
	present bool
	count   int
	items   []byte // after the count
	all     []byte // with the count
}

type custom struct {
	after int    // how many entries of sectionOrder stand before it
	all   []byte // without id and size
}

type funcType struct {
	params, results int
	resultTypes     []byte
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

// parse reads a module section by section. The code stays as it is.
func parse(buf []byte) (*module, error) {
	r := &reader{buf: buf, end: len(buf)}
	readHeader(r)
	m := &module{blockTypes: map[string]int{}}
	rank := 0
	for r.err == nil && r.left() > 0 {
		start := r.pos
		id := r.byte()
		size := r.u32()
		if r.err == nil && int64(size) > int64(r.left()) {
			r.failAt(start, "section %d has %d bytes, %d are left", id, size, r.left())
		}
		s := r.sub(int(size))
		if id == secCustom {
			m.readCustom(&s, rank)
		} else {
			rank = m.readSection(&s, id, start, rank)
		}
		r.err = s.err
	}
	if r.err == nil && len(m.bodies) != len(m.funcs)-m.imported {
		r.fail("%d functions are declared, %d have code", len(m.funcs)-m.imported, len(m.bodies))
	}
	return m, r.err
}

func readHeader(r *reader) {
	if head := r.bytes(min(8, r.left())); string(head) != "\x00asm\x01\x00\x00\x00" {
		switch {
		case len(head) < 8 || string(head[:4]) != "\x00asm":
			r.failAt(0, "not a WebAssembly module")
		case head[6] == 1:
			r.failAt(4, "a component, where a core module is needed")
		default:
			r.failAt(4, "version % x of WebAssembly, where version 1 is needed", head[4:])
		}
	}
}

// readSection reads a section that is not custom, and returns how many entries
// of sectionOrder it leaves behind.
func (m *module) readSection(s *reader, id byte, start, rank int) int {
	at := rank
	for at < len(sectionOrder) && sectionOrder[at] != id {
		at++
	}
	switch {
	case id == 13:
		s.failAt(start, "a tag section is of exceptions, which are not supported")
	case id >= secCount:
		s.failAt(start, "section %d is not known", id)
	case at == len(sectionOrder):
		s.failAt(start, "the %s section stands twice or out of order", sectionNames[id])
	}
	if s.err != nil {
		return rank
	}
	sec := &m.sections[id]
	sec.present, sec.all = true, s.buf[s.pos:s.end]
	m.readItems(s, id, sec)
	if s.done("the section"); s.err != nil {
		s.err = fmt.Errorf("%s section: %w", sectionNames[id], s.err)
	}
	return at + 1
}

func (m *module) readItems(s *reader, id byte, sec *section) {
	if id == secStart {
		s.index(len(m.funcs), "function")
		return
	}
	if id == secDataCount {
		s.u32()
		return
	}
	item := [secCount]struct {
		size int // bytes that an item takes at least
		read func(*reader)
	}{
		secType:     {3, m.readType},
		secImport:   {4, m.readImport},
		secFunction: {1, m.readFunction},
		secTable:    {3, m.readTable},
		secMemory:   {2, m.readMemory},
		secGlobal:   {4, m.readGlobal},
		secExport:   {3, m.readExport},
		secElement:  {3, m.readElement},
		secCode:     {3, m.readCode},
		secData:     {2, m.readData},
	}[id]
	sec.count = s.count(item.size, "items")
	if s.err != nil {
		return
	}
	sec.items = s.buf[s.pos:s.end]
	for i := 0; i < sec.count && s.err == nil; i++ {
		item.read(s)
	}
	m.checkTables(s)
}

// readCustom keeps a custom section, and looks into that with the names: who
// compiles the module trusts its counts.
func (m *module) readCustom(s *reader, rank int) {
	c := custom{after: rank, all: s.buf[s.pos:s.end]}
	if s.name() == "name" {
		readNames(s)
	}
	if s.err != nil {
		s.err = fmt.Errorf("custom section: %w", s.err)
		return
	}
	m.customs = append(m.customs, c)
}
