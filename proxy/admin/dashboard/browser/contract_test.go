package browser

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
)

// An object is one of JSON.
type object = map[string]any

// A contract is the description of the admin API, as far as schemas go.
type contract struct {
	schemas map[string]object
}

func readContract(t *testing.T) *contract {
	t.Helper()
	text, err := os.ReadFile("../../openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Components struct{ Schemas map[string]object }
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return &contract{all.Components.Schemas}
}

// check fails the test if text is not what the schema of that name says. A fake that
// answers otherwise than the server proves nothing.
func (c *contract) check(t *testing.T, name string, text []byte) {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if c.schemas[name] == nil {
		t.Errorf("the API has no %s", name)
		return
	}
	if err := c.fits(c.schemas[name], value, name); err != nil {
		t.Errorf("not as the API is described: %v", err)
	}
}

const reference = "#/components/schemas/"

// fits reports where a value is not what a schema says.
func (c *contract) fits(schema object, value any, at string) error {
	if ref, ok := schema["$ref"].(string); ok {
		return c.fits(c.schemas[ref[len(reference):]], value, at)
	}
	if any, ok := schema["anyOf"].([]any); ok {
		var err error
		for _, s := range any {
			if err = c.fits(s.(object), value, at); err == nil {
				return nil
			}
		}
		return err
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, value) {
		return fmt.Errorf("%s is %v, want one of %v", at, value, enum)
	}
	if !ofType(schema["type"], value) {
		return fmt.Errorf("%s is %T, want %v", at, value, schema["type"])
	}
	switch value := value.(type) {
	case []any:
		for i, v := range value {
			if err := c.fits(schema["items"].(object), v, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case object:
		return c.fitsObject(schema, value, at)
	}
	return nil
}

func (c *contract) fitsObject(schema, value object, at string) error {
	properties, _ := schema["properties"].(object)
	for _, name := range slices.Sorted(maps.Keys(value)) {
		further, isSchema := schema["additionalProperties"].(object)
		switch {
		case properties[name] != nil:
			further = properties[name].(object)
		case isSchema:
		case schema["additionalProperties"] == false:
			return fmt.Errorf("%s has %s, which is not in the description", at, name)
		default:
			continue
		}
		if err := c.fits(further, value[name], at+"."+name); err != nil {
			return err
		}
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := value[name.(string)]; !ok {
			return fmt.Errorf("%s has no %s", at, name)
		}
	}
	return nil
}

func ofType(want, value any) bool {
	if several, ok := want.([]any); ok {
		return slices.ContainsFunc(several, func(w any) bool { return ofType(w, value) })
	}
	switch value := value.(type) {
	case nil:
		return want == "null"
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case float64:
		return want == "number" || want == "integer" && value == float64(int64(value))
	case []any:
		return want == "array"
	case object:
		return want == "object"
	}
	return false
}

// The check above would be worth nothing if it let everything pass.
func TestContractRefuses(t *testing.T) {
	c := readContract(t)
	for _, wrong := range []struct{ schema, text string }{
		{"Policy", `{"name": "a"}`},
		{"Policy", `{"name": "a", "sha256": 1}`},
		{"Policy", `{"name": "a", "sha256": "", "more": 1}`},
		{"Rates", `[]`},
		{"Routes", `{"tenant": "", "policy": {"name": "", "sha256": ""}, "routes": [{}], "warnings": []}`},
		{"LogLevel", `{"level": "loud"}`},
		{"Copies", `{"pdus": 1.5, "bytes": 0}`},
	} {
		var value any
		if err := json.Unmarshal([]byte(wrong.text), &value); err != nil {
			t.Fatal(err)
		}
		if c.fits(c.schemas[wrong.schema], value, wrong.schema) == nil {
			t.Errorf("%s passes as %s", wrong.text, wrong.schema)
		}
	}
}
