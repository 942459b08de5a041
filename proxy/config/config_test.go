package config

import (
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"switchyard/policy/tomlpos"
)

const shipped = "../../config.toml"

// The shipped file documents every key with its default and its range.
func TestShippedFileIsTheDefaults(t *testing.T) {
	got, err := Load(shipped, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got.Path = ""
	if want := Default(); !reflect.DeepEqual(values(got), want) {
		t.Errorf("%s is\n%+v, want the defaults\n%+v", shipped, got, want)
	}
	source, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Split(string(source), "\n")
	lines := tomlpos.Scan(source).Lines
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

// Every field of the structs has a key.
func TestEveryFieldHasAKey(t *testing.T) {
	c := Default()
	c.Tenants[0].Groups = []Group{defaultGroup("admin")}
	fields := make(map[any]bool)
	for _, k := range c.keys() {
		fields[k.field] = true
	}
	var visit func(v reflect.Value, name string)
	visit = func(v reflect.Value, name string) {
		switch {
		case fields[v.Addr().Interface()] || name == ".Path" || name == ".Tenants.Name" || name == ".Tenants.Groups.Name" || name == ".Listeners.Name" || strings.HasPrefix(name, ".Commands.") && name != ".Commands.Proto":
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				if field := v.Type().Field(i); field.IsExported() {
					visit(v.Field(i), name+"."+field.Name)
				}
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
		case *[]string:
			err = k.setText(strings.Join(*field, ","))
		case *[]netip.Prefix:
			err = k.setText(strings.Trim(fmt.Sprint(*field), "[]"))
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

func TestFile(t *testing.T) {
	for _, c := range []struct{ path, file, want string }{
		{"/etc/switchyard/config.toml", "tls/cert.pem", "/etc/switchyard/tls/cert.pem"},
		{"/etc/switchyard/config.toml", "/opt/key.pem", "/opt/key.pem"},
		{"/etc/switchyard/config.toml", "", ""},
		{"", "key.pem", "key.pem"},
	} {
		if got := (&Config{Path: c.path}).File(c.file); got != c.want {
			t.Errorf("File(%q) beside %q = %q, want %q", c.file, c.path, got, c.want)
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
		{"other switches", base, base + "[reload]\nwatch = false\n[wasm]\nfuel = 5000", []string{"reload.watch", "wasm.fuel"}, nil},
		{"what waits", base, base + "[admin]\naddress = \"\"\n[log]\nformat = \"text\"\n[signatures]\nstate = \"\"\nkeys = [\"k\"]\n[wasm]\nfaults = \"\"",
			[]string{"signatures.keys"}, []string{"admin.address", "log.format", "signatures.state", "wasm.faults"}},
		{"metrics", base, base + "[metrics]\naddress = \"[::1]:9280\"\ntoken_file = \"t\"", []string{"metrics.address", "metrics.token_file"}, nil},
		{"access log", base, base + "[log]\naccess_file = \"access.log\"", []string{"log.access_file"}, nil},
		{"tenants", base, strings.Replace(base, "[tenant.b]", "[tenant.c]", 1), []string{"tenant.b", "tenant.c"}, nil},
		{"tenant of a listener", base, strings.Replace(base, `tenant = "a"`, `tenant = "b"`, 1), []string{"listener.127.0.0.1:1.tenant"}, nil},
		{"listener's address", base, strings.Replace(base, ":1", ":2", 1), []string{"listener.127.0.0.1:1", "listener.127.0.0.1:2"}, nil},
		{"spelling of an address", strings.Replace(base, "127.0.0.1", "localhost", 1), strings.Replace(base, "127.0.0.1", "LOCALHOST", 1),
			[]string{"listener.127.0.0.1:1.address"}, nil},
		{"listener gone from the middle", listenersAt("1", "2", "3"), listenersAt("1", "3"), []string{"listener.127.0.0.1:2"}, nil},
		{"listener new in the middle", listenersAt("1", "3"), listenersAt("1", "2", "3"), []string{"listener.127.0.0.1:2"}, nil},
		{"listeners in another order", listenersAt("1", "2", "0", "0"), listenersAt("0", "2", "1", "0"), nil, nil},
		{"one of two on any port", listenersAt("0", "0"), listenersAt("0"), []string{"listener.127.0.0.1:0#2"}, nil},
		{"lists", listenersAt("1", "2"), strings.Replace(listenersAt("1", "2"), ":2\"", ":2\"\nallow = [\"::1\"]", 1), []string{"listener.127.0.0.1:2.allow"}, nil},
		{"members with commas", listenersAt("1") + "[signatures]\nkeys = [\"x,y\"]", listenersAt("1") + "[signatures]\nkeys = [\"x\", \"y\"]",
			[]string{"signatures.keys"}, nil},
		{"an empty list", listenersAt("1"), strings.Replace(listenersAt("1"), ":1\"", ":1\"\nallow = []", 1), nil, nil},
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

// listenersAt returns a configuration with listeners at these ports, in this order.
func listenersAt(ports ...string) string {
	var s strings.Builder
	for _, port := range ports {
		fmt.Fprintf(&s, "[[listener]]\naddress = \"127.0.0.1:%s\"\n", port)
	}
	return s.String()
}

// values returns the configuration without the places of its keys.
func values(c *Config) *Config {
	plain := *c
	plain.places = nil
	return &plain
}

func mustLoad(t *testing.T, source string) *Config {
	t.Helper()
	c, err := loadSource(source)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// loadSource loads a file config.toml with that content.
func loadSource(source string) (*Config, error) {
	return load("config.toml", []byte(source), nil, nil)
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
