package table

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	messages "switchyard/pdu/message"
	"switchyard/policy/command"
	"switchyard/policy/suggest"
)

// bodyLength is the subject of a comparison with the length of the body.
const bodyLength = "body-length"

// maxFields is how many fields of a body the cases of one command may compare: as many as the
// function $read of fields.wat reads at once.
const maxFields = 4

// A condition as it is written, as it is kept, and as it becomes code in the module:
//
//	"msg_type = 1-2 and body-length > 4096"
//	field 5 from 1 to 2;  length from 4097 to 4294967295
//	value - lo <= hi - lo, for each, joined by and
//
// Every comparison is an interval of numbers of 32 bits, or what is outside of one. So the module needs
// one kind of code, and never.go can find cases that others take.

// A condition is comparisons that all have to hold.
type condition []comparison

// A comparison holds if the subject is, or with not is not, from lo to hi, both included. One with a
// field that is not in the body does not hold in either case.
type comparison struct {
	field  uint32 // the number of a field of the body, or 0 for the body's length
	not    bool
	lo, hi uint32

	text    string // in one form
	numbers string // the same without names
}

func (c condition) String() string {
	texts := make([]string, len(c))
	for i, one := range c {
		texts[i] = one.text
	}
	return strings.Join(texts, " and ")
}

// numbers returns the condition without names of fields and values.
func (c condition) numbers() string {
	texts := make([]string, len(c))
	for i, one := range c {
		texts[i] = one.numbers
	}
	return strings.Join(texts, " and ")
}

// holds reports whether the comparison holds for a value, which is -1 for a field that is not
// there.
func (c comparison) holds(value int64) bool {
	return value >= 0 && (int64(c.lo) <= value && value <= int64(c.hi)) != c.not
}

var comparisonForm = regexp.MustCompile(`^(field +[0-9]+|[A-Za-z_][A-Za-z0-9_-]*) *(=|!=|<=|>=|<|>) *([A-Za-z0-9_-]+)$`)

const writeComparison = `write FIELD = NUMBER, as in "msg_type = 1-2" or "body-length > 4096"; comparisons are =, !=, <, <=, > and >=, and several are joined by and`

// parseCondition reads the condition of a case of a command with that message.
func parseCondition(text, message string) (condition, *command.Problem) {
	var all condition
	for part := range strings.SplitSeq(strings.Join(strings.Fields(text), " "), " and ") {
		m := comparisonForm.FindStringSubmatch(part)
		if m == nil {
			return nil, &command.Problem{What: fmt.Sprintf("%q is not a comparison", part), Remedy: writeComparison}
		}
		one, problem := parseComparison(m[1], m[2], m[3], message)
		if problem != nil {
			return nil, problem
		}
		all = append(all, one)
	}
	return all, nil
}

func parseComparison(subject, operator, word, message string) (c comparison, problem *command.Problem) {
	var values protoreflect.EnumValueDescriptors
	if subject != bodyLength {
		if c.field, values, problem = subjectField(subject, message); problem != nil {
			return c, problem
		}
		subject = strings.Join(strings.Fields(subject), " ")
	}
	c.text = subject + " " + operator + " " + word
	if c.lo, c.hi, problem = parseValues(word, values); problem != nil {
		return c, problem
	}
	c.numbers = withNumbers(c.field, operator, c.lo, c.hi)
	if c.lo != c.hi && operator != "=" && operator != "!=" {
		return c, &command.Problem{What: fmt.Sprintf("%s compares with a range", c.text), Remedy: "a range goes with = and !="}
	}
	v := c.lo
	switch operator {
	case "!=":
		c.not = true
	case "<=":
		c.lo = 0
	case ">=":
		c.hi = math.MaxUint32
	case "<":
		c.lo, c.hi = 0, v-1
	case ">":
		c.lo, c.hi = v+1, math.MaxUint32
	}
	if operator == "<" && v == 0 || operator == ">" && v == math.MaxUint32 {
		return c, &command.Problem{What: fmt.Sprintf("%s never holds", c.text), Remedy: "numbers go from 0 to 4294967295"}
	}
	return c, nil
}

// withNumbers returns a comparison with a field, or with the length for field 0. In this form it means
// the same without the messages of the configuration.
func withNumbers(field uint32, operator string, lo, hi uint32) string {
	subject := bodyLength
	if field > 0 {
		subject = fmt.Sprintf("field %d", field)
	}
	if lo == hi {
		return fmt.Sprintf("%s %s %d", subject, operator, lo)
	}
	return fmt.Sprintf("%s %s %d-%d", subject, operator, lo, hi)
}

// parseValues reads a number, a range of two, or the name of a value of the field's enumeration. values
// is nil if the field has none. Numbers are decimal or begin with 0x; a leading 0, which is octal in
// Go, and digits parted by _ are refused.
func parseValues(word string, values protoreflect.EnumValueDescriptors) (lo, hi uint32, problem *command.Problem) {
	from, to, isRange := strings.Cut(word, "-")
	if !isRange {
		to = from
	}
	for i, text := range []string{from, to} {
		v, err := strconv.ParseUint(text, 0, 32)
		if values != nil && err != nil {
			if known := values.ByName(protoreflect.Name(text)); known != nil {
				v, err = uint64(uint32(known.Number())), nil
			}
		}
		if err != nil || strings.HasPrefix(text, "0") && len(text) > 1 && !strings.HasPrefix(text, "0x") || strings.Contains(text, "_") && '0' <= text[0] && text[0] <= '9' {
			if _, numeric := command.ParseNumber(text); numeric && errors.Is(err, strconv.ErrRange) {
				return 0, 0, &command.Problem{What: fmt.Sprintf("the number %s is too large", text), Remedy: "numbers go from 0 to 4294967295"}
			}
			if text == "" || strings.Contains(text, "-") { // of -1 and of 1-2-3
				text = word
			}
			var names []string
			if values != nil {
				names = messages.Names(values)
			}
			return 0, 0, &command.Problem{What: fmt.Sprintf("%q is not a number", text), Remedy: suggest.Hint(text, names, "write a number such as 17 or 0x11, or a range such as 1-2")}
		}
		if i == 0 {
			lo = uint32(v)
		}
		hi = uint32(v)
	}
	if isRange && lo >= hi {
		return 0, 0, &command.Problem{What: fmt.Sprintf("the range %s is empty or one number", word), Remedy: "write the lower number first"}
	}
	return lo, hi, nil
}

// subjectField returns the number of the field that a comparison is about, and the names of its values
// if it has some.
func subjectField(subject, message string) (uint32, protoreflect.EnumValueDescriptors, *command.Problem) {
	fields := numericFields(message)
	if number, ok := strings.CutPrefix(subject, "field "); ok {
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 8)
		if err != nil || n < 1 || n > 31 {
			return 0, nil, &command.Problem{What: fmt.Sprintf("%q is not a field number", number), Remedy: "fields have the numbers 1 to 31"}
		}
		return uint32(n), nil, nil
	}
	var names []string
	for _, f := range fields {
		if string(f.Name()) == subject {
			if e := f.Enum(); e != nil {
				return uint32(f.Number()), e.Values(), nil
			}
			return uint32(f.Number()), nil, nil
		}
		names = append(names, string(f.Name()))
	}
	names = append(names, bodyLength)
	what := fmt.Sprintf("%s has no numeric field %q", message, subject)
	if message == "" {
		what = fmt.Sprintf("the command has no known message to find the field %q in", subject)
	}
	return 0, nil, &command.Problem{What: what, Remedy: suggest.Hint(subject, names, "compare "+strings.Join(names, ", ")+", or a field by its number, as in field 5")}
}

// numericFields returns the fields of a message that a comparison can be about: single varints of at
// most 32 bits.
func numericFields(message string) (fields []protoreflect.FieldDescriptor) {
	t := messages.ByName(message)
	if t == nil {
		return nil
	}
	kinds := []protoreflect.Kind{protoreflect.Uint32Kind, protoreflect.EnumKind, protoreflect.BoolKind}
	all := t.Descriptor().Fields()
	for i := range all.Len() {
		if f := all.Get(i); slices.Contains(kinds, f.Kind()) && !f.IsList() && f.Number() < 32 {
			fields = append(fields, f)
		}
	}
	return fields
}
