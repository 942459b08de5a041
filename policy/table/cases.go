package table

import (
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"
	"google.golang.org/protobuf/encoding/protowire"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
)

// A command whose rule is a section has cases. The first one whose condition holds decides; else
// decides if none does, and if the body cannot be inspected:
//
//	[route.CID_MSG_DATA]
//	"msg_type = 1-2 and body-length <= 4096" = "unicast fields from_user_id to_session_id, not-sender, else-broadcast"
//	else                                     = "broadcast-except-sender"

// MaxCases is how many cases one command may have besides else, so that the fuel of a call suffices.
const MaxCases = 64

// A oneCase is a condition and the verdict if it holds.
type oneCase struct {
	when condition
	decision
}

// cases reads the cases of the command at key, whose message is given.
func (p *parser) cases(key toml.Key, message string) (r *rule, ok bool) {
	r = new(rule)
	faults := len(p.faults)
	hasElse := false
	seen := map[string]bool{}
	for _, k := range p.doc.Keys {
		if len(k.Name) <= len(key) || !slices.Equal(k.Name[:len(key)], key) || seen[k.Name[len(key)]] {
			continue
		}
		word := k.Name[len(key)]
		seen[word] = true
		at := k.Name[:len(key)+1]
		p.rules++
		if word == keyElse {
			r.decision, _ = p.verdict(at, message)
			hasElse = true
			continue
		}
		if hasElse {
			p.faultAt(at, fmt.Sprintf("the case %q follows else", word), "write else last")
		}
		when, problem := parseCondition(word, message)
		if problem != nil {
			p.faultAt(at, problem.What, problem.Remedy)
			continue
		}
		if i := slices.IndexFunc(r.cases, func(c oneCase) bool { return c.when.String() == when.String() }); i >= 0 {
			p.faultAt(at, fmt.Sprintf("the case %q is on line %d already", when, r.cases[i].at.Line), "keep one")
		}
		d, _ := p.verdict(at, message)
		r.cases = append(r.cases, oneCase{when, d})
	}
	switch fields := r.fields(); {
	case len(p.faults) > faults:
	case !hasElse:
		p.faultAt(key, fmt.Sprintf("the cases of %s have no else", key[len(key)-1]), `write what happens if none of them holds, as in else = "broadcast-except-sender"`)
	case len(r.cases) == 0:
		p.faultAt(key, fmt.Sprintf("%s has no case but else", key[len(key)-1]), fmt.Sprintf("write it as a rule: %s = %q", key[len(key)-1], r.spell(p.numbers.names)))
	case len(r.cases) > MaxCases:
		p.faultAt(key, fmt.Sprintf("%s has %d cases, at most %d are possible", key[len(key)-1], len(r.cases), MaxCases), "write ranges, such as msg_type = 1-2")
	case len(fields) > maxFields:
		p.faultAt(key, fmt.Sprintf("the cases of %s compare %d fields, at most %d are possible", key[len(key)-1], len(fields), maxFields), "compare fewer fields")
	}
	return r, len(p.faults) == faults
}

// fields returns the numbers of the fields that the cases compare, in the order in which they appear.
func (r *rule) fields() (numbers []uint32) {
	for _, c := range r.cases {
		for _, one := range c.when {
			if one.field > 0 && !slices.Contains(numbers, one.field) {
				numbers = append(numbers, one.field)
			}
		}
	}
	return numbers
}

// byIDs returns the verdict of the ids alone: the else, and which inspection finds the case.
func (r *rule) byIDs() policy.Verdict {
	switch {
	case len(r.cases) == 0:
		return r.verdict
	case len(r.fields()) > 0:
		return r.verdict | abi.InspectBodyOf
	}
	return r.verdict | abi.InspectHeader
}

// A Case is one case of a rule.
type Case struct {
	If      string         // in one form; empty for else
	Verdict policy.Verdict // as Table.Spell takes it
	Place   Place
}

// Cases returns the cases of the rule that decides about the ids, without else; none for a rule that
// has no condition. The rules for certain senders come first.
func (t *Table) Cases(service pdu.ServiceID, command pdu.CommandID) (cases []Case) {
	for _, f := range t.from {
		if r := f.rule(command); r != nil {
			cases = append(cases, Case{f.condition(), r.verdict, r.at})
		}
	}
	for _, c := range t.rule(service, command).cases {
		cases = append(cases, Case{c.when.String(), c.verdict, c.at})
	}
	return cases
}

// Decide returns the case that decides about a PDU of that sender and with that body, to explain a
// decision and to compare the module with it in tests. Traffic is judged by the module.
func (t *Table) Decide(service pdu.ServiceID, command pdu.CommandID, from Sender, body []byte) Case {
	for _, f := range t.from {
		if r := f.rule(command); r != nil && f.is(from) {
			return Case{f.condition(), r.verdict, r.at}
		}
	}
	r := t.rule(service, command)
	fields := r.fields()
	values := read(body, fields)
	for _, c := range r.cases {
		holds := !slices.ContainsFunc(c.when, func(one comparison) bool {
			if one.field == 0 {
				return !one.holds(int64(len(body)))
			}
			return !one.holds(values[slices.Index(fields, one.field)])
		})
		if holds {
			return Case{c.when.String(), c.verdict, c.at}
		}
	}
	return Case{Verdict: r.verdict, Place: r.at}
}

// maxBodyFields is how many fields a body may have to be read, as in fields.wat.
const maxBodyFields = 256

// read returns the last values of the fields in a body, cut to 32 bits, and -1 for one that is not
// there. In a body that cannot be read none is. It is what $read of fields.wat does.
func read(body []byte, fields []uint32) []int64 {
	none := make([]int64, len(fields))
	for i := range none {
		none[i] = -1
	}
	values := slices.Clone(none)
	for n := 0; len(body) > 0; n++ {
		tag, size := varint(body)
		if n == maxBodyFields || size == 0 || tag < 8 || tag > 1<<32-1 {
			return none
		}
		body = body[size:]
		skip := uint64(0)
		switch protowire.Type(tag & 7) {
		case protowire.VarintType:
			value, size := varint(body)
			if size == 0 {
				return none
			}
			if i := slices.Index(fields, uint32(tag>>3)); i >= 0 {
				values[i] = int64(uint32(value))
			}
			skip = uint64(size)
		case protowire.Fixed64Type:
			skip = 8
		case protowire.BytesType:
			length, size := varint(body)
			if size == 0 || length > uint64(len(body)-size) {
				return none
			}
			skip = uint64(size) + length
		case protowire.Fixed32Type:
			skip = 4
		default:
			return none
		}
		if skip > uint64(len(body)) {
			return none
		}
		body = body[skip:]
	}
	return values
}

// varint returns a varint and its size; 0 if it is not complete or has more than ten bytes. Bits
// beyond the 64th are lost.
func varint(b []byte) (v uint64, size int) {
	for i := 0; i < min(len(b), 10); i++ {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
