package table

import (
	"regexp"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/pdu"
	messages "switchyard/pdu/message"
	"switchyard/policy"
)

// SplitFields returns the field of each known command that holds the user whom a PDU is
// about: the first one that a rule may name.
func SplitFields() *policy.UserFields {
	all := new(policy.UserFields)
	for _, c := range pdu.Commands {
		if fields := usersIn(c.Message); len(fields) > 0 && int(c.ID) < len(all) {
			all[c.ID] = uint8(fields[0].number)
		}
	}
	return all
}

// A field is a field of a message that holds user ids.
type field struct {
	number int
	name   string
}

// namesUser matches the names of the protocol's fields that hold user ids. A session_id is a user id if
// the session is a single chat.
var namesUser = regexp.MustCompile(`user_id|session_id|member_id`)

// usersIn returns the fields of a message that a rule may name: top-level varint fields, single or
// repeated, that hold user ids. Which fields of a custom command's message hold users is not known: they
// are all fields that can.
func usersIn(message string) (fields []field) {
	t := messages.ByName(message)
	if t == nil {
		return nil
	}
	kinds := []protoreflect.Kind{protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Int32Kind, protoreflect.Int64Kind}
	custom := messages.OfProtocol(message) == nil
	for i := range t.Descriptor().Fields().Len() {
		f := t.Descriptor().Fields().Get(i)
		if slices.Contains(kinds, f.Kind()) && f.Number() < 32 && (custom || namesUser.MatchString(string(f.Name()))) {
			fields = append(fields, field{int(f.Number()), string(f.Name())})
		}
	}
	return fields
}
