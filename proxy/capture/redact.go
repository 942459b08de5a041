package capture

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/policy/command"
	"switchyard/policy/suggest"
)

// A Field names a field in the bodies of one command, such as CID_MSG_DATA.msg_data, or
// CID_OTHER_ONLINE_USER_INFO.user_stat_list.user_id in a nested message. CID_MSG_DATA.*
// names the whole body.
type Field struct {
	Command pdu.CommandID
	path    []protowire.Number // empty for the whole body
	names   string
}

func (f Field) String() string { return fmt.Sprintf("%v.%s", f.Command, f.names) }

// Number returns the number of the outermost field, or 0 for the whole body.
func (f Field) Number() int {
	if len(f.path) == 0 {
		return 0
	}
	return int(f.path[0])
}

// ParseField is the inverse of String.
func ParseField(text string) (Field, error) {
	word, names, ok := strings.Cut(text, ".")
	if !ok {
		return Field{}, fmt.Errorf("%q names no field; write COMMAND.field, or COMMAND.* for the whole body", text)
	}
	id, wrong := command.ID(word)
	if wrong != nil {
		return Field{}, wrong
	}
	f := Field{Command: id, names: names}
	if names == "*" {
		return f, nil
	}
	t := message.Type(id)
	if t == nil {
		return Field{}, fmt.Errorf("no message is known for the body of %v; write %v.* for all of it", id, id)
	}
	in := t.Descriptor()
	for name := range strings.SplitSeq(names, ".") {
		if in == nil {
			return Field{}, fmt.Errorf("%q goes deeper than the message; name the field before", text)
		}
		field := in.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			return Field{}, fmt.Errorf("%s has no field %q; %s", in.Name(), name, suggest.Hint(name, message.Names(in.Fields()), "there are "+strings.Join(message.Names(in.Fields()), ", ")))
		}
		f.path = append(f.path, field.Number())
		in = field.Message()
	}
	return f, nil
}

// redact zeroes the values of the field in the body and keeps every length. Where the body
// cannot be parsed, it zeroes the rest, which may contain such a value.
func (f Field) redact(body []byte) { redact(body, f.path) }

// redact zeroes the values that path names below a message. The other bytes stay, so that the
// recording still shows what the message was made of. CID_MSG_DATA.msg_data, field 6, of a body
// with the text "hi":
//
//	before  08 07  10 09  …  32 02 68 69
//	after   08 07  10 09  …  32 02 00 00
//	        └ 1    └ 2       └ field 6, two bytes
func redact(b []byte, path []protowire.Number) {
	if len(path) == 0 {
		clear(b)
		return
	}
	for len(b) > 0 {
		number, wireType, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			clear(b)
			return
		}
		value := protowire.ConsumeFieldValue(number, wireType, b[tag:])
		if value < 0 {
			clear(b)
			return
		}
		if number == path[0] {
			zero(b[tag:tag+value], wireType, path[1:])
		}
		b = b[tag+value:]
	}
}

// zero zeroes one value, or the fields in it that path names.
func zero(value []byte, wireType protowire.Type, path []protowire.Number) {
	switch wireType {
	case protowire.VarintType:
		for i := range value {
			value[i] &= 0x80 // the continuation bit stays, and so the length
		}
	case protowire.BytesType:
		_, n := protowire.ConsumeVarint(value)
		redact(value[n:], path)
	default:
		clear(value)
	}
}
