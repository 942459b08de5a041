// Package message relates commands to the protobuf messages in their bodies, for those who read
// or write whole messages: commands of the operator, the admin interface and tests. The hub reads
// the few bodies that it handles by package body, which is as lenient as the original.
package message

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"switchyard/pdu"
	_ "switchyard/pdu/pb" // the messages
)

// custom has the types of messages of custom commands, by full name. It is replaced whole.
var custom atomic.Pointer[map[string]protoreflect.MessageType]

// SetCustom replaces the custom commands, and the types of the messages in their bodies, by full name.
func SetCustom(commands []pdu.Command, types map[string]protoreflect.MessageType) {
	custom.Store(&types)
	pdu.SetCustomCommands(commands)
}

// ByName returns the type of the message of that full name, one of the protocol's or of a custom
// command's; nil if there is none.
func ByName(name string) protoreflect.MessageType {
	if t := OfProtocol(name); t != nil {
		return t
	}
	if types := custom.Load(); types != nil {
		return (*types)[name]
	}
	return nil
}

// OfProtocol returns the type of the protocol's message of that full name; nil if there is none.
func OfProtocol(name string) protoreflect.MessageType {
	if !strings.HasPrefix(name, "IM.") { // other packages of this program register messages, too
		return nil
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	return t
}

// Type returns the type of the message in a command's body; nil if that is not known.
func Type(c pdu.CommandID) protoreflect.MessageType {
	known, _ := pdu.CommandByID(c)
	return ByName(known.Message)
}

// Names returns the names of what a descriptor lists, such as the fields of a message or the values of an
// enumeration.
func Names[D protoreflect.Descriptor](list interface {
	Len() int
	Get(i int) D
}) (names []string) {
	for i := range list.Len() {
		names = append(names, string(list.Get(i).Name()))
	}
	return names
}

// Append appends a PDU with m as its body to b. Required fields may be missing. Nothing else can
// be wrong with a message of proto2, so it panics if m cannot be encoded.
func Append(b []byte, c pdu.CommandID, seq uint16, m proto.Message) []byte {
	body, err := proto.MarshalOptions{AllowPartial: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("message: encode the body of %v: %v", c, err))
	}
	return pdu.Append(b, c.Service(), c, seq, body)
}

// maxDepth is how deep the messages of a body may be nested. Deeper ones would become JSON that
// encoding/json refuses as a part of a line.
const maxDepth = 100

// Read decodes a body as the command's message. Required fields may be missing; for anything else
// that is invalid, and for messages that nest deeper than maxDepth, the result is nil.
func Read(c pdu.CommandID, body []byte) protoreflect.Message {
	t := Type(c)
	if t == nil {
		return nil
	}
	m := t.New()
	if (proto.UnmarshalOptions{AllowPartial: true, RecursionLimit: maxDepth}).Unmarshal(body, m.Interface()) != nil {
		return nil
	}
	return m
}

// noTypes knows no type of what a google.protobuf.Any holds. One within another would be copied for
// each of them, so a peer could make a short body take minutes and gigabytes.
var noTypes = new(protoregistry.Types)

// JSON returns a body as JSON, with the names of fields and of the values of enumerations, and
// with bytes in base64; nil if Read returns nil, or if a google.protobuf.Any holds something.
func JSON(c pdu.CommandID, body []byte) json.RawMessage {
	m := Read(c, body)
	if m == nil {
		return nil
	}
	text, err := protojson.MarshalOptions{AllowPartial: true, UseProtoNames: true, Resolver: noTypes}.Marshal(m.Interface())
	if err != nil {
		return nil
	}
	return text
}

// Text returns a body in one line of protobuf's text format, with the names of fields and of the
// values of enumerations; "" if Read returns nil. What a google.protobuf.Any holds is shown as
// bytes.
func Text(c pdu.CommandID, body []byte) string {
	m := Read(c, body)
	if m == nil {
		return ""
	}
	text := prototext.MarshalOptions{EmitUnknown: true, Resolver: noTypes}.Format(m.Interface())
	// prototext varies the blanks between fields on purpose.
	return strings.TrimSpace(quotedOrBlank.ReplaceAllStringFunc(text, func(part string) string {
		if part[0] == '"' {
			return part
		}
		return " "
	}))
}

// quotedOrBlank matches a value in quotes, whose blanks count, or the blanks between others.
var quotedOrBlank = regexp.MustCompile(`"(\\.|[^"\\])*"|\s+`)

// FromJSON encodes the body that JSON describes. Required fields may be missing.
func FromJSON(c pdu.CommandID, text []byte) ([]byte, error) {
	t := Type(c)
	if t == nil {
		return nil, fmt.Errorf("no message is known for the body of %v, so it has no fields", c)
	}
	m := t.New().Interface()
	if err := (protojson.UnmarshalOptions{AllowPartial: true}).Unmarshal(text, m); err != nil {
		return nil, err
	}
	return proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m)
}
