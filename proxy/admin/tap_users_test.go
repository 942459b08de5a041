package admin

import (
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/pdu/pdutest"
)

// Fields are users by their names, however deep.
func TestNames(t *testing.T) {
	online := pdutest.Online(stat(5), stat(6))
	for user, want := range map[uint64]bool{5: true, 6: true, 7: false} {
		m := message.Read(pdu.CID_OTHER_ONLINE_USER_INFO, online[pdu.HeaderLen:])
		if got := names(m, map[uint64]bool{user: true}); got != want {
			t.Errorf("user %d: %t, want %t", user, got, want)
		}
	}
	own := ownMessage(t, `
		field { name: "user_id" number: 1 label: LABEL_OPTIONAL type: TYPE_INT64 }
		field { name: "price" number: 2 label: LABEL_OPTIONAL type: TYPE_DOUBLE }
		field { name: "parts" number: 3 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".my.Own.PartsEntry" }
		field { name: "member_names" number: 4 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".my.Own.MemberNamesEntry" }
		nested_type { name: "PartsEntry" options { map_entry: true }
			field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
			field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".my.Own" } }
		nested_type { name: "MemberNamesEntry" options { map_entry: true }
			field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_UINT32 }
			field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING } }`)
	for text, want := range map[string]bool{
		"user_id: 5": true, "user_id: 6": false, "user_id: -1": false, "price: 5": false,
		`parts { key: "a" value { user_id: 5 } }`:      true,
		`parts { key: "a" value { price: 5 } }`:        false,
		`member_names { key: 5 value: "eve" }`:         true,
		`user_id: 4 member_names { key: 6 value: "" }`: false,
	} {
		m := dynamicpb.NewMessage(own)
		if err := prototext.Unmarshal([]byte(text), m); err != nil {
			t.Fatal(err)
		}
		if got := names(m, map[uint64]bool{5: true}); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
}

// ownMessage returns a message that has fields of types which the protocol's messages do not have.
func ownMessage(t *testing.T, fields string) protoreflect.MessageDescriptor {
	t.Helper()
	var file descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(`name: "my.proto" package: "my" syntax: "proto3" message_type { name: "Own" `+fields+`}`), &file); err != nil {
		t.Fatal(err)
	}
	f, err := protodesc.NewFile(&file, new(protoregistry.Files))
	if err != nil {
		t.Fatal(err)
	}
	return f.Messages().Get(0)
}
