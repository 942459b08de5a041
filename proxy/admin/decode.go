package admin

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

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
