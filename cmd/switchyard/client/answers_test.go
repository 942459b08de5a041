package client

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// Schemas are those of the description of the server's answers, by name. Its own tests
// hold what it answers against them.
type schemas map[string]map[string]any

func described(t *testing.T) schemas {
	t.Helper()
	text, err := os.ReadFile("../../../proxy/admin/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Components struct{ Schemas schemas } }
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d.Components.Schemas
}

// parted returns where a type differs from what a schema says. It need not have all of it.
func (s schemas) parted(here reflect.Type, schema any, at string) (faults []string) {
	there, ok := s.resolve(schema)
	if !ok {
		return []string{fmt.Sprintf("%s: the server has no such thing", at)}
	}
	want := "object"
	switch {
	case here == reflect.TypeFor[json.RawMessage]():
		return nil // whatever it is
	case here.Kind() == reflect.Pointer:
		return s.parted(here.Elem(), schema, at)
	case here == reflect.TypeFor[time.Time](), here.Kind() == reflect.String:
		want = "string"
	case here.Kind() == reflect.Struct:
		properties, _ := there["properties"].(map[string]any)
		for _, f := range reflect.VisibleFields(here) {
			if name := f.Tag.Get("json"); name != "-" {
				faults = append(faults, s.parted(f.Type, properties[name], at+"."+name)...)
			}
		}
	case here.Kind() == reflect.Map:
		faults = s.parted(here.Elem(), there["additionalProperties"], at+".*")
	case here.Kind() == reflect.Slice:
		want, faults = "array", s.parted(here.Elem(), there["items"], at+"[]")
	case here.Kind() == reflect.Bool:
		want = "boolean"
	case here.Kind() == reflect.Float64:
		want = "number"
	default:
		want = "integer"
	}
	if there["type"] != want || (here == reflect.TypeFor[time.Time]()) != (there["format"] == "date-time") {
		return []string{fmt.Sprintf("%s: %s here, and the server says %v", at, here, there)}
	}
	return faults
}

// resolve follows a reference, also one beside null.
func (s schemas) resolve(schema any) (object map[string]any, ok bool) {
	object, ok = schema.(map[string]any)
	if some, either := object["anyOf"].([]any); either {
		return s.resolve(some[0])
	}
	if name, refers := object["$ref"].(string); refers {
		object, ok = s[strings.TrimPrefix(name, "#/components/schemas/")]
	}
	return object, ok
}

// What is read of an answer is there, by that name and of that type.
func TestAnswersAreTheServers(t *testing.T) {
	s := described(t)
	for name, here := range map[string]reflect.Type{
		"Snapshot": reflect.TypeFor[Snapshot](), "Connections": reflect.TypeFor[Connections](), "TapLine": reflect.TypeFor[TapLine](),
	} {
		for _, fault := range s.parted(here, any(s[name]), name) {
			t.Error(fault)
		}
	}
	kinds := s["TapLine"]["properties"].(map[string]any)["kind"].(map[string]any)["enum"].([]any)
	if !slices.Contains(kinds, any(KindPDU)) || !slices.Contains(kinds, any(KindStatistics)) {
		t.Errorf("the kinds of lines are %v", kinds)
	}
}

// That would be noticed.
func TestAnswersThatPart(t *testing.T) {
	s := described(t)
	for want, here := range map[string]any{
		"": struct {
			Max float64 `json:"max"`
		}{},
		"Latency.p90: the server has no": struct {
			P90 float64 `json:"p90"`
		}{},
		"Latency.p50: uint64 here": struct {
			P50 uint64 `json:"p50"`
		}{},
		"Latency.p99: []string here": struct {
			P99 []string `json:"p99"`
		}{},
		"Latency.max: time.Time here": struct {
			Max time.Time `json:"max"`
		}{},
		"Latency: []int here": []int{},
	} {
		got := strings.Join(s.parted(reflect.TypeOf(here), any(s["Latency"]), "Latency"), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%T: got %q, want %q", here, got, want)
		}
	}
}
