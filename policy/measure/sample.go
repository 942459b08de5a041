package measure

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/pdu"
	"switchyard/pdu/message"
)

// paddingField is a field number that no message has.
const paddingField = 500

// sample returns a body of the command, of about that size: each required number is 1, and
// an unknown field fills the rest.
func sample(command pdu.Command, size int) []byte {
	var b []byte
	if t := message.ByName(command.Message); t != nil {
		b = required(t.New())
	}
	padding := size - len(b) - protowire.SizeTag(paddingField) - protowire.SizeVarint(uint64(size))
	if padding < 0 {
		return b
	}
	b = protowire.AppendTag(b, paddingField, protowire.BytesType)
	return protowire.AppendBytes(b, make([]byte, padding))
}

// required returns the message with its required fields and no others, as it is encoded.
func required(m protoreflect.Message) []byte {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Cardinality() != protoreflect.Required {
			continue
		}
		switch f.Kind() {
		case protoreflect.Uint32Kind:
			m.Set(f, protoreflect.ValueOfUint32(1))
		case protoreflect.EnumKind:
			m.Set(f, protoreflect.ValueOfEnum(f.Enum().Values().Get(0).Number()))
		case protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(""))
		case protoreflect.BytesKind:
			m.Set(f, protoreflect.ValueOfBytes(nil))
		}
	}
	b, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m.Interface())
	if err != nil {
		return nil
	}
	return b
}
