package admin

import (
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"switchyard/pdu"
	_ "switchyard/pdu/pb" // the messages
)

// Bodies are decoded for people only: for the tap, evaluations and the dashboard. The hub reads the
// few bodies that it handles by package body, which is as lenient as the original; here, missing
// required fields are accepted, and anything else that is invalid is shown in hex.

// messageOf decodes a body as the command's message; nil if it is not a valid one.
func messageOf(c pdu.CommandID, body []byte) protoreflect.Message {
	known, _ := pdu.CommandByID(c)
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(known.Message))
	if err != nil {
		return nil
	}
	m := kind.New()
	if (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(body, m.Interface()) != nil {
		return nil
	}
	return m
}

// decoded returns a body as JSON; nil if it is not a valid message of the command.
func decoded(c pdu.CommandID, body []byte) json.RawMessage {
	m := messageOf(c, body)
	if m == nil {
		return nil
	}
	text, err := protojson.MarshalOptions{AllowPartial: true, UseProtoNames: true}.Marshal(m.Interface())
	if err != nil {
		return nil
	}
	return text
}

// names reports whether a field that holds users, by its name, contains one of these.
func names(m protoreflect.Message, users map[uint64]bool) (found bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch isList := f.IsList(); {
		case f.Kind() == protoreflect.MessageKind && isList:
			for i := range v.List().Len() {
				found = found || names(v.List().Get(i).Message(), users)
			}
		case f.Kind() == protoreflect.MessageKind:
			found = names(v.Message(), users)
		case f.Kind() != protoreflect.Uint32Kind || !isUser(string(f.Name())):
		case isList:
			for i := range v.List().Len() {
				found = found || users[v.List().Get(i).Uint()]
			}
		default:
			found = users[v.Uint()]
		}
		return !found
	})
	return found
}

// isUser reports whether a field of that name holds users.
func isUser(name string) bool {
	return strings.Contains(name, "user_id") || strings.Contains(name, "member")
}
