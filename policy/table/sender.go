package table

import (
	"strings"

	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm/binary"
)

// What the module of a table has in addition if rules depend on the sender. $common is what classify
// is in other tables:
//
//	classify(service, command)    $common, and INSPECT_HEADER if a section [from.X] has a rule, also
//	                              beside INSPECT_BODY: inspect decides if the body is too large
//	inspect, inspect_body         for each section in order, if attributes has its bit: its rules
//	                              then the cases of the command
//	                              then $common, without its flags for inspections

// attribute returns the bit of attributes that says that a sender is meant by the section.
func (t *Table) attribute(f *fromSection) int64 {
	if f.name == policy.MasterGroup {
		return abi.AttributeMaster
	}
	for n, name := range t.groups {
		if name == f.name {
			return int64(uint64(1) << (abi.AttributeGroupShift + n))
		}
	}
	return 0
}

// intervals returns the rules of the section, as those of [route].
func (f *fromSection) intervals() []interval {
	hits := intervalsOf(&f.ruleSet)
	if f.otherwise.at.Line == 0 {
		return cover(hits, 1<<16-1)
	}
	var all []interval
	for _, i := range cover(hits, 1<<16-1) {
		if i.none {
			i.none, i.verdict = false, f.otherwise.verdict
		}
		all = append(all, i)
	}
	return all
}

// localVerdict is the local of classify, behind its parameters, that has the verdict of $common.
const localVerdict = 2

// classifySenders returns the body of classify; common is the number of $common.
func (t *Table) classifySenders(common int) []byte {
	b := vector([]byte{1, typeI64}) // localVerdict
	b = append(b, opLocalGet, localService, opLocalGet, localCommand, opCall)
	b = binary.AppendU(b, uint64(common))
	b = append(b, opLocalSet, localVerdict)
	// Ids of more than 16 bits have no rules.
	b = append(b, opLocalGet, localService, opLocalGet, localCommand, opI32Or, opI32Const, 16, opI32ShrU, opI32Eqz, opIf, typeVoid)
	for _, f := range t.from {
		b = marks(b, f.intervals())
	}
	b = append(b, opEnd)
	return append(b, opLocalGet, localVerdict, opEnd)
}

// marks appends a search like tree, whose leaves return localVerdict with INSPECT_HEADER.
func marks(b []byte, all []interval) []byte {
	if len(all) == 1 {
		if all[0].none {
			return b
		}
		b = append(b, opLocalGet, localVerdict, opI64Const)
		b = appendSigned(b, abi.InspectHeader)
		return append(b, opI64Or, opReturn)
	}
	half := len(all) / 2
	b = append(b, opLocalGet, localCommand, opI32Const)
	b = append(appendSigned(b, int64(int32(all[half].lo))), opI32LtU, opIf, typeVoid)
	b = append(marks(b, all[:half]), opElse)
	return append(marks(b, all[half:]), opEnd)
}

// senders appends the sections, whose rules return a verdict.
func (t *Table) senders(b []byte, f frame) []byte {
	b = append(b, opLocalGet, f.ids, opI32Const)
	b = append(appendSigned(b, 0xffff), opI32And, opLocalSet, f.command)
	for _, section := range t.from {
		b = append(b, opLocalGet, f.attributes, opI64Const)
		b = append(appendSigned(b, t.attribute(section)), opI64And, opI64Const)
		b = append(appendSigned(b, 0), opI64Ne, opIf, typeVoid)
		b = append(tree(b, f.command, section.intervals()), opEnd)
	}
	return b
}

// asCommon appends the return of what $common says, without its flags for inspections.
func asCommon(b []byte, f frame, common int) []byte {
	b = append(b, opLocalGet, f.ids, opI32Const, 16, opI32ShrU, opLocalGet, f.command, opCall)
	b = binary.AppendU(b, uint64(common))
	b = append(b, opI64Const)
	return append(appendSigned(b, ^int64(abi.InspectHeader|abi.InspectBodyOf)), opI64And, opEnd)
}

// addGroups adds what tells the host the names of the table's groups.
func (t *Table) addGroups(m *module) {
	text, at := []byte(strings.Join(t.groups, "\n")), int64(16)
	if m.others[binary.SectionMemory] == nil {
		m.others[binary.SectionMemory] = []byte{1, 0, 1} // one, from a page on
		m.exports = append(m.exports, append(name(abi.Memory), binary.KindMemory, 0))
	}
	data := append([]byte{1, 0, opI32Const}, appendSigned(nil, at)...) // one, of memory 0, at that address
	m.others[binary.SectionData] = append(append(data, opEnd), sized(text)...)
	b := append([]byte{0, opI64Const}, appendSigned(nil, at<<32|int64(len(text)))...)
	m.function(abi.Groups, []byte{funcType, 0, 1, typeI64}, append(b, opEnd))
}
