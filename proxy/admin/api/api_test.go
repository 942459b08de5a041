package api

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/policy"
)

// components are the types that openapi.json has a schema of the same name for. Decision
// is review.Decision, and Case is policy.Case.
var components = []any{
	Error{}, Rates{}, Limits{}, Group{}, Quota{}, Policy{}, Copies{}, AuditRow{}, Audit{}, CommandTraffic{}, Tenant{}, Tenants{},
	TLS{}, Connection{}, CloseRequest{}, Closed{}, Connections{}, Listener{}, Listeners{}, Signature{}, PolicyEvent{}, Policies{},
	policy.Case{}, Route{}.Decision, Route{}, Routes{}, Presence{}, User{}, EvaluateRequest{}, Answer{}, Evaluation{}, Change{}, Comparison{},
	Reload{}, Drain{}, UpgradeRequest{}, Upgrade{}, LogLevel{}, Line{}, TenantSnapshot{}, Totals{}, Latency{}, Snapshot{}, TapLine{}, Cluster{}, ClusterTenant{},
	Releases{}, Release{}, ReleaseStage{}, ReleasedPolicy{}, ReleaseHistory{}, HistoryEntry{}, ReleaseReceipt{}, ReleaseRequest{},
	Server{}, Configuration{}, LastHour{}, Sample{}, Mark{}, Disconnects{}, Disconnect{}, Command{}, Field{},
}

// A schema is the part of a JSON Schema that has an equivalent in Go.
type schema struct {
	Ref                  string `json:"$ref"`
	AnyOf                []schema
	Type                 any // a string, or a list of them
	Format               string
	Description          string
	Properties           map[string]schema
	Required             []string
	Items                *schema
	AdditionalProperties any // false, true or a schema
}

func readSchemas(t *testing.T) map[string]schema {
	t.Helper()
	text, err := os.ReadFile("../openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document.Components.Schemas
}

// The types and openapi.json have the same properties, of the same types, and agree on
// which may be missing and which may be null.
func TestOpenAPI(t *testing.T) {
	c := &checker{T: t, types: make(map[string]reflect.Type), seen: make(map[string]bool)}
	for _, v := range components {
		c.types[reflect.TypeOf(v).Name()] = reflect.TypeOf(v)
	}
	schemas := readSchemas(t)
	for name, s := range schemas {
		of, ok := c.types[name]
		if !ok {
			t.Errorf("openapi.json has the schema %s, and there is no type for it", name)
			continue
		}
		c.object(of, s, name)
	}
	for name := range c.types {
		if _, ok := schemas[name]; !ok {
			t.Errorf("openapi.json has no schema %s", name)
		}
	}
	for _, name := range structsOfPackage(t) {
		if !c.seen[name] {
			t.Errorf("openapi.json describes nothing of type %s", name)
		}
	}
}

// A checker compares types with schemas.
type checker struct {
	*testing.T
	types map[string]reflect.Type // by the name of their schema
	seen  map[string]bool         // names of struct types that were compared
}

// object compares a struct with the schema of an object.
func (c *checker) object(of reflect.Type, s schema, at string) {
	c.Helper()
	if of.Kind() != reflect.Struct || s.Type != "object" {
		c.Errorf("%s: %v in openapi.json, %s in Go", at, s.Type, of)
		return
	}
	c.seen[of.Name()] = true
	if s.AdditionalProperties != false {
		c.Errorf("%s: openapi.json does not forbid further properties", at)
	}
	fields := make(map[string]bool)
	for _, f := range reflect.VisibleFields(of) {
		if f.Anonymous {
			continue // its fields are visible, too
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = true
		property, ok := s.Properties[name]
		if !ok {
			c.Errorf("%s: openapi.json has no property %s", at, name)
			continue
		}
		if required := slices.Contains(s.Required, name); required != (options == "") {
			c.Errorf("%s.%s: required is %t in openapi.json, and the tag in Go says %q", at, name, required, f.Tag.Get("json"))
		}
		of, null := f.Type, false
		if of.Kind() == reflect.Pointer {
			of, null = of.Elem(), options == "" // one that may be missing is never null
		}
		c.value(of, null, property, at+"."+name)
	}
	for name := range maps.Keys(s.Properties) {
		if !fields[name] {
			c.Errorf("%s: there is no field for the property %s", at, name)
		}
	}
}

// value compares the type of a field, of which null may be a value, with a schema.
func (c *checker) value(of reflect.Type, null bool, s schema, at string) {
	c.Helper()
	nullable := false
	if len(s.AnyOf) == 2 && s.AnyOf[1].Type == "null" {
		s, nullable = s.AnyOf[0], true
	}
	if types, ok := s.Type.([]any); ok && len(types) == 2 && types[1] == "null" {
		s.Type, nullable = types[0], true
	}
	isRaw := of == reflect.TypeFor[json.RawMessage]() // which can hold a null
	if nullable != null && !isRaw {
		c.Errorf("%s: may be null is %t in openapi.json, %t in Go", at, nullable, null)
	}
	if s.Ref != "" {
		if want := c.types[filepath.Base(s.Ref)]; want != of {
			c.Errorf("%s: %s in openapi.json, %s in Go", at, s.Ref, of)
		}
		return
	}
	if kindOf(of) != s.Type {
		c.Errorf("%s: %v in openapi.json, %s in Go", at, s.Type, of)
		return
	}
	switch {
	case of == reflect.TypeFor[time.Time]():
		if s.Format != "date-time" {
			c.Errorf("%s: the format is %q in openapi.json, want date-time", at, s.Format)
		}
	case isRaw:
	case of.Kind() == reflect.Struct:
		c.object(of, s, at)
	case of.Kind() == reflect.Slice, of.Kind() == reflect.Array:
		c.value(of.Elem(), false, *s.Items, at+"[]")
	case of.Kind() == reflect.Map:
		c.value(of.Elem(), false, again(c.T, s.AdditionalProperties), at+"{}")
	}
}

// again decodes what was decoded without a type.
func again(t *testing.T, v any) (s schema) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Errorf("%v is not a schema: %v", v, err)
	}
	return s
}

// kindOf returns the type that values have in JSON.
func kindOf(of reflect.Type) any {
	switch {
	case of == reflect.TypeFor[time.Time]():
		return "string"
	case of == reflect.TypeFor[json.RawMessage]():
		return "object"
	}
	switch of.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Struct, reflect.Map:
		return "object"
	}
	return of.String()
}

// structsOfPackage returns the names of the struct types that this package exports.
func structsOfPackage(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				names = append(names, spec.Name.Name)
			}
			return true
		})
	}
	return names
}

// Every property has a description in openapi.json.
func TestDescriptions(t *testing.T) {
	for name, s := range readSchemas(t) {
		wantDescriptions(t, s, name)
	}
}

func wantDescriptions(t *testing.T, s schema, at string) {
	t.Helper()
	for name, property := range s.Properties {
		if property.Description == "" {
			t.Errorf("openapi.json does not describe %s.%s", at, name)
		}
		wantDescriptions(t, property, at+"."+name)
		if property.Items != nil {
			wantDescriptions(t, *property.Items, at+"."+name+"[]")
		}
	}
}
