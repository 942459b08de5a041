package table

import (
	"cmp"
	"slices"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
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
	if len(t.conditional())+len(t.limits)+len(t.from)+len(t.groups) > 0 {
		return t.inspecting()
	}
	var m []byte
	m = append(m, "\x00asm\x01\x00\x00\x00"...)
	m = section(m, sectionType, vector(
		[]byte{funcType, 0, 0},                            // 0: () -> ()
		[]byte{funcType, 2, typeI32, typeI32, 1, typeI64}, // 1: (i32, i32) -> i64
	))
	m = section(m, sectionFunction, vector([]byte{0}, []byte{1}))
	m = section(m, sectionExport, vector(
		append(name(abi.Marker), exportFunc, 0),
		append(name(abi.Classify), exportFunc, 1),
	))
	m = section(m, sectionCode, vector(
		sized([]byte{0, opEnd}),
		sized(t.classify()),
	))
	return section(m, sectionCustom, slices.Concat(name("name"), names()))
}

// names returns the content of the name section, for tools and stack traces. The module
// itself has no name, as a runtime cannot instantiate two modules of one name.
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
	b = appendSigned(b, int64(wordOf(t.otherwise.verdict)))
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

// wordOf returns the word that the module returns for a verdict of the table.
func wordOf(v policy.Verdict) uint64 { return v.GuestNumbers() }

// leaf appends the return of a verdict.
func leaf(b []byte, v policy.Verdict) []byte {
	b = append(b, opI64Const)
	b = appendSigned(b, int64(wordOf(v)))
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
	return cover(intervalsOf(t.commands, t.ranges), 1<<16-1)
}

// intervalsOf returns an interval for each command that has a rule.
func intervalsOf(commands map[pdu.CommandID]rule, ranges []span) (hits []interval) {
	taken := make([]bool, 1<<16)
	take := func(id uint32, v policy.Verdict) {
		if !taken[id] {
			taken[id] = true
			hits = append(hits, interval{lo: id, hi: id, verdict: v})
		}
	}
	for id, r := range commands {
		take(uint32(id), r.byIDs())
	}
	for _, r := range ranges {
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
