package cases

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"switchyard/pdu"
	"switchyard/pdu/message"
)

// ownMessage has the types of fields that the protocol's messages do not have.
const ownMessage = `name: "my.proto" package: "my" syntax: "proto3" message_type {
	name: "Order"
	field { name: "price" number: 1 label: LABEL_OPTIONAL type: TYPE_DOUBLE }
	field { name: "weight" number: 2 label: LABEL_OPTIONAL type: TYPE_FLOAT }
	field { name: "stock" number: 3 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".my.Order.StockEntry" }
	field { name: "parts" number: 4 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".my.Order.PartsEntry" }
	field { name: "flags" number: 5 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".my.Order.FlagsEntry" }
	nested_type { name: "StockEntry" options { map_entry: true }
		field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
		field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 } }
	nested_type { name: "PartsEntry" options { map_entry: true }
		field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_UINT32 }
		field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".my.Order" } }
	nested_type { name: "FlagsEntry" options { map_entry: true }
		field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_BOOL }
		field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING } }
}`

// Bodies of custom commands may have fields of every type that a .proto file can declare.
func TestFieldsOfOwnMessages(t *testing.T) {
	var file descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(ownMessage), &file); err != nil {
		t.Fatal(err)
	}
	f, err := protodesc.NewFile(&file, new(protoregistry.Files))
	if err != nil {
		t.Fatal(err)
	}
	order := dynamicpb.NewMessageType(f.Messages().Get(0))
	const id = 0x0901
	message.SetCustom([]pdu.Command{{Service: 9, ID: id, Name: "CID_MY_ORDER", Message: "my.Order"}}, map[string]protoreflect.MessageType{"my.Order": order})
	defer message.SetCustom(nil, nil)
	for _, c := range []struct{ field, want string }{
		{"price=1.5", "price:1.5"},
		{"price=2", "price:2"},
		{"weight=-0.25", "weight:-0.25"},
		{"weight=1e39", "weight is of type float; write a value of that type"},
		{`price="1"`, "price is of type double"},
		{"stock={left=-1}", `stock:{key:"left" value:-1}`},
		{"stock={left=3000000000}", "does not fit"},
		{"stock=1", "stock is a map, and no table; write stock = { KEY = VALUE, … }"},
		{"stock=[{left=1}]", "stock is a map, and no table"},
		{`parts={7={price=0.5,stock={x=1}}}`, `parts:{key:7 value:{price:0.5 stock:{key:"x" value:1}}}`},
		{"parts={a={}}", `"a" is not a key of parts; its keys are of type uint32`},
		{"parts={7={prize=1}}", "did you mean price?"},
		{`flags={true="y"}`, `flags:{key:true value:"y"}`},
		{`flags={yes="y"}`, `"yes" is not a key of flags`},
	} {
		fields, err := Assign(id, []string{c.field})
		var body []byte
		if err == nil {
			body, _, err = Body(id, fields)
		}
		m := order.New().Interface()
		if err == nil {
			err = proto.Unmarshal(body, m)
		}
		got := strings.ReplaceAll(fmt.Sprint(m), "  ", " ") // prototext varies the blanks
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.field, got, c.want)
		}
	}
}
