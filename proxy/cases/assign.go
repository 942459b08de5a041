package cases

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/pdu"
	"switchyard/policy/stablefile"
)

// Assign reads fields of a command's body from a command line, each as FIELD=VALUE. Text
// and bytes are written without quotes, bytes also as hex:DIGITS or as file:PATH, other values
// as in TOML. A repeated field is written as a list or several times. The error is a *FieldError.
func Assign(command pdu.CommandID, assignments []string) (map[string]any, error) {
	t, err := messageOf(command)
	if err != nil && len(assignments) > 0 {
		return nil, err
	}
	fields := make(map[string]any)
	for _, a := range assignments {
		name, text, ok := strings.Cut(a, "=")
		if !ok {
			return nil, &FieldError{What: fmt.Sprintf("%q has no value", a), Remedy: "write FIELD=VALUE, as in from_user_id=7"}
		}
		f, err := fieldOf(t.Descriptor(), name, []string{name})
		if err != nil {
			return nil, err
		}
		value, err := parseValue(f, text)
		if err != nil {
			return nil, err
		}
		_, before := fields[name]
		switch list, isList := listOf(value); {
		case f.IsList() && !isList:
			list = []any{value}
			fallthrough
		case f.IsList():
			have, _ := fields[name].([]any)
			fields[name] = append(have, list...)
		case before:
			return nil, &FieldError{What: fmt.Sprintf("%s is written twice, and not repeated", name), Remedy: "keep one"}
		default:
			fields[name] = value
		}
	}
	return fields, nil
}

// parseValue reads a value by the type of its field. On a command line, quotes are the shell's, so
// text and names of enumerations are taken as they are; the rest is decoded as TOML:
//
//	msg_data=hello             "hello"
//	msg_data=file:photo.jpg    the bytes in that file
//	session_type=SESSION_TYPE_SINGLE
//	user_id=7                  7
//	user_id_list=[1, 2]        a list
//	ip_addr_list={ip="10.0.0.1",port=8000}
func parseValue(f protoreflect.FieldDescriptor, text string) (any, error) {
	list := f.IsList() && strings.HasPrefix(text, "[")
	switch f.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind:
		if path, ok := strings.CutPrefix(text, "file:"); ok && f.Kind() == protoreflect.BytesKind {
			return fileOf(f, path)
		}
		if !list {
			return text, nil
		}
	case protoreflect.EnumKind:
		if !list && text != "" && (text[0] < '0' || text[0] > '9') {
			return text, nil
		}
	}
	refused := &FieldError{What: fmt.Sprintf("%q is not a value for %s, which is of type %s", text, f.Name(), typeOf(f)),
		Remedy: "write a number, true, [1, 2] for a list, {field=1} for a message"}
	if strings.ContainsAny(text, "\r\n") {
		return nil, refused
	}
	b := block{text: []byte("v = " + text), first: 1}
	if b.decode() != nil {
		return nil, refused
	}
	return b.values["v"], nil
}

// mostFile is the largest file that is read as the value of a field, in bytes.
const mostFile = pdu.DefaultMaxLen

// fileOf returns the bytes in a file, as a text that bytesOf reads.
func fileOf(f protoreflect.FieldDescriptor, path string) (any, error) {
	content, err := stablefile.Read(path, 10*time.Millisecond, mostFile)
	if err != nil {
		return nil, &FieldError{What: fmt.Sprintf("%s: read %s: %v", f.Name(), path, err), Remedy: "name a file of at most 16 MiB, as in file:photo.jpg"}
	}
	return "hex:" + hex.EncodeToString(content), nil
}
