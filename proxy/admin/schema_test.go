package admin

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// A description is the part of an OpenAPI document that is checked.
type description struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]any }
}

type operation struct {
	OperationID string
	Security    []map[string]any
	Parameters  []struct {
		Name string
		In   string
	}
	RequestBody struct {
		Content map[string]struct{ Schema any }
	}
	Responses map[string]struct {
		Content map[string]struct{ Schema any }
	}
}

func described(t *testing.T) *description {
	t.Helper()
	d := new(description)
	if err := json.Unmarshal(document, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// keywords are those of JSON Schema that check knows; others would go unnoticed.
var keywords = []string{"$ref", "anyOf", "type", "description", "properties", "required", "additionalProperties", "items", "enum", "format", "minimum", "maximum", "default"}

// check returns what is wrong with a value by a schema.
func (d *description) check(schema, value any, at string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, at+": "+fmt.Sprintf(format, args...)) }
	s, ok := schema.(map[string]any)
	if !ok {
		fault("its schema is %v", schema)
		return faults
	}
	for word := range s {
		if !slices.Contains(keywords, word) {
			fault("the schema has %s, which is not checked", word)
		}
	}
	if ref, ok := s["$ref"].(string); ok {
		name, ok := strings.CutPrefix(ref, "#/components/schemas/")
		if !ok || d.Components.Schemas[name] == nil {
			fault("no schema %s", ref)
			return faults
		}
		return append(faults, d.check(d.Components.Schemas[name], value, at)...)
	}
	if any, ok := s["anyOf"].([]any); ok {
		var all []string
		for _, one := range any {
			wrong := d.check(one, value, at)
			if len(wrong) == 0 {
				return faults
			}
			all = append(all, wrong...)
		}
		return append(faults, all...)
	}
	types, ok := s["type"].([]any)
	if !ok {
		types = []any{s["type"]}
	}
	if !slices.Contains(types, any(typeOf(value))) && !(typeOf(value) == "integer" && slices.Contains(types, any("number"))) {
		fault("%v is of type %s, want %v", value, typeOf(value), types)
		return faults
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, value) {
		fault("%v is none of %v", value, enum)
	}
	switch v := value.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339Nano, v); s["format"] == "date-time" && err != nil {
			fault("%q is not a time", v)
		}
	case []any:
		for i, member := range v {
			faults = append(faults, d.check(s["items"], member, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		faults = append(faults, d.checkObject(s, v, at)...)
	}
	return faults
}

func (d *description) checkObject(s, v map[string]any, at string) (faults []string) {
	properties, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			faults = append(faults, fmt.Sprintf("%s: has no %s", at, name))
		}
	}
	for name, member := range v {
		place := at + "." + name
		if schema, ok := properties[name]; ok {
			faults = append(faults, d.check(schema, member, place)...)
			continue
		}
		switch more := s["additionalProperties"].(type) {
		case map[string]any:
			faults = append(faults, d.check(more, member, place)...)
		case bool:
			if !more {
				faults = append(faults, place+": the schema does not have it")
			}
		}
	}
	return faults
}

func typeOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return reflect.TypeOf(value).String()
}

// conforms fails unless the text is JSON as the schema says.
func (d *description) conforms(t *testing.T, schema any, text, what string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Errorf("%s: %v: %.200q", what, err, text)
		return
	}
	for _, fault := range d.check(schema, value, what) {
		t.Error(fault)
	}
}

func ref(name string) map[string]any { return map[string]any{"$ref": "#/components/schemas/" + name} }

// The check notices what it is for.
func TestCheckNotices(t *testing.T) {
	d := described(t)
	for _, c := range []struct{ schema, text, want string }{
		{"Policy", `{"name":"x","sha256":"y","module_sha256":"z"}`, ""},
		{"Policy", `{"name":"x"}`, "has no sha256"},
		{"Policy", `{"name":"x","sha256":1}`, "is of type integer"},
		{"Policy", `{"name":"x","sha256":"y","more":1}`, "the schema does not have it"},
		{"Tenant", `{"dropped":{"policy":"many"}}`, "is of type string"},
		{"Snapshot", `{"latency":{"p50":1}}`, "has no p99"},
		{"Snapshot", `{"time":"noon"}`, "is not a time"},
		{"TapLine", `{"kind":"other"}`, "is none of"},
	} {
		var value any
		if err := json.Unmarshal([]byte(c.text), &value); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(d.check(ref(c.schema), value, c.schema), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s of %s: got %q, want %q", c.schema, c.text, got, c.want)
		}
	}
}
