package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const shipped = "../../config.toml"

// The shipped file documents every key with its default and its range.
func TestShippedFileIsTheDefaults(t *testing.T) {
	got, err := Load(shipped, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got.Path = ""
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("%s is\n%+v, want the defaults\n%+v", shipped, got, want)
	}
	source, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Split(string(source), "\n")
	lines := lineNumbers(string(source))
	for _, k := range Default().keys() {
		line := lines[k.name]
		if line < 2 {
			t.Errorf("%s does not have %s", shipped, k.name)
			continue
		}
		comment := text[line-2]
		if !strings.HasPrefix(comment, "# ") || !strings.Contains(comment, k.allowed()) {
			t.Errorf("%s:%d: want a comment on %s with its range, %q, got %q", shipped, line-1, k.name, k.allowed(), comment)
		}
	}
}

// Every field of the structs is reached by a key, or it could not be configured.
func TestEveryFieldHasAKey(t *testing.T) {
	c := Default()
	fields := make(map[any]bool)
	for _, k := range c.keys() {
		fields[k.field] = true
	}
	var visit func(v reflect.Value, name string)
	visit = func(v reflect.Value, name string) {
		switch {
		case fields[v.Addr().Interface()] || name == ".Path" || name == ".Tenants.Name":
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				visit(v.Field(i), name+"."+v.Type().Field(i).Name)
			}
		case v.Kind() == reflect.Slice:
			visit(v.Index(0), name)
		default:
			t.Errorf("no key for Config%s", name)
		}
	}
	visit(reflect.ValueOf(c).Elem(), "")
}

func TestDefaultsAreInRange(t *testing.T) {
	for _, k := range Default().keys() {
		var err error
		switch field := k.field.(type) {
		case *int64:
			err = k.set(*field)
		case *bool:
			err = k.set(*field)
		case *Duration, *Size, *string:
			err = k.set(k.text())
		}
		if err != nil {
			t.Errorf("default of %s: %v", k.name, err)
		}
	}
}

func TestPolicyFile(t *testing.T) {
	for _, c := range []struct {
		path, policy, want string
		ok                 bool
	}{
		{"/etc/switchyard/config.toml", "file:routes.toml", "/etc/switchyard/routes.toml", true},
		{"/etc/switchyard/config.toml", "file:../p/a.wasm", "/etc/p/a.wasm", true},
		{"/etc/switchyard/config.toml", "file:/opt/a.wasm", "/opt/a.wasm", true},
		{"config.toml", "file:routes.toml", "routes.toml", true},
		{"", "file:routes.toml", "routes.toml", true},
		{"/etc/config.toml", "teamtalk", "teamtalk", false},
	} {
		got, ok := (&Config{Path: c.path}).PolicyFile(c.policy)
		if got != c.want || ok != c.ok {
			t.Errorf("PolicyFile(%q) beside %q = %q, %t, want %q, %t", c.policy, c.path, got, ok, c.want, c.ok)
		}
	}
}

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	env := []string{"HOME=/", "SWITCHYARD_CONFIG=from-env.toml"}
	for _, c := range []struct {
		flag string
		env  []string
		file bool
		path string
		why  string
	}{
		{"", nil, false, "", "defaults"},
		{"", []string{"SWITCHYARD_CONFIG="}, false, "", "defaults"},
		{"", nil, true, "config.toml", "working directory"},
		{"", env, true, "from-env.toml", "SWITCHYARD_CONFIG"},
		{"flag.toml", env, true, "flag.toml", "--config"},
	} {
		os.Remove("config.toml")
		if c.file {
			writeFile(t, "config.toml", "")
		}
		path, why := Find(c.flag, c.env)
		if path != c.path || !strings.Contains(why, c.why) {
			t.Errorf("Find(%q, %q) with a file %t = %q, %q, want %q, with %q", c.flag, c.env, c.file, path, why, c.path, c.why)
		}
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	base := `
[[listener]]
address = "127.0.0.1:1"
tenant = "a"
[tenant.a]
policy_config = { x = 1, y = 2 }
[tenant.b]
`
	for _, c := range []struct {
		name, old, new string
		live, restart  []string
	}{
		{"nothing", base, base + "# a comment", nil, nil},
		{"order of a table", base, strings.Replace(base, "x = 1, y = 2", "y = 2, x = 1", 1), nil, nil},
		{"spelling of a value", base, base + "[peer]\ntimeout = \"30000ms\"", nil, nil},
		{"limits", base, base + "limits.lag_soft = \"4MiB\"\n[peer]\ntimeout = \"40s\"",
			[]string{"peer.timeout", "tenant.b.limits.lag_soft"}, nil},
		{"policy's configuration", base, strings.Replace(base, "x = 1", "x = 3", 1), []string{"tenant.a.policy_config"}, nil},
		{"audit", base, base + "audit = \"unicast\"", []string{"tenant.b.audit"}, nil},
		{"address", base, strings.Replace(base, ":1", ":2", 1), nil, []string{"listener.0.address"}},
		{"listener gone", base + "[[listener]]\naddress = \":3\"\ntenant = \"b\"", base, nil, []string{"listener.1"}},
		{"tenants", base, strings.Replace(base, "[tenant.b]", "[tenant.c]", 1), nil, []string{"tenant.b", "tenant.c"}},
		{"other switches", base, base + "[reload]\nwatch = false\n[wasm]\nfuel = 5000", []string{"reload.watch", "wasm.fuel"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			live, restart := Changes(mustLoad(t, c.old), mustLoad(t, c.new))
			if !slices.Equal(live, c.live) || !slices.Equal(restart, c.restart) {
				t.Errorf("Changes = %q, %q, want %q, %q", live, restart, c.live, c.restart)
			}
		})
	}
}

func mustLoad(t *testing.T, source string) *Config {
	t.Helper()
	c, err := loadSource(t, source)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// loadSource loads a file of that source, called config.toml.
func loadSource(t *testing.T, source string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	writeFile(t, path, source)
	return Load(path, nil, nil)
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
