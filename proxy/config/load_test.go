package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"switchyard/policy/stablefile"
)

func TestLoadWithoutFile(t *testing.T) {
	got, err := Load("", nil, nil)
	if want := Default(); err != nil || !reflect.DeepEqual(values(got), want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestLoadTakesEverything(t *testing.T) {
	t.Parallel()
	got := mustLoad(t, `
admin = { address = ":7009", read_token_file = "read.token", tls = { certificate = "c", key = "k", client_ca = "ca", crl = "crl", min_version = "1.3" } }
listener = [
    { address = "[0::1]:7000", tenant = "", tenants = ["acme-1"], tls = { certificate = "c", key = "k", client_ca = "ca", crl = "crl", min_version = "1.3" } },
    { address = "localhost:0" },
    { address = ":7001", allow = ["10.0.0.0/8", "::1"], proxy_from = ["192.0.2.7"], connections = 1, source_connections = 2, accept_rate = 0, handshake_timeout = "1s" },
    { address = "localhost:0", insecure_open = true, recheck = true },
]
tenant.default.policy = "file:a b/routes.toml"
signatures = { keys = ["a.pem", "b.pem"], state = "seen" }
[tenant.acme-1]
cluster = false
policy = "file:/opt/policy.wasm"
policy_sha256 = "00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF"
insecure_source = true
require_signature = true
downgrade_to = 7
audit = "file:next.toml"
may = ["unicast", "handle role-set"]
may_commands = ["CID_MSG_DATA"]
may_else = "consume"
claims = { networks = ["10.1.0.0/16", "::ffff:10.2.0.1"], certificates = ["cn:*.acme"], issuers = ["0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"], server_names = ["*.acme.example"] }
quota = { on_breach = "drop", pdus_in = 1, bytes_in = "2B", bytes_out = "3B", peer_pdus_in = 4, peer_bytes_in = "5B", peer_bytes_out = "6B" }
[tenant.acme-1.release]
mode = "staged"
shadow = false
stages = ["2%", "20.5%"]
hold = "1s"
sample = 0
max_wait = "2s"
on_quiet = "proceed"
unit = "connection"
bake = "0s"
warm = "3s"
on_suspicion = "ignore"
on_restart = "roll-back"
presence = "at-once"
accept = ["CID_MSG_DATA"]
shadow_fuel = 1_000_000
budget = { faults = "1%", closes = "2%", undelivered = "3%", copies = "+4%", bytes = "+5%", fuel = "x6" }
[tenant.acme-1.policy_config]
name = "ü"
ids = [1, -2]
deep.at = 1979-05-27T07:32:00Z
deep.day = 1979-05-27
deep.when = 1979-05-27 07:32:00
deep.time = 07:32:00.5
tables = [{ a = 1.5 }, { b = true }]
[tenant.acme-1.limits]
lag_hard = "1GiB"
lag_soft = "512MiB"
lag_soft_time = "1m30s"
connections = 8
log = "2GiB"
users = 9
peer_users = 10
[peer]
heartbeat = "1s"
timeout = "1m"
write_timeout = "2s"
max_pdu = "16B"
first_pdu = "3s"
[protocol]
client_types = ["mobile 0x13"]
[wasm]
module_size = "1MiB"
memory = "64KiB"
fuel = 1_000
depth = 16
body = "1KiB"
load_time = "100ms"
faults = "kept"
[releases]
state = "kept"
keep = 2
key = "receipts.key"
[registry]
poll = "2m"
ca = "registry.pem"
auth = "auth.json"
[metrics]
address = ":9280"
allow = ["10.0.0.9"]
token_file = "scrape.token"
tls = { certificate = "c", key = "k", client_ca = "ca", crl = "crl", min_version = "1.3" }
[reload]
watch = false
debounce = "10ms"
poll = "1h"
[drain]
timeout = "0s"
[cluster]
name = "a-1"
hub = 7
servers = ["tls://10.0.0.1:4222", "nats://[::1]:1"]
credentials = "hub.creds"
ca = "bus.pem"
certificate = "hub.pem"
key = "hub.key"
replicas = 1
log = "8MiB"
window = "1MiB"
queue = "2MiB"
member_timeout = "3s"
alone_after = "0s"
standby_links = true
[log]
level = "debug"
format = "json"
access_file = "access.log"
`)
	normal := defaultTenant("default")
	normal.Policy = "file:a b/routes.toml"
	network := netip.MustParsePrefix
	first, next := defaultListener("[0::1]:7000"), defaultListener("localhost:0")
	next.Name = "127.0.0.1:0"
	first.Name, first.Tenant, first.Tenants = "[::1]:7000", "", []string{"acme-1"}
	first.TLS = TLS{"c", "k", "ca", "crl", "1.3"}
	third, fourth := defaultListener(":7001"), next
	third.Name = "[::]:7001"
	third.Allow, third.ProxyFrom = []netip.Prefix{network("10.0.0.0/8"), network("::1/128")}, []netip.Prefix{network("192.0.2.7/32")}
	third.Connections, third.SourceConnections, third.AcceptRate, third.HandshakeTimeout = 1, 2, 0, second
	fourth.Name, fourth.InsecureOpen = "127.0.0.1:0#2", true
	fourth.Recheck = true
	want := &Config{
		Path:      got.Path,
		Admin:     Admin{Address: ":7009", ReadTokenFile: "read.token", TLS: TLS{"c", "k", "ca", "crl", "1.3"}},
		Metrics:   Metrics{":9280", []netip.Prefix{network("10.0.0.9/32")}, "scrape.token", TLS{"c", "k", "ca", "crl", "1.3"}},
		Listeners: []Listener{first, next, third, fourth},
		Tenants: []Tenant{{
			Name: "acme-1", Policy: "file:/opt/policy.wasm",
			PolicyConfig: []byte(`{"deep":{"at":"1979-05-27T07:32:00Z","day":"1979-05-27","time":"07:32:00.5","when":"1979-05-27T07:32:00"},` +
				`"ids":[1,-2],"name":"ü","tables":[{"a":1.5},{"b":true}]}`),
			PolicySHA256: strings.Repeat("00ff", 16), RequireSignature: true, InsecureSource: true, DowngradeTo: 7,
			Audit: "file:next.toml",
			May:   []string{"unicast", "handle role-set"}, MayCommands: []string{"CID_MSG_DATA"}, MayElse: "consume",
			Claims: Claims{[]netip.Prefix{network("10.1.0.0/16"), network("10.2.0.1/32")}, []string{"cn:*.acme"}, []string{strings.Repeat("0f", 32)}, []string{"*.acme.example"}},
			Limits: Limits{gibibyte, 512 * mebibyte, 90 * second, 8, 2 * gibibyte, 9, 10},
			Quota:  Quota{"drop", 1, 2, 3, 4, 5, 6},
			Release: Release{"staged", false, []string{"2%", "20.5%"}, second, 0, 2 * second, "proceed", "connection", 0, 3 * second, "ignore", "roll-back", "at-once",
				[]string{"CID_MSG_DATA"}, 1_000_000, ReleaseBudget{"1%", "2%", "3%", "+4%", "+5%", "x6"}},
		}, normal},
		Peer:       Peer{second, minute, 2 * second, 16, 3 * second},
		Protocol:   Protocol{[]string{"mobile 0x13"}},
		WASM:       WASM{mebibyte, 64 * kibibyte, 1000, 16, kibibyte, 100 * millisecond, "kept"},
		Signatures: Signatures{[]string{"a.pem", "b.pem"}, "seen"},
		Releases:   Releases{"kept", 2, "receipts.key"},
		Registry:   Registry{2 * minute, "registry.pem", "auth.json"},
		Reload:     Reload{false, 10 * millisecond, hour},
		Cluster:    Cluster{"a-1", 7, []string{"tls://10.0.0.1:4222", "nats://[::1]:1"}, "hub.creds", "bus.pem", "hub.pem", "hub.key", 1, 8 * mebibyte, mebibyte, 2 * mebibyte, 3 * second, 0, true},
		Log:        Log{"debug", "json", "access.log"},
	}
	if !reflect.DeepEqual(values(got), want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.toml")
	writeFile(t, path, `
peer = { heartbeat = "1s", timeout = "11s", write_timeout = "21s" }
[tenant.default]
[tenant.my-own]
[tenant.my-own.group.east-1]
`)
	env := []string{
		"PATH=/bin", "SWITCHYARD_CONFIG=elsewhere", "SWITCHYARD_PORT_8200_TCP=tcp://10.0.0.1:8200",
		"SWITCHYARD_PEER__TIMEOUT=12s", "SWITCHYARD_PEER__WRITE_TIMEOUT=22s",
		"SWITCHYARD_WASM__FUEL=5000", "SWITCHYARD_RELOAD__WATCH=false",
		"SWITCHYARD_TENANT__MY_OWN__POLICY=file:x=y.wasm", "SWITCHYARD_TENANT__MY_OWN__GROUP__EAST_1__NETWORKS=10.1.0.0/16", "SWITCHYARD_LISTENER__0__ADDRESS=127.0.0.1:1",
		"SWITCHYARD_LISTENER__0__ALLOW=10.0.0.0/8, ::1",
	}
	got, err := Load(path, env, map[string]string{"peer.write_timeout": "23s", "listener.0.tenant": "my-own", "tenant.default.may": "drop,handle role-set"})
	if err != nil {
		t.Fatal(err)
	}
	peer := Peer{Heartbeat: second, Timeout: 12 * second, WriteTimeout: 23 * second, MaxPDU: 16 * mebibyte, FirstPDU: 30 * second}
	if got.Peer != peer {
		t.Errorf("peer: got %+v, want %+v", got.Peer, peer)
	}
	if own, _ := got.Tenant("my-own"); own.Policy != "file:x=y.wasm" || got.WASM.Fuel != 5000 || got.Reload.Watch {
		t.Errorf("got policy %q, fuel %d, watch %t, want file:x=y.wasm, 5000, false", own.Policy, got.WASM.Fuel, got.Reload.Watch)
	}
	if own, _ := got.Tenant("my-own"); len(own.Groups) != 1 || !slices.Equal(own.Groups[0].Networks, []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}) {
		t.Errorf("got groups %+v", own.Groups)
	}
	want := defaultListener("127.0.0.1:1")
	want.Tenant, want.Allow = "my-own", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if !reflect.DeepEqual(got.Listeners[0], want) {
		t.Errorf("got listener %+v, want %+v", got.Listeners[0], want)
	}
	if normal, _ := got.Tenant("default"); !slices.Equal(normal.May, []string{"drop", "handle role-set"}) {
		t.Errorf("got may %q, want drop and handle role-set", normal.May)
	}
}

func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/large", strings.Repeat("#", maxSource+1))
	for path, want := range map[string]string{
		dir + "/none":  "no such file; create it, or name another by --config",
		dir:            "not a regular file but a directory; name a file",
		dir + "/large": "larger than 1MiB; is it the right file?",
	} {
		_, err := Load(path, nil, nil)
		if got := fmt.Sprint(err); got != path+": "+want {
			t.Errorf("got %q, want %q of %s", got, want, path)
		}
	}
	changing := fmt.Errorf("read c.toml: %w", stablefile.ErrChanging)
	if got, want := readProblem("c.toml", changing), "it is still being written; try again when it is saved"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Editors on Windows may begin a file with a byte order mark and end lines with CR LF.
func TestFileOfWindows(t *testing.T) {
	t.Parallel()
	source := "[[listener]]\naddress = \"127.0.0.1:1\"\nallow = [\n  \"::1\",\n]\n[tenant.default]\nlimits.users = 7\n"
	windows := "\ufeff" + strings.ReplaceAll(source, "\n", "\r\n")
	if got, want := values(mustLoad(t, windows)), values(mustLoad(t, source)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for word, line := range map[string]int{"[[listener]]": 1, "address": 2, "\"::1\"": 4, "limits.users": 7} {
		_, err := loadSource(strings.Replace(windows, word, "x", 1) + "\r\n")
		faults, _ := err.(Faults)
		if !slices.ContainsFunc(faults, func(f Fault) bool { return f.Place.Line == line }) {
			t.Errorf("without %s: got %v, want a fault on line %d", word, err, line)
		}
	}
}

// Load returns for every file, and each fault has a line of the file.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"[[listener]]\naddress = ':1'\ntenants = ['a', 'a', 1]\nallow = ['0.0.0.0/0', '']\n[listener.tls]\nclient_ca = 'x'\n[tenant.a.claims]\nnetworks = ['::1']",
		"[[listener]]\naddress = '[::1]:1'\ntenants = ['a', 'b']\n[tenant.a]\nclaims.server_names = ['*', 'b']\n[tenant.b]\nclaims.networks = []\n[tenant.default]",
		"listener = [{ address = '' }, 1]", "tenant.a = 1", "[peer]\ntimeout = \"1s", "\ufeff[log]\r\nlevel = ''\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if len(source) > 4<<10 {
			return
		}
		_, err := loadSource(source)
		if err == nil {
			return
		}
		faults, lines := err.(Faults), strings.Count(source, "\n")+1
		for _, fault := range faults {
			if line := fault.Place.Line; line < 0 || line > lines || fault.Problem == "" {
				t.Errorf("fault %+v of %d lines", fault, lines)
			}
		}
	})
}

// A variable with one underscore where a key has a dot is a fault; what orchestrators set, and
// what resembles no key, is not.
func TestVariablesWithOneUnderscore(t *testing.T) {
	t.Parallel()
	for variable, meant := range map[string]string{
		"SWITCHYARD_PEER_TIMEOUT":              "SWITCHYARD_PEER__TIMEOUT",
		"SWITCHYARD_PEER_WRITE_TIMEOUT":        "SWITCHYARD_PEER__WRITE_TIMEOUT",
		"SWITCHYARD_PEER_TIMOUT":               "SWITCHYARD_PEER__TIMEOUT",
		"SWITCHYARD_LOG_LEVEL":                 "SWITCHYARD_LOG__LEVEL",
		"SWITCHYARD_LISTENER_0_ADDRESS":        "SWITCHYARD_LISTENER__0__ADDRESS",
		"SWITCHYARD_TENANT_WEST_1_POLICY":      "SWITCHYARD_TENANT__WEST_1__POLICY",
		"SWITCHYARD_ADMIN_ADDRESS":             "SWITCHYARD_ADMIN__ADDRESS",
		"SWITCHYARD_SERVICE_HOST":              "",
		"SWITCHYARD_PORT":                      "",
		"SWITCHYARD_PORT_8200_TCP_ADDR":        "",
		"SWITCHYARD_ADMIN_SERVICE_PORT_HTTP":   "",
		"SWITCHYARD_ADMIN_PORT_8201_TCP_PROTO": "",
		"SWITCHYARD_ADMIN_TOKEN_FILE":          "",
		"SWITCHYARD_CONFIG":                    "",
		"SWITCHYARD_LOG_DIR":                   "",
		"SWITCHYARD_IMAGE_TAG":                 "",
		"SWITCHYARD_":                          "",
		"SWITCHYARD_PEER":                      "",
	} {
		_, err := load("c.toml", []byte("[tenant.west-1]\n[[listener]]\naddress = \"127.0.0.1:1\"\ntenant = \"west-1\"\n"), []string{variable + "=1"}, nil)
		switch {
		case meant == "" && err != nil:
			t.Errorf("%s: %v", variable, err)
		case meant != "" && (err == nil || !strings.Contains(err.Error(), "environment "+variable+": this variable sets nothing; did you mean "+meant+"?")):
			t.Errorf("%s: got %v, want a hint to %s", variable, err, meant)
		}
	}
}

// Sixteen kilobytes of dots or brackets are refused before they cost memory, in the file and
// inside of a policy's configuration, and as the name of a key elsewhere.
func TestDeepNestingIsRefusedEarly(t *testing.T) {
	const size = 16 << 10
	dots := strings.Repeat("a.", size/2) + "a"
	brackets := strings.Repeat("[", size/2) + strings.Repeat("]", size/2)
	braces := strings.Repeat("{a=", size/4) + "1" + strings.Repeat("}", size/4)
	cost := func(name, source string, env []string, overrides map[string]string) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := load("c.toml", []byte(source), env, overrides)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%s: %d MiB were allocated", name, n>>20)
		}
	}
	const config = "[tenant.default.policy_config]\n"
	for name, source := range map[string]string{
		"a dotted key": dots + " = 1", "a dotted header": "[" + dots + "]", "lists": "a = " + brackets, "tables": "a = " + braces,
		"a dotted key of policy_config": config + dots + " = 1", "lists in policy_config": config + "a = " + brackets,
		"tables in policy_config": config + "a = " + braces, "many dotted keys": strings.Repeat(strings.Repeat("a.", 100)+"a = 1\n", size/200),
	} {
		cost(name, source, nil, nil)
	}
	cost("--set", "", nil, map[string]string{dots: "1"})
	cost("--set policy_config", "", nil, map[string]string{"tenant.default.policy_config." + dots: "1"})
	cost("environment", "", []string{"SWITCHYARD_" + strings.ReplaceAll(strings.ToUpper(dots), ".", "__") + "=1"}, nil)
	cost("environment of policy_config", "", []string{"SWITCHYARD_TENANT__DEFAULT__POLICY_CONFIG__" + strings.ReplaceAll(strings.ToUpper(dots), ".", "__") + "=1"}, nil)
	cost("environment with single underscores", "", []string{"SWITCHYARD_PEER__X_" + strings.ReplaceAll(strings.ToUpper(dots), ".", "_") + "=1"}, nil)
}
