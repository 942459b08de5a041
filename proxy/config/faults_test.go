package config

import (
	"fmt"
	"strings"
	"testing"
)

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
		{"[log]\nzzz = 1", `2: unknown key "log.zzz"; known here: access_file, format, level`},
		{"[limits]\nusers = 1", `1: unknown key "limits"; did you mean "tenant.default.limits"?`},
		{"[nowhere]\nx = 1", `1: unknown key "nowhere"; known here: admin, cluster, commands, drain, listener, log, metrics, peer, protocol, registry, releases, reload, signatures, tenant, wasm`},
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
		{"[wasm]\nfuel = 007", `2: not TOML: Invalid integer; write a whole number without zeros in front, or with 0x and hexadecimal digits, as in 0x0901`},
		{"[commands]\nCID_X = 0xg", `2: not TOML: not a hexadecimal number; write a whole number without zeros in front, or with 0x and hexadecimal digits, as in 0x0901`},
		{"[wasm]\nfuel = 99999999999999999999", `2: not TOML: a number is out of range; write one that fits into 64 bits`},
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
		{"[admin]\naddress = \":1\"", `2: admin.address: ":1" can be reached from other machines, and what goes there is not encrypted; write a loopback address, such as "127.0.0.1:8280", or "" for none, or name the files of a certificate in admin.tls.certificate and admin.tls.key`},
		{"[admin]\naddress = \"10.0.0.1:1\"", `2: admin.address: "10.0.0.1:1" can be reached from other machines, and what goes there is not encrypted; write a loopback address, such as "127.0.0.1:8280", or "" for none, or name the files of a certificate in admin.tls.certificate and admin.tls.key`},
		{"[admin]\naddress = \":1\"\ntls.certificate = \"c\"\ntls.key = \"k\"", `2: admin.address: ":1" can be reached from other machines, and everybody may read what peers send; ask for a token by admin.read_token_file, or for certificates by admin.tls.client_ca`},
		{"[admin]\ntls.certificate = \"c\"", `2: admin.tls.certificate: "c" has no key to it; name its file in tls.key, which may be the same one`},
		{"[admin]\naddress = \"\"\ntls.certificate = \"c\"\ntls.key = \"k\"", `3: admin.tls.certificate: it is for admin.address, which is none; set that, or leave this out`},
		{"[admin.tls]\nclient_cas = \"c\"", `2: unknown key "admin.tls.client_cas"; did you mean "admin.tls.client_ca"?`},
		{"[admin]\naddress = \"127.0.0.1:8200\"", `2: listener.0.address: admin.address has "127.0.0.1:8200" already; write another`},
		{"[metrics]\naddress = \"9280\"", `2: metrics.address: "9280" is not an address; write host:port, such as "127.0.0.1:8200" or "[::1]:8200"`},
		{"[metrics]\nadress = \":9280\"", `2: unknown key "metrics.adress"; did you mean "metrics.address"?`},
		{"[metrics]\naddress = \"localhost:8280\"", `2: metrics.address: "localhost:8280" collides with admin.address, "127.0.0.1:8280"; write another port`},
		{"[metrics]\naddress = \"127.0.0.1:8200\"", `2: listener.0.address: metrics.address has "127.0.0.1:8200" already; write another`},
		{"[metrics]\naddress = \":9280\"", `2: metrics.address: ":9280" can be reached from other machines, and everybody may read; name the scrapers in metrics.allow, or ask for a token by metrics.token_file or for certificates by metrics.tls.client_ca`},
		{"[metrics]\naddress = \":9280\"\nallow = [\"10.1.0.9\", \"0.0.0.0/0\"]", `2: metrics.address: ":9280" can be reached from other machines, and everybody may read; name the scrapers in metrics.allow, or ask for a token by metrics.token_file or for certificates by metrics.tls.client_ca`},
		{"[metrics]\naddress = \"10.1.0.5:9280\"\nallow = [\"10.1.0.9\"]\ntoken_file = \"t\"", `4: metrics.token_file: "10.1.0.5:9280" can be reached from other machines, and without TLS the token could be read on its way; name the files of a certificate in metrics.tls.certificate and metrics.tls.key, or leave the token out and name the scrapers in metrics.allow`},
		{"[metrics]\ntoken_file = \"t\"", `2: metrics.token_file: this is for metrics.address, which is none; write that, such as address = ":9280", or leave this out`},
		{"[metrics]\naddress = \"[::1]:9280\"\ntls.certificate = \"c\"", `3: metrics.tls.certificate: "c" has no key to it; name its file in tls.key, which may be the same one`},
		{"[[listener]]", `1: listener.0 has no address; write one, such as address = "127.0.0.1:8200"`},
		{"[[listener]]\naddress = \"[::1]:01\"\n[[listener]]\naddress = \"[0::1]:1\"", `4: listener.1.address: "[0::1]:1" is the address "[::1]:01" that listener.0 has already; write another`},
		// Tenants.
		{"[tenant.Big]", `1: tenant: "Big" is not a tenant's name; write 1 to 40 of a-z, 0-9 and -`},
		{"[tenant.\"\"]", `1: tenant: "" is not a tenant's name; write 1 to 40 of a-z, 0-9 and -`},
		{"[tenant." + strings.Repeat("x", 41) + "]", `1: tenant: "` + strings.Repeat("x", 41) + `" is not a tenant's name; write 1 to 40 of a-z, 0-9 and -`},
		{"[[listener]]\naddress = \"[::1]:1\"\ntenant = \"b\"\n[tenant.a]", `3: listener.0.tenant: unknown tenant "b"; add [tenant.b], or name one of: a`},
		{"[[listener]]\naddress = \"[::1]:1\"\n[tenant.a]", `1: listener.0.tenant: unknown tenant "default"; add [tenant.default], or name one of: a`},
		{"[tenant.a]\n[tenant.b]", ` listener.0.tenant: unknown tenant "default"; the default listener serves that tenant, so add a [[listener]] with one of: a, b`},
		// Combinations of keys.
		{"[tenant.default.limits]\nlag_soft = \"64MiB\"", `2: tenant.default.limits.lag_soft: 64MiB is not below lag_hard, 64MiB, so it would never matter; lower it or raise lag_hard`},
		{"[peer]\nmax_pdu = \"64MiB\"", `2: tenant.default.limits.lag_hard: 64MiB is not above peer.max_pdu, 64MiB, so one large PDU would close every peer that it is sent to; raise it or lower peer.max_pdu`},
		// A refused value causes no second fault.
		{"[peer]\nmax_pdu = \"1 KiB\"\n[tenant.default.limits]\nlag_hard = \"9MiB\"", `2: peer.max_pdu: "1 KiB" is not a size; write a whole number and one of B, KiB, MiB, GiB without a blank, such as "16MiB"`},
		// Syntax.
		{"[peer]\ntimeout = \"1s\"\ntimeout = \"2s\"", `3: not TOML: peer.timeout is on line 2 already; keep one`},
		{"\n[peer", `2: not TOML: `},
		{"\r\n[peer\r\n", `2: not TOML: `},
		{"\ufeff\n[peer]\n= 1", `3: not TOML: unexpected '=': key name appears blank; write a section as [peer], and a key with its value on one line, as in timeout = "30s"`},
		{"[peer]\ntimeout = \"30s\"\n\x00", `3: not TOML: it has the control character U+0000; remove that`},
		{"[peer]\n# \xe4\n", `2: not TOML: it is not UTF-8; save the file as UTF-8`},
		{"[tenant.default.policy_config]\na = " + strings.Repeat("[", 17), `2: nests deeper than 16 levels; close what was opened, or nest less`},
		{"[peer]\n" + strings.Repeat("a.", 17) + "a = 1", `2: nests deeper than 16 levels; close what was opened, or nest less`},
		{"[peer]\ntimeout = 30s", `2: not TOML: `},
		{"\xff", `1: not TOML: it is not UTF-8; save the file as UTF-8`},
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

// A fault quotes of a very long value what fits into a line of the log, and keeps its remedy.
func TestFaultOfALongValue(t *testing.T) {
	t.Parallel()
	_, err := loadSource("[log]\nlevel = \"" + strings.Repeat("x", 1<<20) + "\"\n")
	if got := fmt.Sprint(err); len(got) > 3000 || !strings.Contains(got, ":2: log.level: \"xxx") || !strings.HasSuffix(got, `is not known; write debug, info, warn or error`) {
		t.Errorf("got %d bytes: %.200s … %s", len(got), got, got[max(0, len(got)-200):])
	}
}

// An access log in the place of the socket or of the history would keep the server from making those.
func TestAccessFileInThePlaceOfOthers(t *testing.T) {
	t.Parallel()
	const others = "[admin]\nsocket = \"admin.sock\"\n[releases]\nstate = \"/var/lib/st\"\n[signatures]\nstate = \"seen\"\n[log]\naccess_file = "
	wantFaults(t, []faultCase{
		{others + `"access.log"`, "<nil>"},
		{others + `"auto"`, "<nil>"},
		{others + `"/var/lib/st.log"`, "<nil>"},
		{others + `"./admin.sock"`, `8: log.access_file: "./admin.sock" is what admin.socket names, or in it; name another file`},
		{others + `"/var/lib/st"`, `8: log.access_file: "/var/lib/st" is what releases.state names, or in it; name another file`},
		{others + `"/var/lib/st/history.jsonl"`, `8: log.access_file: "/var/lib/st/history.jsonl" is what releases.state names, or in it; name another file`},
		{others + `"seen/versions.json"`, `8: log.access_file: "seen/versions.json" is what signatures.state names, or in it; name another file`},
	})
	const inputs = "[admin]\nread_token_file = \"token\"\n[signatures]\nkeys = [\"a.pem\", \"b.pem\"]\n[tenant.a]\npolicy = \"file:a.toml\"\n" +
		"[[listener]]\naddress = \"127.0.0.1:1\"\ntenant = \"a\"\ntls = { certificate = \"c.pem\", key = \"c.key\" }\n[log]\naccess_file = "
	wantFaults(t, []faultCase{
		{inputs + `"tokens"`, "<nil>"},
		{inputs + `"./token"`, `12: log.access_file: "./token" is what admin.read_token_file names; name another file`},
		{inputs + `"b.pem"`, `12: log.access_file: "b.pem" is what signatures.keys names; name another file`},
		{inputs + `"c.key"`, `12: log.access_file: "c.key" is what listener.0.tls.key names; name another file`},
		{inputs + `"a.toml"`, `12: log.access_file: "a.toml" is what tenant.a.policy names; name another file`},
		{inputs + `"config.toml"`, `12: log.access_file: "config.toml" is the configuration; name another file`},
	})
}

// What sets a table as if it was a key is told one of its keys.
func TestTableIsSet(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"peer": "peer.first_pdu", "tenant.default": "tenant.default.audit", "listener.0": "listener.0.accept_rate"} {
		_, err := load("c.toml", []byte("[peer]\ntimeout = \"30s\"\n"), nil, map[string]string{name: "5"})
		if want := fmt.Sprintf("--set %s: %q is a table; set one of its keys, such as %s", name, name, key); fmt.Sprint(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Faults that have no line of the file are always in the same order.
func TestOrderOfFaults(t *testing.T) {
	t.Parallel()
	overrides := map[string]string{"admin.address": "", "admin.read_token_file": "r", "admin.operate_token_file": "o", "metrics.allow": "10.0.0.0/8", "metrics.token_file": "t"}
	const remedy = "; write that, such as address = \":9280\", or leave this out"
	want := "--set admin.read_token_file: |--set admin.operate_token_file: |--set metrics.allow: |--set metrics.token_file: "
	for range 20 {
		_, err := Load("", nil, overrides)
		var places []string
		for _, f := range err.(Faults) {
			places = append(places, f.Place.String()+": ")
		}
		if got := strings.Join(places, "|"); got != want || !strings.HasSuffix(err.Error(), remedy) {
			t.Fatalf("got %s, want %s\n%v", got, want, err)
		}
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
		`--set wasm.fuel: wasm.fuel: got "many"; write a whole number`,
	}, "\n")
	if got := fmt.Sprint(err); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
