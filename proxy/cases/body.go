package cases

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/policy/suggest"
)

// A FieldError is a fault of a body's field.
type FieldError struct {
	Path         []string // the names of the fields that lead to it
	What, Remedy string
}

func (e *FieldError) Error() string { return e.What + "; " + e.Remedy }

// Body encodes the body of a command from fields by name, with values as TOML decodes
// them. It also returns the names of the required fields that are missing. The error is a
// *FieldError.
//
// Missing fields are not an error, as a case may be about a body that the original refuses. Fields
// are encoded in the order of their numbers, so equal fields give equal bytes.
func Body(command pdu.CommandID, fields map[string]any) (body []byte, lacks []string, err error) {
	t, err := messageOf(command)
	if err != nil {
		return nil, nil, err
	}
	m := t.New()
	if err := setFields(m, fields, nil); err != nil {
		return nil, nil, err
	}
	all := m.Descriptor().Fields()
	for i := range all.Len() {
		if f := all.Get(i); f.Cardinality() == protoreflect.Required && !m.Has(f) {
			lacks = append(lacks, string(f.Name()))
		}
	}
	body, err = proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m.Interface())
	if err != nil {
		return nil, nil, &FieldError{What: err.Error(), Remedy: "correct the body"}
	}
	return body, lacks, nil
}

// messageOf returns the type of a command's message, or a *FieldError if the command has no fields.
func messageOf(command pdu.CommandID) (protoreflect.MessageType, error) {
	if _, ok := pdu.CommandByID(command); !ok {
		return nil, &FieldError{What: fmt.Sprintf("%v is not a command of the protocol, so its body has no fields", command), Remedy: "write the body as hex"}
	}
	t := message.Type(command)
	if t == nil {
		return nil, &FieldError{What: fmt.Sprintf("%v has no known message", command), Remedy: "name its message in [commands] of the configuration, or write the body as hex"}
	}
	return t, nil
}

// setFields sets the fields of a message. path leads to the message, for errors.
func setFields(m protoreflect.Message, fields map[string]any, path []string) error {
	for name, value := range fields {
		at := append(path[:len(path):len(path)], name)
		f, err := fieldOf(m.Descriptor(), name, at)
		if err != nil {
			return err
		}
		if err := setField(m, f, value, at); err != nil {
			return err
		}
	}
	return nil
}

// fieldOf finds a field by its name. path leads to it, for the error, which suggests another name.
func fieldOf(d protoreflect.MessageDescriptor, name string, path []string) (protoreflect.FieldDescriptor, error) {
	if f := d.Fields().ByName(protoreflect.Name(name)); f != nil {
		return f, nil
	}
	names := message.Names(d.Fields())
	all := "it has none"
	if len(names) > 0 {
		all = "its fields are " + strings.Join(names, ", ")
	}
	return nil, &FieldError{path, fmt.Sprintf("%s has no field %q", d.FullName(), name), suggest.Hint(name, names, all)}
}

// setField sets one field, or all elements of a repeated one or of a map.
func setField(m protoreflect.Message, f protoreflect.FieldDescriptor, value any, path []string) error {
	if f.IsMap() {
		return setMap(m.Mutable(f).Map(), f, value, path)
	}
	if !f.IsList() {
		v, err := valueOf(f, m.NewField, value, path)
		if err == nil {
			m.Set(f, v)
		}
		return err
	}
	values, ok := listOf(value)
	if !ok {
		return &FieldError{path, fmt.Sprintf("%s is repeated, and no list", f.Name()), fmt.Sprintf("write %s = [ … ]", f.Name())}
	}
	list := m.Mutable(f).List()
	for _, value := range values {
		v, err := valueOf(f, func(protoreflect.FieldDescriptor) protoreflect.Value { return list.NewElement() }, value, path)
		if err != nil {
			return err
		}
		list.Append(v)
	}
	return nil
}

// setMap sets the elements of a map from a table, whose keys TOML has as texts:
//
//	parts = { 7 = { price = 0.5 } }    the element with the key 7
func setMap(to protoreflect.Map, f protoreflect.FieldDescriptor, value any, path []string) error {
	table, ok := value.(map[string]any)
	if !ok {
		return &FieldError{path, fmt.Sprintf("%s is a map, and no table", f.Name()), fmt.Sprintf("write %s = { KEY = VALUE, … }", f.Name())}
	}
	for text, value := range table {
		at := append(path[:len(path):len(path)], text)
		key, ok := keyOf(f.MapKey().Kind(), text)
		if !ok {
			return &FieldError{at, fmt.Sprintf("%q is not a key of %s", text, f.Name()), fmt.Sprintf("its keys are of type %s", f.MapKey().Kind())}
		}
		v, err := valueOf(f.MapValue(), func(protoreflect.FieldDescriptor) protoreflect.Value { return to.NewValue() }, value, at)
		if err != nil {
			return err
		}
		to.Set(key, v)
	}
	return nil
}

// keyOf converts a text to a key of a map, and reports whether it is one.
func keyOf(kind protoreflect.Kind, text string) (protoreflect.MapKey, bool) {
	switch kind {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text).MapKey(), true
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(text == "true").MapKey(), text == "true" || text == "false"
	}
	n, err := strconv.ParseInt(text, 10, 64)
	v, fits := integerOf(kind, n)
	return v.MapKey(), err == nil && fits
}

// listOf returns the elements of a list. TOML decodes a list of tables to another type.
func listOf(value any) ([]any, bool) {
	switch value := value.(type) {
	case []any:
		return value, true
	case []map[string]any:
		list := make([]any, len(value))
		for i, v := range value {
			list[i] = v
		}
		return list, true
	}
	return nil, false
}

// valueOf converts one value to the field's type. fresh returns an empty message for it.
//
//	in the case                     type of the field   value
//	status = "USER_STATUS_ONLINE"   an enumeration      the number of that name
//	user_id = 7                     an integer          7, if it fits
//	price = 0.5                     float, double       0.5
//	msg_data = "hex:00ff"           bytes               two bytes
//	msg_data = "text"               bytes, string       the text
//	user = { user_id = 7 }          a message           its fields, set in turn
func valueOf(f protoreflect.FieldDescriptor, fresh func(protoreflect.FieldDescriptor) protoreflect.Value, value any, path []string) (protoreflect.Value, error) {
	text, isText := value.(string)
	number, isNumber := value.(int64)
	fraction, isFraction := value.(float64)
	if isNumber {
		fraction, isFraction = float64(number), true
	}
	truth, isTruth := value.(bool)
	table, isTable := value.(map[string]any)
	refuse := func(remedy string) (protoreflect.Value, error) {
		return protoreflect.Value{}, &FieldError{path, fmt.Sprintf("%s is of type %s", f.Name(), typeOf(f)), remedy}
	}
	switch kind := f.Kind(); {
	case f.Message() != nil && isTable:
		v := fresh(f)
		return v, setFields(v.Message(), table, path)
	case f.Message() != nil:
		return refuse("write a table in braces: { FIELD = VALUE, … }")
	case kind == protoreflect.StringKind && isText:
		return protoreflect.ValueOfString(text), nil
	case kind == protoreflect.BytesKind && isText:
		b, err := bytesOf(text)
		if err != nil {
			return refuse(`behind "hex:" write two hex digits for each byte`)
		}
		return protoreflect.ValueOfBytes(b), nil
	case kind == protoreflect.StringKind || kind == protoreflect.BytesKind:
		return refuse("write it in quotes")
	case kind == protoreflect.BoolKind && isTruth:
		return protoreflect.ValueOfBool(truth), nil
	case kind == protoreflect.EnumKind && isText:
		e := f.Enum().Values().ByName(protoreflect.Name(text))
		if e == nil {
			return protoreflect.Value{}, noSuchEnum(f, text, path)
		}
		return protoreflect.ValueOfEnum(e.Number()), nil
	case kind == protoreflect.EnumKind && isNumber && number == int64(int32(number)):
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(number)), nil
	case kind == protoreflect.DoubleKind && isFraction:
		return protoreflect.ValueOfFloat64(fraction), nil
	case kind == protoreflect.FloatKind && isFraction && math.IsInf(fraction, 0) == math.IsInf(float64(float32(fraction)), 0):
		return protoreflect.ValueOfFloat32(float32(fraction)), nil
	case isNumber:
		if v, ok := integerOf(kind, number); ok {
			return v, nil
		}
		return refuse(fmt.Sprintf("%d does not fit", number))
	}
	return refuse("write a value of that type")
}

// typeOf names the type of a field, as the .proto files do.
func typeOf(f protoreflect.FieldDescriptor) string {
	switch {
	case f.Message() != nil:
		return string(f.Message().FullName())
	case f.Enum() != nil:
		return string(f.Enum().FullName())
	}
	return f.Kind().String()
}

// integerOf converts a number to an integer type of protobuf, and reports whether it fits.
func integerOf(kind protoreflect.Kind, n int64) (protoreflect.Value, bool) {
	switch kind {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n)), 0 <= n && n <= math.MaxUint32
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n)), n == int64(int32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n)), n >= 0
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(n), true
	}
	return protoreflect.Value{}, false
}

func noSuchEnum(f protoreflect.FieldDescriptor, text string, path []string) error {
	names := message.Names(f.Enum().Values())
	return &FieldError{path, fmt.Sprintf("%s has no value %q", f.Enum().FullName(), text),
		suggest.Hint(text, names, "its values are "+strings.Join(names, ", "))}
}

// bytesOf returns the bytes of a text, or of the hex digits behind "hex:".
func bytesOf(text string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		return Hex(digits)
	}
	return []byte(text), nil
}

// Hex reads hex digits with or without blanks between.
func Hex(digits string) ([]byte, error) {
	return hex.DecodeString(strings.Join(strings.Fields(digits), ""))
}
