package admin

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// A tap for some users shows the PDUs whose bodies name one of them. Nothing in a message says
// which numbers are users, so a field is taken for one by its name: user_id_list and from_user_id
// are users, session_id is none. Messages of custom commands may have fields of any type, so they are
// walked through, however deep.

// names reports whether a field of the message that holds users contains one of these.
func names(m protoreflect.Message, users map[uint64]bool) (found bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		ofUsers := isUser(string(f.Name()))
		switch {
		case f.IsMap():
			v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
				found = ofUsers && isOf(users, key.Value()) || contains(v, ofUsers, users)
				return !found
			})
		case f.IsList():
			for i := range v.List().Len() {
				found = found || contains(v.List().Get(i), ofUsers, users)
			}
		default:
			found = contains(v, ofUsers, users)
		}
		return !found
	})
	return found
}

// contains is names for one value of a field, which may be a message.
func contains(v protoreflect.Value, ofUsers bool, users map[uint64]bool) bool {
	if m, ok := v.Interface().(protoreflect.Message); ok {
		return names(m, users)
	}
	return ofUsers && isOf(users, v)
}

// isOf reports whether the value is the number of one of the users.
func isOf(users map[uint64]bool, v protoreflect.Value) bool {
	switch n := v.Interface().(type) {
	case uint32:
		return users[uint64(n)]
	case uint64:
		return users[n]
	case int32:
		return n >= 0 && users[uint64(n)]
	case int64:
		return n >= 0 && users[uint64(n)]
	}
	return false
}

// isUser reports whether a field of that name holds users.
func isUser(name string) bool {
	return strings.Contains(name, "user_id") || strings.Contains(name, "member")
}
