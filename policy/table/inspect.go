package table

import (
	"cmp"
	_ "embed"
	"slices"

	"switchyard/policy/abi"
	"switchyard/policy/wasm/binary"
)

//go:generate wat2wasm fields.wat -o fields.wasm

// fieldsModule is fields.wasm, which a table's module that looks into bodies begins with. It is
// read-only.
//
//go:embed fields.wasm
var fieldsModule []byte

// The numbers of what fields.wat has and the code of a table uses.
const (
	funcRead    = 0 // $read
	globalValue = 2 // $value1, and three more
)

// A table with cases has a module that is one of these two, and functions made for the table:
//
//	cases that compare    begins with    exports besides marker and classify
//	the body's length     nothing        inspect
//	fields of the body    fields.wasm    inspect_body, buffer, memory, and inspect if there are both kinds
//
// classify returns the else of the cases with the flag for the inspection. The inspection compares
// the ids with those of each command that has cases, and then tries the cases in their order.

// conditional returns the rules that have cases, by the ids of the rule: those of pairs first.
func (t *Table) conditional() (all []conditional) {
	for p, r := range t.pairs {
		if len(r.cases) > 0 {
			all = append(all, conditional{r, uint32(p.service)<<16 | uint32(p.command), true})
		}
	}
	for id, r := range t.commands {
		if len(r.cases) > 0 {
			all = append(all, conditional{r, uint32(id), false})
		}
	}
	slices.SortFunc(all, func(a, b conditional) int {
		if a.ofService != b.ofService {
			return -cmp.Compare(btoi(a.ofService), btoi(b.ofService))
		}
		return cmp.Compare(a.id, b.id)
	})
	return all
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A conditional is a rule with cases, for a command of any service, or for one pair.
type conditional struct {
	rule
	id        uint32 // command, or service<<16 | command
	ofService bool
}

// inspecting returns the module of a table with cases or rate limits, with rules for certain senders, or
// with names of groups.
func (t *Table) inspecting() []byte {
	var byHeader, byBody []conditional
	for _, c := range t.conditional() {
		if len(c.fields()) > 0 {
			byBody = append(byBody, c)
		} else {
			byHeader = append(byHeader, c)
		}
	}
	m := newModule()
	if len(byBody) > 0 {
		m = parsedModule(fieldsModule)
	}
	m.function(abi.Marker, []byte{funcType, 0, 0}, []byte{0, opEnd})
	byIDs, common := []byte{funcType, 2, typeI32, typeI32, 1, typeI64}, -1
	if len(t.from) > 0 {
		common = m.function("", byIDs, t.classify())
		m.function(abi.Classify, byIDs, t.classifySenders(common))
	} else {
		m.function(abi.Classify, byIDs, t.classify())
	}
	if len(byHeader) > 0 || len(t.from) > 0 {
		m.function(abi.Inspect, []byte{funcType, 4, typeI64, typeI64, typeI64, typeI64, 1, typeI64}, t.inspection(byHeader, headerFrame, common))
	}
	if len(byBody) > 0 {
		m.function(abi.InspectBody, []byte{funcType, 6, typeI32, typeI32, typeI64, typeI64, typeI64, typeI64, 1, typeI64}, t.inspection(byBody, bodyFrame, common))
	}
	if len(t.groups) > 0 {
		t.addGroups(m)
	}
	if len(t.limits) > 0 {
		m.function(abi.RateLimit, []byte{funcType, 2, typeI32, typeI32, 1, typeI64}, t.rateLimit())
	}
	return m.bytes()
}

// A frame is the numbers of the parameters and locals of an inspection. hi and lo are the words of the
// header.
type frame struct {
	body, size, hi, lo byte
	attributes         byte
	ids, length        byte // locals: service<<16 | command, and the body's length
	command            byte // local, only if rules depend on the sender
	hasBody            bool
}

var (
	headerFrame = frame{hi: 0, lo: 1, attributes: 3, ids: 4, length: 5, command: 6}
	bodyFrame   = frame{body: 0, size: 1, hi: 2, lo: 3, attributes: 5, ids: 6, length: 7, command: 8, hasBody: true}
)

// inspection returns the body of an inspection of PDUs of those rules. common is the number of
// $common, see sender.go, or negative.
func (t *Table) inspection(rules []conditional, f frame, common int) []byte {
	locals := [][]byte{{1, typeI32}, {1, typeI64}}
	if common >= 0 {
		locals = append(locals, []byte{1, typeI32})
	}
	b := vector(locals...)
	b = append(b, opLocalGet, f.lo, opI64Const, 32, opI64ShrU, opI32Wrap, opLocalSet, f.ids)
	b = append(b, opLocalGet, f.hi, opI64Const, 32, opI64ShrU, opI64Const, 16, opI64Sub, opLocalSet, f.length)
	if common >= 0 {
		b = t.senders(b, f)
	}
	for _, r := range rules {
		b = append(b, opLocalGet, f.ids)
		if !r.ofService {
			b = append(b, opI32Const)
			b = append(appendSigned(b, 0xffff), opI32And)
		}
		b = append(b, opI32Const)
		b = append(appendSigned(b, int64(int32(r.id))), opI32Eq, opIf, typeVoid)
		b = r.code(b, f)
		b = append(b, opEnd)
	}
	if common >= 0 {
		return asCommon(b, f, common)
	}
	b = append(b, opI64Const)
	return append(appendSigned(b, int64(wordOf(t.otherwise.verdict))), opEnd)
}

// code appends the cases of a rule, which return a verdict.
func (r rule) code(b []byte, f frame) []byte {
	fields := r.fields()
	if f.hasBody {
		b = append(b, opLocalGet, f.body, opLocalGet, f.size)
		for i := range maxFields {
			number := int64(0)
			if i < len(fields) {
				number = int64(fields[i])
			}
			b = appendSigned(append(b, opI64Const), number)
		}
		b = append(b, opCall, funcRead)
	}
	for _, c := range r.cases {
		for i, one := range c.when {
			value := []byte{opLocalGet, f.length}
			if one.field > 0 {
				value = []byte{opGlobalGet, globalValue + byte(slices.Index(fields, one.field))}
			}
			b = one.code(b, value)
			if i > 0 {
				b = append(b, opI32And)
			}
		}
		b = append(b, opIf, typeVoid)
		b = append(leaf(b, c.verdict), opEnd)
	}
	return leaf(b, r.verdict)
}

// code appends a comparison of the value that those instructions get. From lo to hi is
//
//	value - lo <= hi - lo
//
// as unsigned numbers, which -1, a field that is not there, never is.
func (c comparison) code(b, value []byte) []byte {
	b = append(append(b, value...), opI64Const)
	b = append(appendSigned(b, int64(c.lo)), opI64Sub, opI64Const)
	b = append(appendSigned(b, int64(c.hi)-int64(c.lo)), opI64LeU)
	if c.not {
		b = append(append(append(b, opI32Eqz), value...), opI64Const)
		b = append(appendSigned(b, -1), opI64Ne, opI32And)
	}
	return b
}

// A module is the sections of a WebAssembly module to which functions are added.
type module struct {
	types, functions, exports, code [][]byte
	others                          [binary.Sections][]byte // sections that stay as they are
}

func newModule() *module { return &module{} }

// parsedModule returns the module of fields.wasm. Of the sections to which functions are added, it
// keeps the items together as one, with their number.
func parsedModule(src []byte) *module {
	m := newModule()
	r := binary.NewReader(src[len(binary.Preamble):])
	for r.Left() > 0 {
		id := r.Byte()
		m.others[id] = r.Bytes(int(r.U32()))
	}
	return m
}

// function adds a function and returns its number. It is exported unless it has no name.
func (m *module) function(name string, signature, code []byte) int {
	index := m.count(binary.SectionFunction) + len(m.functions)
	typeIndex := m.count(binary.SectionType) + len(m.types)
	m.types = append(m.types, signature)
	m.functions = append(m.functions, binary.AppendU(nil, uint64(typeIndex)))
	if name != "" {
		m.exports = append(m.exports, binary.AppendU(append(sized([]byte(name)), exportFunc), uint64(index)))
	}
	m.code = append(m.code, sized(code))
	return index
}

// count returns how many items a section has that was parsed.
func (m *module) count(id int) int {
	if m.others[id] == nil {
		return 0
	}
	return int(binary.NewReader(m.others[id]).U32())
}

// bytes returns the module: each section is what was parsed and what was added.
func (m *module) bytes() []byte {
	added := map[int][][]byte{binary.SectionType: m.types, binary.SectionFunction: m.functions, binary.SectionExport: m.exports, binary.SectionCode: m.code}
	b := []byte(binary.Preamble)
	for _, id := range []int{binary.SectionType, binary.SectionFunction, binary.SectionMemory, binary.SectionGlobal, binary.SectionExport, binary.SectionCode, binary.SectionData} {
		var items []byte
		n := len(added[id])
		if parsed := m.others[id]; parsed != nil {
			r := binary.NewReader(parsed)
			n += int(r.U32())
			items = r.Bytes(r.Left())
		}
		if n == 0 {
			continue
		}
		b = binary.AppendSection(b, byte(id), binary.AppendU(nil, uint64(n)), items, slices.Concat(added[id]...))
	}
	return b
}
