package config

import (
	"fmt"
	"strings"
	"testing"

	"switchyard/policy"
)

func TestFaultsOfListeners(t *testing.T) {
	t.Parallel()
	const open = `can be reached from other machines, and everybody may connect and say anything; name who may connect in listener.0.allow, ` +
		`or ask for certificates by listener.0.tls.client_ca, or write listener.0.insecure_open = true if that is meant`
	wantFaults(t, []faultCase{
		// Addresses that other machines reach.
		{listenerWith(`address = ":1"`), `2: listener.0.address: ":1" ` + open},
		{listenerWith(`address = "0.0.0.0:1"`), `2: listener.0.address: "0.0.0.0:1" ` + open},
		{listenerWith(`address = "[::]:1"`), `2: listener.0.address: "[::]:1" ` + open},
		{listenerWith(`address = "[::ffff:10.0.0.1]:1"`), `2: listener.0.address: "[::ffff:10.0.0.1]:1" ` + open},
		{listenerWith(`address = "hub.example.org:1"`), `2: listener.0.address: "hub.example.org:1" ` + open},
		{listenerWith(`address = "localhost.example.org:1"`), `2: listener.0.address: "localhost.example.org:1" ` + open},
		{listenerWith(`address = "127.1:1"`), `2: listener.0.address: "127.1:1" ` + open},
		{listenerWith(`address = ":1"`, `proxy_from = ["10.0.0.1"]`), `2: listener.0.address: ":1" ` + open},
		{listenerWith(`address = ":1"`, `allow = ["10.0.0.0/8", "0.0.0.0/0"]`), `2: listener.0.address: ":1" ` +
			strings.Replace(open, "everybody may connect and say anything", `"0.0.0.0/0" in listener.0.allow is everybody`, 1)},
		{listenerWith(`address = ":1"`, `[listener.tls]`, `certificate = "c"`, `key = "k"`), `2: listener.0.address: ":1" ` + open},
		{listenerWith(`address = ":1"`, `allow = ["10.0.0.0/8"]`), `<nil>`},
		{listenerWith(`address = ":1"`, `insecure_open = true`), `<nil>`},
		{listenerWith(`address = ":1"`, `tls = { certificate = "c", key = "k", client_ca = "ca" }`), `<nil>`},
		{listenerWith(`address = "[::ffff:127.0.0.1]:1"`), `<nil>`},
		{listenerWith(`address = "127.9.9.9:1"`), `<nil>`},
		{listenerWith(`address = "LocalHost:1"`), `<nil>`},
		{listenerWith(`address = "127.0.0.1:1"`, `allow = ["0.0.0.0/0"]`), `<nil>`},
		// TLS.
		{listenerWith(`address = "[::1]:1"`, "", "[listener.tls]", `certificate = "c"`), `5: listener.0.tls.certificate: "c" has no key to it; name its file in tls.key, which may be the same one`},
		{listenerWith(`address = "[::1]:1"`, `tls.key = "k"`), `3: listener.0.tls.key: "k" is the key to no certificate; name the file of one in tls.certificate`},
		{listenerWith(`address = "[::1]:1"`, `tls.client_ca = "ca"`), `3: listener.0.tls.client_ca: clients show certificates by TLS alone, and there is none here without tls.certificate; name the file of one`},
		{listenerWith(`address = "[::1]:1"`, `tls.min_version = "1.1"`), `3: listener.0.tls.min_version: "1.1" is not known; write 1.2 or 1.3`},
		{listenerWith(`address = "[::1]:1"`, `tls.min_version = 1.3`), `3: listener.0.tls.min_version: got 1.3; write a text in quotes`},
		{listenerWith(`address = "[::1]:1"`, `tls = true`), `3: "listener.0.tls" is a table; write [listener.tls] and its keys below`},
		{listenerWith(`address = "[::1]:1"`, `[[listener.tls]]`), `3: "listener.0.tls" is a table; write [listener.tls] and its keys below`},
		{listenerWith(`address = "[::1]:1"`, `[listener.tls]`, `cert = "c"`), `4: unknown key "listener.0.tls.cert"; did you mean "listener.0.tls.certificate"?`},
		{"[listener.tls]\nkey = \"k\"", `1: "listener" is a list of tables; write [[listener]]`},
		// Tables of the first listener and of the second.
		{listenerWith(`address = "[::1]:1"`, `[listener.tls]`, `key = 1`) + listenerWith(`address = "[::1]:2"`, `[listener.tls]`, `key = 2`),
			"4: listener.0.tls.key: got 1; write a text in quotes\n8: listener.1.tls.key: got 2; write a text in quotes"},
		// Networks.
		{listenerWith(`address = "[::1]:1"`, `allow = "10.0.0.0/8"`), `3: listener.0.allow: got "10.0.0.0/8"; write a list, ["10.0.0.0/8"]`},
		{listenerWith(`address = "[::1]:1"`, `allow = 10`), `3: listener.0.allow: got 10; write a list of texts in brackets`},
		{listenerWith(`address = "[::1]:1"`, `allow = [`, `"10.0.0.0/8",`, `7,`, `"10.0.0.1/8" ]`),
			"5: listener.0.allow: got 7; write a text in quotes\n" +
				`6: listener.0.allow: "10.0.0.1/8" has bits set behind the prefix; write "10.0.0.0/8" for the network, or "10.0.0.1" for the one address`},
		{listenerWith(`address = "[::1]:1"`, `allow = ["2001:db8::1/32"]`), `3: listener.0.allow: "2001:db8::1/32" has bits set behind the prefix; write "2001:db8::/32" for the network, or "2001:db8::1" for the one address`},
		{listenerWith(`address = "[::1]:1"`, `allow = ["::ffff:10.0.0.0/104"]`), `3: listener.0.allow: "::ffff:10.0.0.0/104" is a network of IPv4; write "10.0.0.0/8"`},
		{listenerWith(`address = "[::1]:1"`, `allow = ["fe80::1%eth0"]`), `3: listener.0.allow: "fe80::1%eth0" has a zone, which no source is known by; write "fe80::1"`},
		{listenerWith(`address = "[::1]:1"`, `allow = ["localhost"]`), `3: listener.0.allow: "localhost" is not a network; write an address, with the length of a prefix unless it is only one, such as "10.1.0.0/16" or "10.1.2.3"`},
		{listenerWith(`address = "[::1]:1"`, `allow = ["10.0.0.0/33"]`), `3: listener.0.allow: "10.0.0.0/33" is not a network; write an address, with the length of a prefix unless it is only one, such as "10.1.0.0/16" or "10.1.2.3"`},
		{listenerWith(`address = "[::1]:1"`, `allow = ["10.0.0.1", "10.0.0.1/32"]`), `3: listener.0.allow: "10.0.0.1/32" is listed twice; remove one`},
		{listenerWith(`address = "[::1]:1"`, `proxy_from = ["10.0.0.1",`, `"::/0"]`), `4: listener.0.proxy_from: "::/0" is every source, and a source that is listed here can claim any address; write the addresses of your proxies`},
		// Numbers.
		{listenerWith(`address = "[::1]:1"`, `connections = 0`), `3: listener.0.connections: 0 is out of range; write 1 to 1000000`},
		{listenerWith(`address = "[::1]:1"`, `accept_rate = -1`), `3: listener.0.accept_rate: -1 is out of range; write 0 to 1000000`},
		{listenerWith(`address = "[::1]:1"`, `handshake_timeout = "0s"`), `3: listener.0.handshake_timeout: 0s is out of range; write 10ms to 1m`},
		// Tenants.
		{listenerWith(`address = "[::1]:1"`, `tenant = ""`), `3: listener.0.tenant: "" refuses what no tenant claims, and tenants is empty, so every connection would be refused; name a tenant here, or some in tenants`},
		{listenerWith(`address = "[::1]:1"`, `tenants = ["acme"]`) + "[tenant.default]", `3: listener.0.tenants: unknown tenant "acme"; add [tenant.acme], or name one of: default`},
		{listenerWith(`address = "[::1]:1"`, `tenants = ["Acme"]`), `3: listener.0.tenants: "Acme" is not a tenant's name; write 1 to 40 of a-z, 0-9 and -`},
	})
}

func TestFaultsOfClaims(t *testing.T) {
	t.Parallel()
	const two = `tenants "a" and "b" both claim the network 10.0.0.0/8; give each one of its own, or tell them apart by certificates, issuers or server_names that differ`
	mutual := `tls = { certificate = "c", key = "k", client_ca = "ca" }`
	wantFaults(t, []faultCase{
		{claimed(mutual, ``, ``), "3: listener.0.tenants: tenant \"a\" claims nothing, so it would get no connection; write [tenant.a.claims], or name it in listener.0.tenant\n" +
			"4: listener.0.tenants: tenant \"b\" claims nothing, so it would get no connection; write [tenant.b.claims], or name it in listener.0.tenant"},
		{claimed(``, `networks = ["::1"]`, `networks = ["::2"], certificates = ["cn:b"]`),
			`4: listener.0.tenants: tenant "b" claims certificates, and clients are not asked for any here; name in listener.0.tls.client_ca who vouches for them, or leave the tenant out`},
		{claimed(`tls = { certificate = "c", key = "k" }`, `certificates = ["cn:a"]`, `server_names = ["b"]`),
			`3: listener.0.tenants: tenant "a" claims certificates, and clients are not asked for any here; name in listener.0.tls.client_ca who vouches for them, or leave the tenant out`},
		{claimed(``, `networks = ["::1"]`, `server_names = ["b"]`),
			`4: listener.0.tenants: tenant "b" claims server names, and there is no TLS here by which to ask for one; name a file in listener.0.tls.certificate, or leave the tenant out`},
		// One network.
		{claimed(``, `networks = ["10.0.0.0/8"]`, `networks = ["::1", "10.0.0.0/8"]`), `4: listener.0.tenants: ` + two},
		{claimed(mutual, `networks = ["10.0.0.0/8"]`, `networks = ["10.0.0.0/8"], certificates = ["cn:b"]`), `4: listener.0.tenants: ` + two},
		{claimed(mutual, `networks = ["10.0.0.0/8"], server_names = ["a"]`, `networks = ["10.0.0.0/8"], certificates = ["cn:b"]`), `4: listener.0.tenants: ` + two},
		{claimed(mutual, `networks = ["10.0.0.0/8"], certificates = ["cn:a", "cn:b"]`, `networks = ["10.0.0.0/8"], certificates = ["cn:b"]`), `4: listener.0.tenants: ` + two},
		{claimed(mutual, `networks = ["10.0.0.0/8"], server_names = ["A.x"]`, `networks = ["10.0.0.0/8"], server_names = ["b", "a.X"]`), `4: listener.0.tenants: ` + two},
		{claimed(mutual, `networks = ["10.0.0.0/8"], server_names = ["a.x"]`, `networks = ["10.0.0.0/8"], server_names = ["*.x"]`), `4: listener.0.tenants: ` + two},
		{claimed(mutual, `networks = ["10.0.0.0/8"], server_names = ["a.b.x"]`, `networks = ["10.0.0.0/8"], server_names = ["*.x"]`), `<nil>`},
		{claimed(mutual, `networks = ["10.0.0.0/8"], server_names = ["a"]`, `networks = ["10.0.0.0/8"], server_names = ["b"]`), `<nil>`},
		{claimed(mutual, `networks = ["10.0.0.0/8"], certificates = ["cn:a"]`, `networks = ["10.0.0.0/8"], certificates = ["cn:b"]`), `<nil>`},
		{claimed(``, `networks = ["10.0.0.0/8"]`, `networks = ["10.1.0.0/16"]`), `<nil>`},                                                                       // the narrower one counts
		{claimed(`tenant = "default"`, `networks = ["10.0.0.0/8"]`, `networks = ["10.1.0.0/16"]`) + "[tenant.c]\nclaims.networks = [\"10.1.0.0/16\"]", `<nil>`}, // no listener names c
		// One certificate or server name, without networks.
		{claimed(mutual, `certificates = ["cn:x"]`, `certificates = ["dns:x", "cn:x"], server_names = ["b"]`),
			`4: listener.0.tenants: tenants "a" and "b" both claim certificate "cn:x", and nothing else tells their connections apart; give one of them a longer network, or both other certificates, issuers or server_names`},
		{claimed(mutual, `server_names = ["b"]`, `server_names = ["B"]`),
			`4: listener.0.tenants: tenants "a" and "b" both claim server name "b", and nothing else tells their connections apart; give one of them a longer network, or both other certificates, issuers or server_names`},
		{claimed(mutual, `certificates = ["cn:x"]`, `server_names = ["b"]`), `<nil>`},
		// Claims without effect.
		{claimed(`tenant = "a"`, `networks = ["::1"]`, `networks = ["::2"]`),
			`3: listener.0.tenants: "a" also gets every connection that no tenant claims, because listener.0.tenant names it, so its claims would refuse no connection; take it out here, or name another there, or "" to refuse unclaimed connections`},
		{"[tenant.default.claims]\nnetworks = [\"10.0.0.0/8\"]",
			`1: tenant.default.claims: they have no effect, because listener.0.tenant assigns every connection to this tenant; name it in listener.0.tenants instead, and there another or "" as the tenant, or use listener.0.allow`},
		// Patterns.
		{"[tenant.x.claims]\ncertificates = [\"*.acme\"]\n[tenant.default]", `2: tenant.x.claims.certificates: "*.acme" does not say which name of a certificate it is about; write "cn:", "dns:", "uri:" or "email:" before the name`},
		{"[tenant.x.claims]\ncertificates = [\"san:acme\"]\n[tenant.default]", `2: tenant.x.claims.certificates: "san:acme" does not say which name of a certificate it is about; write "cn:", "dns:", "uri:" or "email:" before the name`},
		{"[tenant.x.claims]\ncertificates = [\"uri: \"]\n[tenant.default]", `2: tenant.x.claims.certificates: "uri: " has no name behind the colon; write one, such as "uri:*.example.org"`},
		{"[tenant.x.claims]\nserver_names = [\"*\"]\n[tenant.default]", `2: tenant.x.claims.server_names: "*" is not a server's name; write one such as "acme.example", or "*.acme.example" for all that end so`},
		{"[tenant.x.claims]\nserver_names = [\"a.*.b\"]\n[tenant.default]", `2: tenant.x.claims.server_names: "a.*.b" is not a server's name; write one such as "acme.example", or "*.acme.example" for all that end so`},
		{"[tenant.x.claims]\nserver_names = [\"10.0.0.1\"]\n[tenant.default]", `2: tenant.x.claims.server_names: "10.0.0.1" is an address, and TLS clients never ask for one; write a host's name, or claim networks`},
		// A refused claim causes no second fault.
		{claimed(``, `networks = ["10.0.0.0/8"]`, `networks = ["10.0.0.1/8"]`),
			`9: tenant.b.claims.networks: "10.0.0.1/8" has bits set behind the prefix; write "10.0.0.0/8" for the network, or "10.0.0.1" for the one address`},
	})
}

func TestFaultsOfTenants(t *testing.T) {
	t.Parallel()
	digits := strings.Repeat("0123456789abcdef", 4)
	wantFaults(t, []faultCase{
		{tenantWith(`may = ["unicats"]`), `2: tenant.default.may: "unicats" is not an action; did you mean unicast?`},
		{tenantWith(`may = ["role-set"]`), `2: tenant.default.may: "role-set" is not an action; did you mean handle role-set?`},
		{tenantWith(`may = [""]`), `2: tenant.default.may: "" is not an action; write one of ` + strings.Join(policy.EffectNames, ", ")},
		{tenantWith(`may = ["drop",`, `"handle rolle"]`), `3: tenant.default.may: there is no handler "rolle"; write one of ["handle online-user-info" "handle user-status-update" "handle role-set" "handle users-status-request"]`},
		{tenantWith(`may = "drop"`), `2: tenant.default.may: got "drop"; write a list, ["drop"]`},
		{tenantWith(`may = ["drop", "drop"]`), `2: tenant.default.may: "drop" is listed twice; remove one`},
		{tenantWith(`may_commands = [" "]`), `2: tenant.default.may_commands: " " is not a command; write its name, such as "CID_MSG_DATA"`},
		{tenantWith(`may_commands = ["0x0700-0x07ff",`, `"CID_MSG_DTA", "9-8"]`), `3: tenant.default.may_commands: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?` + "\n" +
			`3: tenant.default.may_commands: the range 9-8 runs backwards; write 8-9`},
		{tenantWith(`may = ["drop"]`, `may_else = "unicast"`), `3: tenant.default.may_else: "unicast" is not known; write drop, consume, close, broadcast-except-sender or broadcast-all`},
		{tenantWith(`may_else = "close"`), `2: tenant.default.may_else: the policy may do everything, so this would never matter; say what it may in may or may_commands, or leave it out`},
		{tenantWith(`may_else = "close"`, `may_commands = ["CID_MSG_DATA"]`), `<nil>`},
		{tenantWith(`policy_sha256 = "` + digits[1:] + `"`), `2: tenant.default.policy_sha256: "` + digits[1:] + `" is not a SHA-256; write the 64 hex digits that sha256sum prints of the policy's file`},
		{tenantWith(`policy_sha256 = "sha256:` + digits + `"`), `2: tenant.default.policy_sha256: "sha256:` + digits + `" is not a SHA-256; write the 64 hex digits that sha256sum prints of the policy's file`},
		{tenantWith(`require_signature = true`), `2: tenant.default.require_signature: there is no key to check a signature with, so no policy could be loaded; name files with public keys in signatures.keys, or leave it out`},
		{tenantWith(`require_signature = 1`), `2: tenant.default.require_signature: got 1; write true or false without quotes`},
		{tenantWith(`release.mode = "slow"`), `2: tenant.default.release.mode: "slow" is not known; write at-once, staged or manual`},
		{tenantWith(`release.stages = ["10%", "1%"]`), `2: tenant.default.release.stages: 1% does not follow a smaller share; write the shares in growing order`},
		{tenantWith(`release.stages = ["100%"]`), `2: tenant.default.release.stages: "100%" is not a share of some; write more than 0% and less than 100%: shadow and bake are steps of their own`},
		{tenantWith(`release.stages = ["ten"]`), `2: tenant.default.release.stages: "ten" is not a rate; write a number from 0 to 100 and %, such as "0.1%"`},
		{tenantWith(`release.stages = []`), `<nil>`},
		{tenantWith(`release.max_wait = "1s"`), `2: tenant.default.release.max_wait: 1s is less than hold, 5m, so it would end before that; raise it or lower hold`},
		{tenantWith(`release.accept = ["CID_MSG_DTA"]`), `2: tenant.default.release.accept: unknown command "CID_MSG_DTA"; did you mean CID_MSG_DATA?`},
		{tenantWith(`release.budget.faults = "50%"`), `2: tenant.default.release.budget.faults: "50%" is more than a budget can allow; write at most "45%"`},
		{tenantWith(`release.budget.faults = "NaN%"`), `2: tenant.default.release.budget.faults: "NaN%" is not a rate; write a number from 0 to 100 and %, such as "0.1%"`},
		{tenantWith(`release.budget.copies = "25%"`), `2: tenant.default.release.budget.copies: "25%" does not say how much more is allowed; write + and a number from 0 to 1000000 and %, such as "+25%"`},
		{tenantWith(`release.budget.fuel = "4"`), `2: tenant.default.release.budget.fuel: "4" is not a factor; write x and a number from 1 to 1000000, such as "x4"`},
		{"[releases]\nkeep = 1", `2: releases.keep: 1 is out of range; write 2 to 1000`},
		{tenantWith(`downgrade_to = -1`), `2: tenant.default.downgrade_to: -1 is out of range; write 0 to 9223372036854775807`},
		{"[signatures]\nkeys = [\"\"]", `2: signatures.keys: "" names no file; write a path, or leave it out`},
		{"[signatures]\nstate = \"a\\u0000\"", `2: signatures.state: "a\x00" is not a path; write one without a zero byte`},
		{tenantWith(`limits.log = "80MiB"`), `2: tenant.default.limits.log: 80MiB is not above lag_hard and peer.max_pdu together, 80MiB, so a peer that lags as far as it may would stop the tenant; raise it or lower those`},
		{tenantWith(`limits.log = "81MiB"`), `<nil>`},
		{tenantWith(`limits.lag_hard = "1GiB"`), `2: tenant.default.limits.log: 256MiB is not above lag_hard and peer.max_pdu together, 1040MiB, so a peer that lags as far as it may would stop the tenant; raise it or lower those`},
		{tenantWith(`limits.users = 0`), `2: tenant.default.limits.users: 0 is out of range; write 1 to 4294967295`},
		{tenantWith(`limits.connections = 1_000_001`), `2: tenant.default.limits.connections: 1000001 is out of range; write 1 to 1000000`},
		{tenantWith(`quota.on_breach = "close"`), `2: tenant.default.quota.on_breach: "close" is not known; write slow or drop`},
		{tenantWith(`quota.pdus_in = "10"`), `2: tenant.default.quota.pdus_in: got "10"; write a whole number without quotes`},
		{tenantWith(`quota.bytes_in = 10`), `2: tenant.default.quota.bytes_in: got 10; write a size in quotes, such as "16MiB"`},
		{tenantWith(`quota.bytes_out = "-1B"`), `2: tenant.default.quota.bytes_out: -1B is out of range; write 0B to 1024GiB`},
		{tenantWith(`quota.peer_bytes_in = "1B"`), `<nil>`}, // less than a PDU: it is paid for later
		{tenantWith(`quota.bytes = "1B"`), `2: unknown key "tenant.default.quota.bytes"; did you mean "tenant.default.quota.bytes_in"?`},
		{"[quota]\npdus_in = 1", `1: unknown key "quota"; did you mean "tenant.default.quota"?`},
		{"[peer]\nfirst_pdu = \"0s\"", `2: peer.first_pdu: 0s is out of range; write 50ms to 1h`},
	})
}

// A fault in a list that the environment or a flag has set names that source, even if the
// file has the list too.
func TestFaultsOfOverriddenLists(t *testing.T) {
	t.Parallel()
	const path = "c.toml"
	source := listenerWith(`address = "[::1]:1"`, `allow = [`, `"10.0.0.0/8",`, `"10.0.0.0/33"]`, `tenants = [`, `"x"]`) + "[tenant.default]"
	env := []string{"SWITCHYARD_LISTENER__0__ALLOW=10.0.0.1,,10.0.0.1"}
	_, err := load(path, []byte(source), env, map[string]string{"listener.0.tenants": "y"})
	const network = ` is not a network; write an address, with the length of a prefix unless it is only one, such as "10.1.0.0/16" or "10.1.2.3"`
	want := strings.Join([]string{
		path + `:5: listener.0.allow: "10.0.0.0/33"` + network,
		`environment SWITCHYARD_LISTENER__0__ALLOW: listener.0.allow: ""` + network,
		`environment SWITCHYARD_LISTENER__0__ALLOW: listener.0.allow: "10.0.0.1" is listed twice; remove one`,
		`--set listener.0.tenants: listener.0.tenants: unknown tenant "y"; add [tenant.y], or name one of: default`,
	}, "\n")
	if got := fmt.Sprint(err); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// listenerWith returns a [[listener]] with these lines.
func listenerWith(lines ...string) string { return "[[listener]]\n" + strings.Join(lines, "\n") + "\n" }

func tenantWith(lines ...string) string {
	return "[tenant.default]\n" + strings.Join(lines, "\n") + "\n"
}

// claimed returns a listener at which the tenants a and b have these claims.
func claimed(listener, a, b string) string {
	return listenerWith(`address = "[::1]:1"`, `tenants = ["a",`, `"b"]`, listener) +
		"[tenant.a]\nclaims = {" + a + "}\n[tenant.b]\nclaims = {" + b + "}\n[tenant.default]\n"
}
