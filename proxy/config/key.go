package config

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"switchyard/pdu"
)

// A key is one value of the configuration: its dotted name, the field that holds it, and
// the values it may have. The type of the field decides how the value is written:
//
//	field              in the file      environment and --set
//	*Duration, *Size   "30s", "16MiB"   30s, 16MiB
//	*int64, *bool      4096, true       4096, true
//	*string            "acme"           acme
//	*[]string          ["a", "b"]       a,b
//	*[]netip.Prefix    ["10.1.0.0/16"]  10.1.0.0/16
//	*json.RawMessage   a table          not possible
//	*pdu.Command       a number, or a   not possible
//	                   table
type key struct {
	name    string
	owner   string   // the prefix of the name that is a listener or a tenant, or empty
	part    string   // the prefix of the name that is a group, or empty
	field   any      // *Duration, *Size, *int64, *bool, *string, *[]string, *[]netip.Prefix, *json.RawMessage or *pdu.Command
	min     int64    // of a number, in the unit of its field
	max     int64    // of a number, in the same unit
	check   check    // of a string, or of each string of a list
	choices []string // of a string that must be one of these
	must    bool     // its table must have it
	input   bool     // of a path: the server reads the file
	restart bool     // a change requires a restart
}

// set sets the field to a value as TOML decodes it: a number is an int64, a text a string, a list
// a []any. After an error the field is as it was. The error says what to write, and not which key it is
// about: assign puts that in front.
func (k key) set(value any) error {
	switch field := k.field.(type) {
	case *Duration:
		return setQuoted(k, field, value, `a duration in quotes, such as "30s"`)
	case *Size:
		return setQuoted(k, field, value, `a size in quotes, such as "16MiB"`)
	case *int64:
		n, ok := value.(int64)
		if !ok {
			return wrongType("a whole number without quotes", value)
		}
		if err := k.inRange(n, strconv.FormatInt(n, 10)); err != nil {
			return err
		}
		*field = n
	case *bool:
		b, ok := value.(bool)
		if !ok {
			return wrongType("true or false without quotes", value)
		}
		*field = b
	case *string:
		text, ok := value.(string)
		if !ok {
			return wrongType("a text in quotes", value)
		}
		if err := k.checkText(text); err != nil {
			return err
		}
		*field = text
	case *[]string:
		return setList(field, value, func(text string) (string, error) { return text, k.checkText(text) })
	case *[]netip.Prefix:
		return setList(field, value, parseNetwork)
	case *pdu.Command:
		return setCommand(field, value)
	case *json.RawMessage:
		table, ok := value.(map[string]any)
		if !ok {
			return wrongType("a table", value)
		}
		message, err := encodeJSON(table)
		if err != nil {
			return err
		}
		*field = message
	}
	return nil
}

// setQuoted sets the field to a number with a unit, which a file has in quotes. want describes such a
// value.
func setQuoted[N Duration | Size](k key, field *N, value any, want string) error {
	text, ok := value.(string)
	if !ok {
		return wrongType(want, value)
	}
	var n N
	if err := any(&n).(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		return err
	}
	if err := k.inRange(int64(n), text); err != nil {
		return err
	}
	*field = n
	return nil
}

// setText sets the field to a value from the environment or a flag: without quotes, and
// with commas between the members of a list.
func (k key) setText(text string) error {
	switch k.field.(type) {
	case *json.RawMessage:
		return errors.New("it is a table; set it in the configuration's file")
	case *pdu.Command:
		return errors.New("it is a command; set it in the configuration's file")
	case *int64:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return k.set(n)
		}
		return wrongType("a whole number", text)
	case *bool:
		if text == "true" || text == "false" {
			return k.set(text == "true")
		}
		return wrongType("true or false", text)
	case *[]string, *[]netip.Prefix:
		return k.set(splitList(text))
	}
	return k.set(text)
}

// inRange checks a number. text is how it was written, for the error.
func (k key) inRange(n int64, text string) error {
	if n < k.min || n > k.max {
		return fmt.Errorf("%s is out of range; write %s", text, k.allowed())
	}
	return nil
}

// checkText checks a text by the key's check, or else by its choices.
func (k key) checkText(text string) error {
	if k.check.accept != nil {
		return k.check.accept(text)
	}
	if slices.Contains(k.choices, text) {
		return nil
	}
	return fmt.Errorf("%q is not known; write %s", text, k.allowed())
}

// allowed describes the values of a number or a choice: "10ms to 25s". It is empty for
// other types.
func (k key) allowed() string {
	switch k.field.(type) {
	case *Duration:
		return fmt.Sprintf("%s to %s", Duration(k.min), Duration(k.max))
	case *Size:
		return fmt.Sprintf("%s to %s", Size(k.min), Size(k.max))
	case *int64:
		return fmt.Sprintf("%d to %d", k.min, k.max)
	case *bool:
		return "true or false"
	}
	if len(k.choices) == 0 {
		return ""
	}
	last := len(k.choices) - 1
	return strings.Join(k.choices[:last], ", ") + " or " + k.choices[last]
}

// text returns the value as a text that is equal for equal values. A reload compares these texts; people
// see them only by Config.Values.
func (k key) text() string {
	switch field := k.field.(type) {
	case *Duration:
		return field.String()
	case *Size:
		return field.String()
	case *int64:
		return strconv.FormatInt(*field, 10)
	case *bool:
		return strconv.FormatBool(*field)
	case *[]string:
		return fmt.Sprintf("%q", *field)
	case *[]netip.Prefix:
		return fmt.Sprint(*field)
	case *json.RawMessage:
		return string(*field)
	case *pdu.Command:
		return fmt.Sprintf("%d %s", uint16(field.ID), field.Message)
	default:
		return *k.field.(*string)
	}
}

// wrongType is the error for a value of another type than the key's.
func wrongType(want string, value any) error {
	got := "something else"
	switch v := value.(type) {
	case string:
		got = strconv.Quote(v)
	case int64, float64, bool:
		got = fmt.Sprint(v)
	case map[string]any:
		got = "a table"
	case []any, []map[string]any:
		got = "a list"
	}
	return fmt.Errorf("got %s; write %s", got, want)
}
