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
	if want := Default(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestLoadTakesEverything(t *testing.T) {
	t.Parallel()
	got := mustLoad(t, `
admin.address = "localhost:7009"
listener = [
    { address = "[0::1]:7000", tenant = "", tenants = ["acme-1"], tls = { certificate = "c", key = "k", client_ca = "ca", crl = "crl", min_version = "1.3" } },
    { address = "localhost:0" },
    { address = ":7001", allow = ["10.0.0.0/8", "::1"], proxy_from = ["192.0.2.7"], connections = 1, source_connections = 2, accept_rate = 0, handshake_timeout = "1s" },
    { address = "localhost:0", insecure_open = true, recheck = true },
]
tenant.default.policy = "file:a b/routes.toml"
signatures = { keys = ["a.pem", "b.pem"], state = "seen" }
[tenant.acme-1]
policy = "file:/opt/policy.wasm"
policy_sha256 = "00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF00FF"
require_signature = true
downgrade_to = 7
audit = "file:next.toml"
may = ["unicast", "handle role-set"]
may_commands = ["CID_MSG_DATA"]
may_else = "consume"
claims = { networks = ["10.1.0.0/16", "::ffff:10.2.0.1"], certificates = ["cn:*.acme"], issuers = ["0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"], server_names = ["*.acme.example"] }
quota = { on_breach = "drop", pdus_in = 1, bytes_in = "2B", bytes_out = "3B", peer_pdus_in = 4, peer_bytes_in = "5B", peer_bytes_out = "6B" }
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
[reload]
watch = false
debounce = "10ms"
poll = "1h"
[drain]
timeout = "0s"
[log]
level = "debug"
format = "json"
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
		Admin:     Admin{Address: "localhost:7009"},
		Listeners: []Listener{first, next, third, fourth},
		Tenants: []Tenant{{
			Name: "acme-1", Policy: "file:/opt/policy.wasm",
			PolicyConfig: []byte(`{"deep":{"at":"1979-05-27T07:32:00Z","day":"1979-05-27","time":"07:32:00.5","when":"1979-05-27T07:32:00"},` +
				`"ids":[1,-2],"name":"ü","tables":[{"a":1.5},{"b":true}]}`),
			PolicySHA256: strings.Repeat("00ff", 16), RequireSignature: true, DowngradeTo: 7,
			Audit: "file:next.toml",
			May:   []string{"unicast", "handle role-set"}, MayCommands: []string{"CID_MSG_DATA"}, MayElse: "consume",
			Claims: Claims{[]netip.Prefix{network("10.1.0.0/16"), network("10.2.0.1/32")}, []string{"cn:*.acme"}, []string{strings.Repeat("0f", 32)}, []string{"*.acme.example"}},
			Limits: Limits{gibibyte, 512 * mebibyte, 90 * second, 8, 2 * gibibyte, 9, 10},
			Quota:  Quota{"drop", 1, 2, 3, 4, 5, 6},
		}, normal},
		Peer:       Peer{second, minute, 2 * second, 16, 3 * second},
		Protocol:   Protocol{[]string{"mobile 0x13"}},
		WASM:       WASM{mebibyte, 64 * kibibyte, 1000, 16, kibibyte, 100 * millisecond, "kept"},
		Signatures: Signatures{[]string{"a.pem", "b.pem"}, "seen"},
		Releases:   Releases{"kept", 2, "receipts.key"},
		Reload:     Reload{false, 10 * millisecond, hour},
		Log:        Log{"debug", "json"},
	}
	if !reflect.DeepEqual(got, want) {
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
`)
	env := []string{
		"PATH=/bin", "SWITCHYARD_CONFIG=elsewhere", "SWITCHYARD_PORT_8200_TCP=tcp://10.0.0.1:8200",
		"SWITCHYARD_PEER__TIMEOUT=12s", "SWITCHYARD_PEER__WRITE_TIMEOUT=22s",
		"SWITCHYARD_WASM__FUEL=5000", "SWITCHYARD_RELOAD__WATCH=false",
		"SWITCHYARD_TENANT__MY_OWN__POLICY=file:x=y.wasm", "SWITCHYARD_LISTENER__0__ADDRESS=127.0.0.1:1",
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
	want := defaultListener("127.0.0.1:1")
	want.Tenant, want.Allow = "my-own", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if !reflect.DeepEqual(got.Listeners[0], want) {
		t.Errorf("got listener %+v, want %+v", got.Listeners[0], want)
	}
	if normal, _ := got.Tenant("default"); !slices.Equal(normal.May, []string{"drop", "handle role-set"}) {
		t.Errorf("got may %q, want drop and handle role-set", normal.May)
	}
}

// Each fault has its line, what is wrong and what to do.
func TestFaults(t *testing.T) {
	t.Parallel()
	wantFaults(t, []faultCase{
		// Keys and tables.
		{"[peer]\ntimout = \"1s\"", `2: unknown key "peer.timout"; did you mean "peer.timeout"?`},
		{"[peer]\n\n\"time out\" = \"1s\"", `3: unknown key "peer.\"time out\""; did you mean "peer.timeout"?`},
		{"\"peer.timeout\" = \"1s\"", `1: unknown key "\"peer.timeout\""; did you mean "peer.timeout"?`},
		{"[peeer]\ntimeout = \"1s\"", `1: unknown key "peeer"; did you mean "peer"?`},
		{"heartbeat = \"1s\"", `1: unknown key "heartbeat"; did you mean "peer.heartbeat"?`},
		{"[tenant.default]\nlag_hard = \"1MiB\"", `2: unknown key "tenant.default.lag_hard"; did you mean "tenant.default.limits.lag_hard"?`},
		{"[log]\nzzz = 1", `2: unknown key "log.zzz"; known here: format, level`},
		{"[limits]\nusers = 1", `1: unknown key "limits"; did you mean "tenant.default.limits"?`},
		{"[nowhere]\nx = 1", `1: unknown key "nowhere"; known here: admin, drain, listener, log, peer, protocol, releases, reload, signatures, tenant, wasm`},
		{"[[listener]]\nadress = \":1\"", `1: listener.0 has no address; write one, such as address = "127.0.0.1:8200"` + "\n" +
			`2: unknown key "listener.0.adress"; did you mean "listener.0.address"?`},
		{"\n\npeer = 3", `3: "peer" is a table; write [peer] and its keys below`},
		{"[[peer]]", `1: "peer" is a table; write [peer] and its keys below`},
		{"[listener]\naddress = \":1\"", `1: "listener" is a list of tables; write [[listener]]`},
		{"listener = [1]", `1: "listener" is a list of tables; write [[listener]]`},
		{"tenant = 1", `1: "tenant" is a table of tenants; write [tenant.default]`},
		{"tenant.default = 1", `1: "tenant.default" is a table; write [tenant.default]`},
		{"[tenant.default]\nlimits = 1", `2: "tenant.default.limits" is a table; write [tenant.default.limits] and its keys below`},
		// Types.
		{"[peer]\ntimeout = 30", `2: peer.timeout: got 30; write a duration in quotes, such as "30s"`},
		{"[peer]\nmax_pdu = 1048576", `2: peer.max_pdu: got 1048576; write a size in quotes, such as "16MiB"`},
		{"[wasm]\nfuel = \"1000\"", `2: wasm.fuel: got "1000"; write a whole number without quotes`},
		{"[wasm]\nfuel = 1e5", `2: wasm.fuel: got 100000; write a whole number without quotes`},
		{"[reload]\nwatch = \"yes\"", `2: reload.watch: got "yes"; write true or false without quotes`},
		{"[log.level]", `1: log.level: got a table; write a text in quotes`},
		{"[log]\nlevel = []", `2: log.level: got a list; write a text in quotes`},
		{"[tenant.default]\npolicy_config = 1", `2: tenant.default.policy_config: got 1; write a table`},
		// Values.
		{"[peer]\ntimeout = \"5 s\"", `2: peer.timeout: "5 s" is not a duration; write numbers with units (h, m, s, ms) and no blanks, such as "30s" or "1m30s"`},
		{"[peer]\nmax_pdu = \"16MB\"", `2: peer.max_pdu: "16MB" is not a size; write a whole number and one of B, KiB, MiB, GiB without a blank, such as "16MiB"`},
		{"[peer]\ntimeout = \"0s\"", `2: peer.timeout: 0s is out of range; write 50ms to 1h`},
		{"[peer]\ntimeout = \"-5s\"", `2: peer.timeout: -5s is out of range; write 50ms to 1h`},
		{"[peer]\nmax_pdu = \"15B\"", `2: peer.max_pdu: 15B is out of range; write 16B to 1GiB`},
		{"[peer]\nmax_pdu = \"-16MiB\"", `2: peer.max_pdu: -16MiB is out of range; write 16B to 1GiB`},
		{"[wasm]\nfuel = -1", `2: wasm.fuel: -1 is out of range; write 1000 to 10000000`},
		{"[wasm]\nmemory = \"65KiB\"", `2: wasm.memory: 65KiB is not whole pages; write a multiple of 64KiB`},
		{"[log]\nlevel = \"INFO\"", `2: log.level: "INFO" is not known; write debug, info, warn or error`},
		{"[tenant.default.policy_config]\nx = [{y = nan}]", `1: tenant.default.policy_config: x: 0: y: JSON has no number NaN; write a finite one`},
		// Policies.
		{"[tenant.default]\npolicy = \"\"", `2: tenant.default.policy: "" is not a policy; write a shipped policy's name, such as "teamtalk", or a file, such as "file:routes.toml"`},
		{"[tenant.default]\naudit = \"routes.toml\"", `2: tenant.default.audit: "routes.toml" is not a shipped policy's name; for a file write "file:routes.toml"`},
		{"[tenant.default]\npolicy = \"file:\"", `2: tenant.default.policy: "file:" names no file; write a path after it, such as "file:routes.toml"`},
		{"[tenant.default]\npolicy = \"p/routes.toml\"", `2: tenant.default.policy: "p/routes.toml" is not a shipped policy's name; for a file write "file:p/routes.toml"`},
		// Addresses.
		{"[[listener]]\naddress = \"8200\"", `2: listener.0.address: "8200" is not an address; write host:port, such as "127.0.0.1:8200" or "[::1]:8200"`},
		{"[[listener]]\naddress = \"::1:8200\"", `2: listener.0.address: "::1:8200" is not an address; write host:port, such as "127.0.0.1:8200" or "[::1]:8200"`},
		{"[[listener]]\naddress = \"h:70000\"", `2: listener.0.address: "h:70000" has port "70000"; write a number from 0 (any free one) to 65535`},
		{"[[listener]]\naddress = \"tcp://h:1\"", `2: listener.0.address: "tcp://h:1" is not an address; write host:port, such as "127.0.0.1:8200" or "[::1]:8200"`},
		{"[[listener]]\naddress = \"a b:1\"", `2: listener.0.address: "a b:1" has host "a b"; write host:port, such as "127.0.0.1:8200" or "[::1]:8200"`},
		{"[admin]\naddress = \"8280\"", `2: admin.address: "8280" is not an address; write host:port, such as "127.0.0.1:8200" or "[::1]:8200"`},
		{"[admin]\naddress = \":1\"", `2: admin.address: ":1" can be reached from other machines, and what goes there is not encrypted; write a loopback address, such as "127.0.0.1:8280", or "" for none`},
		{"[admin]\naddress = \"10.0.0.1:1\"", `2: admin.address: "10.0.0.1:1" can be reached from other machines, and what goes there is not encrypted; write a loopback address, such as "127.0.0.1:8280", or "" for none`},
		{"[admin]\naddress = \"127.0.0.1:8200\"", `2: listener.0.address: admin.address has "127.0.0.1:8200" already; write another`},
		{"[[listener]]", `1: listener.0 has no address; write one, such as address = "127.0.0.1:8200"`},
		{"[[listener]]\naddress = \"[::1]:01\"\n[[listener]]\naddress = \"[0::1]:1\"", `4: listener.1.address: "[0::1]:1" is the address "[::1]:01" that listener.0 has already; write another`},
		// Tenants.
		{"[tenant.Big]", `1: tenant: "Big" is not a tenant's name; write 1 to 40 of a-z, 0-9 and -`},
		{"[tenant.\"\"]", `1: tenant: "" is not a tenant's name; write 1 to 40 of a-z, 0-9 and -`},
		{"[tenant." + strings.Repeat("x", 41) + "]", `1: tenant: "` + strings.Repeat("x", 41) + `" is not a tenant's name; write 1 to 40 of a-z, 0-9 and -`},
		{"[[listener]]\naddress = \"[::1]:1\"\ntenant = \"b\"\n[tenant.a]", `3: listener.0.tenant: there is no tenant "b"; add [tenant.b], or name one of: a`},
		{"[[listener]]\naddress = \"[::1]:1\"\n[tenant.a]", `1: listener.0.tenant: there is no tenant "default"; add [tenant.default], or name one of: a`},
		{"[tenant.a]\n[tenant.b]", ` listener.0.tenant: there is no tenant "default"; add a [[listener]], as the one that is the default is for that; there are the tenants a, b`},
		// Combinations of keys.
		{"[tenant.default.limits]\nlag_soft = \"64MiB\"", `2: tenant.default.limits.lag_soft: 64MiB is not below lag_hard, 64MiB, so it would never matter; lower it or raise lag_hard`},
		{"[peer]\nmax_pdu = \"64MiB\"", `2: tenant.default.limits.lag_hard: 64MiB is not above peer.max_pdu, 64MiB, so one large PDU would close every peer that it is sent to; raise it or lower peer.max_pdu`},
		// A refused value causes no second fault.
		{"[peer]\nmax_pdu = \"1 KiB\"\n[tenant.default.limits]\nlag_hard = \"9MiB\"", `2: peer.max_pdu: "1 KiB" is not a size; write a whole number and one of B, KiB, MiB, GiB without a blank, such as "16MiB"`},
		// Syntax.
		{"[peer]\ntimeout = \"1s\"\ntimeout = \"2s\"", `3: not TOML: a key or section is defined twice`},
		{"\n[peer", `2: not TOML: `},
		{"\r\n[peer\r\n", `2: not TOML: `},
		{"\ufeff\n[peer]\n= 1", `3: not TOML: unexpected '=': key name appears blank`},
		{"[tenant.default.policy_config]\na = " + strings.Repeat("[", 17), `2: nests deeper than 16 levels; close what was opened, or nest less`},
		{"[peer]\n" + strings.Repeat("a.", 17) + "a = 1", `2: nests deeper than 16 levels; close what was opened, or nest less`},
		{"[peer]\ntimeout = 30s", `2: not TOML: `},
	})
}

// A faultCase is a configuration and its faults, without the file's name.
type faultCase struct{ source, want string }

func wantFaults(t *testing.T, cases []faultCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.source, "\n", " "), func(t *testing.T) {
			t.Parallel()
			_, err := loadSource(c.source)
			got := fmt.Sprint(err)
			if faults, ok := err.(Faults); ok && len(faults) > 0 {
				got = strings.ReplaceAll(got, faults[0].Place.Source+":", "")
			}
			if got != c.want && !(strings.HasSuffix(c.want, "not TOML: ") && strings.HasPrefix(got, c.want)) {
				t.Errorf("%s\ngot  %s\nwant %s", c.source, got, c.want)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	const path, source = "c.toml", "[log]\nlevel = 1\n[peer]\nx = 1\nheartbeat = \"1h\""
	env := []string{"SWITCHYARD_PEER__TIMOUT=1s", "SWITCHYARD_TENANT__DEFAULT__POLICY_CONFIG={}"}
	_, err := load(path, []byte(source), env, map[string]string{"wasm.fuel": "many", "listener.1.address": ":1"})
	want := strings.Join([]string{
		path + `:2: log.level: got 1; write a text in quotes`,
		path + `:4: unknown key "peer.x"; known here: first_pdu, heartbeat, max_pdu, timeout, write_timeout`,
		path + `:5: peer.heartbeat: 1h is out of range; write 10ms to 25s`,
		`environment SWITCHYARD_PEER__TIMOUT: unknown key "peer.timout"; did you mean "peer.timeout"?`,
		`environment SWITCHYARD_TENANT__DEFAULT__POLICY_CONFIG: tenant.default.policy_config: it is a table; set it in the configuration's file`,
		`--set listener.1.address: unknown key "listener.1.address"; did you mean "listener.0.address"?`,
		`--set wasm.fuel: wasm.fuel: got "many"; write a whole number without quotes`,
	}, "\n")
	if got := fmt.Sprint(err); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
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
	if got, want := mustLoad(t, windows), mustLoad(t, source); !reflect.DeepEqual(got, want) {
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

// A text without its quotes is said to need them; other faults of TOML are not.
func TestTextsWithoutQuotes(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"allow = 10.0.0.1": true, "allow = [10.0.0.1]": true, "allow = [\"10.0.0.1\", 10.0.0.2] # two": true, "allow = 10.0.0.0/8": true,
		"allow = ::1": true, "allow = [fe80::/64]": true, "address = 127.0.0.1:8200": true, "timeout = 30s": true, "level = info": true,
		"address = \"127.0.0.1:8200": false, "allow = [\"10.0.0.1\"": false, "allow = ": false, "[[listener": false,
		"insecure_open = true false": false,
	} {
		_, err := load("c.toml", []byte("[[listener]]\n"+line+"\n"), nil, nil)
		if err == nil || strings.Contains(err.Error(), "in quotes, as in allow") != want {
			t.Errorf("%s: got %v, want a hint at quotes: %v", line, err, want)
		}
	}
}
