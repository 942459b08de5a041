package table

import (
	_ "embed"
	"maps"
	"slices"
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
	for _, service := range t.named() {
		for _, p := range t.pairsOf(service) {
			if r := t.pairs[p]; len(r.cases) > 0 {
				all = append(all, conditional{r, uint32(p.service)<<16 | uint32(p.command), true})
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.commands)) {
		if r := t.commands[id]; len(r.cases) > 0 {
			all = append(all, conditional{r, uint32(id), false})
		}
	}
	return all
}

// A conditional is a rule with cases, for a command of any service, or for one pair.
type conditional struct {
	*rule
	id        uint32 // command, or service<<16 | command
	ofService bool
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
	return append(appendSigned(b, int64(t.otherwise.verdict.GuestNumbers())), opEnd)
}

// code appends the cases of a rule, which return a verdict.
func (r *rule) code(b []byte, f frame) []byte {
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
