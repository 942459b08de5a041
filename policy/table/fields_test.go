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
