package table

import (
	"cmp"
	"slices"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm/binary"
)

// The steps from a table to a module:
//
//	text ─▶ tomlpos.Scan     keys with their lines; refuses what is too deep or too long
//	     ─▶ Decode           values; a faulty line is blanked and the rest decoded again
//	     ─▶ keys, nest       rules by rank, with the faults of all of them
//	     ─▶ …Intervals       for each rank, intervals of ids that cover all values
//	     ─▶ tree             a binary search of the intervals, as nested ifs
//	     ─▶ Module           the sections around that code; inspect.go adds what cases need
//
// A table with CID_OTHER_HEARTBEAT = "consume", the range 0x0720-0x072f and else has the
// intervals
//
//	0x0000-0x0700 none | 0x0701 consume | 0x0702-0x071f none | 0x0720-0x072f broadcast | rest none
//
// and a command is found in at most three comparisons. With 4096 rules it takes some 13; a table of
// 65,536 entries would be faster, but needs memory, and the memo asks only once about each pair.

// Module returns the table as a WebAssembly module of ABI version 1. It has no imports and no
// state, memory only if it looks into bodies, and equal tables have equal modules. Its classify
// searches three decision trees in the order of precedence and falls through to else:
//
//	pairs (service and command) → commands and ranges → services → else
func (t *Table) Module() []byte {
	var byHeader, byBody []conditional
	for _, c := range t.conditional() {
		if len(c.fields()) > 0 {
			byBody = append(byBody, c)
		} else {
			byHeader = append(byHeader, c)
		}
	}
	m := new(module)
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
	if len(byHeader)+len(byBody)+len(t.from)+len(t.groups)+len(t.limits) > 0 {
		return m.bytes() // names would change the checksums of such modules
	}
	return binary.AppendSection(m.bytes(), binary.SectionCustom, name("name"), names())
}

// A module is the sections of a WebAssembly module to which functions are added.
type module struct {
	types, functions, exports, code [][]byte
	others                          [binary.Sections][]byte // sections that stay as they are
}

// parsedModule returns the module of fields.wasm. Of the sections to which functions are added, it
// keeps the items together as one, with their number.
func parsedModule(src []byte) *module {
	m := new(module)
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
		m.exports = append(m.exports, binary.AppendU(append(sized([]byte(name)), binary.KindFunction), uint64(index)))
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

// names returns the content of the name section of a module with classify alone, for tools and stack
// traces. The module itself has no name, as a runtime cannot instantiate two modules of one name.
func names() []byte {
	functions := vector(
		append([]byte{0}, name(abi.Marker)...),
		append([]byte{1}, name(abi.Classify)...),
	)
	locals := vector(append([]byte{1}, vector(
		append([]byte{localService}, name("service")...),
		append([]byte{localCommand}, name("command")...),
	)...))
	return slices.Concat([]byte{1}, sized(functions), []byte{2}, sized(locals))
}

// The locals of classify.
const (
	localService = 0
	localCommand = 1
	localPair    = 2 // service<<16 | command
)

// classify returns the body of the function: its locals and its code.
func (t *Table) classify() []byte {
	b := append(vector([]byte{1, typeI32}), // one local of type i32
		opLocalGet, localService, opLocalGet, localCommand, opI32Or, opI32Const, 16, opI32ShrU, opIf, typeVoid)
	b = leaf(b, t.otherwise.verdict) // an id of more than 16 bits
	b = append(b, opEnd)
	if len(t.pairs) > 0 {
		b = append(b, opLocalGet, localService, opI32Const, 16, opI32Shl,
			opLocalGet, localCommand, opI32Or, opLocalSet, localPair)
		b = tree(b, localPair, t.pairIntervals())
	}
	b = tree(b, localCommand, t.commandIntervals())
	b = tree(b, localService, t.serviceIntervals())
	b = append(b, opI64Const)
	b = appendSigned(b, int64(t.otherwise.verdict.GuestNumbers()))
	return append(b, opEnd)
}

// An interval is a range of ids with the same verdict, or without one.
type interval struct {
	lo, hi  uint32
	verdict policy.Verdict
	none    bool
}

// tree appends a binary search for the local's value among the intervals, which cover all
// values. In an interval with a verdict the code returns it; otherwise execution continues
// behind the tree. Of the intervals 0-6 none, 7 drop, 8-0xffff none it makes
//
//	command < 7 ? nothing : (command < 8 ? return drop : nothing)
//
// A single interval needs no comparison, as the intervals cover all values.
func tree(b []byte, local byte, all []interval) []byte {
	if len(all) == 1 {
		if all[0].none {
			return b
		}
		return leaf(b, all[0].verdict)
	}
	half := len(all) / 2
	b = append(b, opLocalGet, local, opI32Const)
	b = appendSigned(b, int64(int32(all[half].lo)))
	b = append(b, opI32LtU, opIf, typeVoid)
	b = tree(b, local, all[:half])
	b = append(b, opElse)
	b = tree(b, local, all[half:])
	return append(b, opEnd)
}

// leaf appends the return of a verdict.
func leaf(b []byte, v policy.Verdict) []byte {
	b = append(b, opI64Const)
	b = appendSigned(b, int64(v.GuestNumbers()))
	return append(b, opReturn)
}

func (t *Table) pairIntervals() []interval {
	var hits []interval
	for p, r := range t.pairs {
		id := uint32(p.service)<<16 | uint32(p.command)
		hits = append(hits, interval{lo: id, hi: id, verdict: r.byIDs()})
	}
	return cover(hits, 1<<32-1)
}

// commandIntervals takes single commands first, and then what narrower ranges leave to wider
// ones. It visits only ids that have a verdict, as a reload makes the modules of all tables.
func (t *Table) commandIntervals() []interval {
	return cover(intervalsOf(&t.ruleSet), 1<<16-1)
}

// intervalsOf returns an interval for each command that has a rule.
func intervalsOf(s *ruleSet) (hits []interval) {
	taken := make([]bool, 1<<16)
	take := func(id uint32, v policy.Verdict) {
		if !taken[id] {
			taken[id] = true
			hits = append(hits, interval{lo: id, hi: id, verdict: v})
		}
	}
	for id, r := range s.commands {
		take(uint32(id), r.byIDs())
	}
	for _, r := range s.ranges {
		for id := uint32(r.lo); id <= uint32(r.hi); id++ {
			take(id, r.verdict)
		}
	}
	return hits
}

func (t *Table) serviceIntervals() []interval {
	var hits []interval
	for id, r := range t.services {
		hits = append(hits, interval{lo: uint32(id), hi: uint32(id), verdict: r.verdict})
	}
	return cover(hits, 1<<16-1)
}

// cover sorts the intervals, which do not overlap, fills the gaps between 0 and last with
// intervals without a verdict, and merges neighbours with the same verdict.
func cover(hits []interval, last uint32) []interval {
	slices.SortFunc(hits, func(a, b interval) int { return cmp.Compare(a.lo, b.lo) })
	var all []interval
	add := func(i interval) {
		if n := len(all); n > 0 && all[n-1].verdict == i.verdict && all[n-1].none == i.none {
			all[n-1].hi = i.hi
			return
		}
		all = append(all, i)
	}
	next := uint64(0)
	for _, h := range hits {
		if next < uint64(h.lo) {
			add(interval{lo: uint32(next), hi: h.lo - 1, none: true})
		}
		add(h)
		next = uint64(h.hi) + 1
	}
	if next <= uint64(last) {
		add(interval{lo: uint32(next), hi: last, none: true})
	}
	return all
}
