package kubernetes

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// These files render the chart with the parts that Helm is made of: Go's templates, the functions of
// sprig, and its own include and toYaml. Helm itself takes minutes to compile, for its client of
// Kubernetes, which rendering does not need.

const chart = "../helm/switchyard"

// values reads the chart's values and changes some, as --set does: "metrics.enabled=true".
func values(t *testing.T, changes ...string) map[string]any {
	t.Helper()
	all := map[string]any{}
	decodeFile(t, filepath.Join(chart, "values.yaml"), &all)
	for _, change := range changes {
		path, text, ok := strings.Cut(change, "=")
		if !ok {
			t.Fatalf("%q has no value", change)
		}
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		keys := strings.Split(path, ".")
		if file, ok := strings.CutPrefix(path, "files."); ok {
			keys = []string{"files", file} // their names have dots
		}
		below := all
		for _, key := range keys[:len(keys)-1] {
			next, ok := below[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				below[key] = next
			}
			below = next
		}
		below[keys[len(keys)-1]] = value
	}
	return all
}

func decodeFile(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// render returns what Helm sends to Kubernetes for a release "switchyard", and what it prints.
// Values that the schema or a template refuses are an error.
func render(t *testing.T, changes ...string) (objects, notes string, err error) {
	t.Helper()
	set := values(t, changes...)
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(asJSON(t, set)); err != nil {
		return "", "", err
	}
	var about struct {
		Name, Version string
		AppVersion    string `yaml:"appVersion"`
	}
	text, err := os.ReadFile(filepath.Join(chart, "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &about); err != nil {
		t.Fatal(err)
	}
	all := template.New("chart").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	functions["include"] = func(name string, data any) (string, error) {
		var b strings.Builder
		err := all.ExecuteTemplate(&b, name, data)
		return b.String(), err
	}
	functions["toYaml"] = func(v any) (string, error) {
		text, err := yaml.Marshal(v)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := all.New(filepath.Base(name)).Funcs(functions).Parse(string(text)); err != nil {
			t.Fatal(err)
		}
	}
	data := map[string]any{"Values": set, "Chart": about, "Release": map[string]string{"Name": "switchyard", "Namespace": "default", "Service": "Helm"}}
	var b bytes.Buffer
	for _, name := range files {
		if name = filepath.Base(name); strings.HasPrefix(name, "_") {
			continue
		}
		b.WriteString("---\n")
		if err := all.ExecuteTemplate(&b, name, data); err != nil {
			return "", "", err
		}
		if name == "NOTES.txt" {
			notes = b.String()
			b.Reset()
		}
	}
	return b.String(), notes, nil
}

// asJSON returns a value with the types of encoding/json, which the schema is about.
func asJSON(t *testing.T, v any) (out any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A mistaken value is refused with its place.
func TestValuesAreRefused(t *testing.T) {
	for change, want := range map[string]string{
		"metric.enabled=true":             "additional properties 'metric' not allowed",
		"metrics.enable=true":             "additional properties 'enable' not allowed",
		"metrics.port=http":               "at '/metrics/port'",
		"metrics.allow=[]":                "at '/metrics/allow'",
		"image.digest=1.5.0":              "at '/image/digest'",
		"image.repository=":               "at '/image/repository'",
		"files.config.toml=1":             "at '/files/config.toml'",
		"goMemLimit=900Mi":                "at '/goMemLimit'",
		"service.type=Cluster":            "at '/service/type'",
		"networkPolicy.peers=[]":          "at '/networkPolicy/peers'",
		"cluster.bus.replicas=5":          "additional properties 'replicas' not allowed",
		"cluster.servers=[bus:4222]":      "at '/cluster/servers/0'",
		"terminationGracePeriodSeconds=5": "at '/terminationGracePeriodSeconds'",
		"metrics.podMonitor.enabled=true": "metrics.podMonitor.enabled: there is nothing to monitor; set metrics.enabled to true as well",
	} {
		if _, _, err := render(t, change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %q", change, err, want)
		}
	}
	want := "cluster.servers: a cluster needs a bus; name its servers, or set cluster.bus.enabled to true"
	if _, _, err := render(t, "cluster.enabled=true", "cluster.bus.enabled=false"); err == nil || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}

// Every value that the schema knows is in values.yaml, with a comment where it begins a section, so
// that none is undocumented.
func TestValuesAreDocumented(t *testing.T) {
	var schema map[string]any
	text, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema["properties"].(map[string]any), "global") // Helm's own
	wantSameKeys(t, "", schema, values(t))
	source, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var node yaml.Node
	if err := yaml.Unmarshal(source, &node); err != nil {
		t.Fatal(err)
	}
	plain := []string{"extraVolumeMounts", "podLabels", "podAnnotations", "nodeSelector", "tolerations", "priorityClassName", "service"}
	for i := 0; i < len(node.Content[0].Content); i += 2 {
		if key := node.Content[0].Content[i]; key.HeadComment == "" && !slices.Contains(plain, key.Value) {
			t.Errorf("values.yaml does not say what %s is", key.Value)
		}
	}
}

func wantSameKeys(t *testing.T, place string, schema, have map[string]any) {
	t.Helper()
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return // any keys
	}
	if known, set := slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(have)); !slices.Equal(known, set) {
		t.Errorf("%s: the schema has %v, values.yaml %v", place, known, set)
	}
	for key, below := range properties {
		if next, ok := have[key].(map[string]any); ok {
			wantSameKeys(t, place+"."+key, below.(map[string]any), next)
		}
	}
}
