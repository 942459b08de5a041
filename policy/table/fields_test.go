package table

import (
	"regexp"
	"slices"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"switchyard/pdu"
	_ "switchyard/pdu/pb" // registers the messages
)

var namesUser = regexp.MustCompile(`user_id|session_id|member_id`)

// userFields has every field that holds users, of every command's message, with its number
// in the protocol.
func TestUserFieldsAreThoseOfTheMessages(t *testing.T) {
	left := map[string]bool{}
	for message := range userFields {
		left[message] = true
	}
	for _, c := range pdu.Commands {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(c.Message))
		if err != nil {
			t.Fatalf("%s: %v", c.Message, err)
		}
		var want []field
		fields := d.(protoreflect.MessageDescriptor).Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			if f.Kind() == protoreflect.Uint32Kind && f.Number() < 32 && namesUser.MatchString(string(f.Name())) {
				want = append(want, field{int(f.Number()), string(f.Name())})
			}
		}
		if got := userFields[c.Message]; !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", c.Message, got, want)
		}
		delete(left, c.Message)
	}
	for message := range left {
		t.Errorf("%s is no command's message", message)
	}
}

// The user whom a broadcast is about is in its first field.
func TestSplitFields(t *testing.T) {
	fields := SplitFields()
	for c, want := range map[pdu.CommandID]uint8{
		pdu.CID_MSG_DATA: 1, pdu.CID_MSG_READ_NOTIFY: 1, pdu.CID_SWITCH_P2P_CMD: 1, pdu.CID_OTHER_SERVER_KICK_USER: 1,
		pdu.CID_FILE_NOTIFY: 1, pdu.CID_OTHER_USER_STATUS_UPDATE: 2, pdu.CID_FILE_STATE: 3, pdu.CID_OTHER_HEARTBEAT: 0,
	} {
		if got := fields[c]; got != want {
			t.Errorf("%v: field %d, want %d", c, got, want)
		}
	}
}
