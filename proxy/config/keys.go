package config

import (
	"math"
	"slices"
	"strconv"

	"switchyard/policy"
	"switchyard/policy/command"
)

// keys returns every key of c, with a listener named by its index. This is the only list
// of keys: file, environment, flags, suggestions, comparisons of a reload, the JSON Schema and the
// manual all use it. A new key has a field in Config, a default in defaults.go, a line here, and a
// comment in config.toml; tests compare them.
func (c *Config) keys() []key {
	return c.keysWith(func(i int) string { return strconv.Itoa(i) })
}

// keysWith returns every key of c, with listeners named by the function: by their index where the file is
// read, and by their address where two configurations are compared. The fields are those of c itself, so
// setting a key changes c.
func (c *Config) keysWith(listener func(i int) string) []key {
	var keys []key
	for i := range c.Listeners {
		keys = append(keys, owned("listener."+listener(i), c.Listeners[i].keys())...)
	}
	for i := range c.Tenants {
		keys = append(keys, owned("tenant."+c.Tenants[i].Name, c.Tenants[i].keys(c.Commands.Custom))...)
	}
	keys = slices.Concat(keys, c.Cluster.keys(), c.Admin.keys(), c.Metrics.keys(), c.Commands.keys())
	return append(keys,
		// A key without restart takes effect with the next reload.
		key{name: "peer.heartbeat", field: &c.Peer.Heartbeat, min: int64(10 * millisecond), max: int64(25 * second)},
		key{name: "peer.timeout", field: &c.Peer.Timeout, min: int64(50 * millisecond), max: int64(hour)},
		key{name: "peer.write_timeout", field: &c.Peer.WriteTimeout, min: int64(50 * millisecond), max: int64(10 * minute)},
		key{name: "peer.max_pdu", field: &c.Peer.MaxPDU, min: 16, max: int64(gibibyte)},
		key{name: "peer.first_pdu", field: &c.Peer.FirstPDU, min: int64(50 * millisecond), max: int64(hour)},
		key{name: "protocol.client_types", field: &c.Protocol.ClientTypes, check: checkClientType},
		key{name: "wasm.module_size", field: &c.WASM.ModuleSize, min: int64(kibibyte), max: int64(64 * mebibyte)},
		key{name: "wasm.memory", field: &c.WASM.Memory, min: int64(64 * kibibyte), max: int64(gibibyte)},
		key{name: "wasm.fuel", field: &c.WASM.Fuel, min: 1000, max: 10_000_000},
		key{name: "wasm.depth", field: &c.WASM.Depth, min: 16, max: 10_000},
		key{name: "wasm.body", field: &c.WASM.Body, min: int64(kibibyte), max: int64(64 * mebibyte)},
		key{name: "wasm.load_time", field: &c.WASM.LoadTime, min: int64(100 * millisecond), max: int64(minute)},
		key{name: "wasm.faults", field: &c.WASM.Faults, check: checkPath, restart: true},
		key{name: "signatures.keys", field: &c.Signatures.Keys, check: checkFile, input: true},
		key{name: "signatures.state", field: &c.Signatures.State, check: checkPath, restart: true},
		key{name: "releases.state", field: &c.Releases.State, check: checkPath, restart: true},
		key{name: "releases.keep", field: &c.Releases.Keep, min: 2, max: 1000, restart: true},
		key{name: "releases.key", field: &c.Releases.Key, check: checkPath, input: true, restart: true},
		key{name: "registry.poll", field: &c.Registry.Poll, min: int64(second), max: int64(30 * minute)},
		key{name: "registry.ca", field: &c.Registry.CA, check: checkPath, input: true},
		key{name: "registry.auth", field: &c.Registry.Auth, check: checkPath, input: true},
		key{name: "reload.watch", field: &c.Reload.Watch},
		key{name: "reload.debounce", field: &c.Reload.Debounce, min: int64(10 * millisecond), max: int64(minute)},
		key{name: "reload.poll", field: &c.Reload.Poll, min: int64(100 * millisecond), max: int64(hour)},
		key{name: "drain.spread", field: &c.Drain.Spread, min: 0, max: int64(hour)},
		key{name: "drain.timeout", field: &c.Drain.Timeout, min: 0, max: int64(hour)},
		key{name: "log.level", field: &c.Log.Level, choices: []string{"debug", "info", "warn", "error"}},
		key{name: "log.access_file", field: &c.Log.AccessFile, check: checkPath},
		key{name: "log.format", field: &c.Log.Format, choices: []string{"auto", "text", "json"}, restart: true},
	)
}

// owned prefixes keys, in place, with the listener or tenant that they belong to.
func owned(owner string, keys []key) []key {
	for i := range keys {
		keys[i].owner = owner
		keys[i].name = owner + "." + keys[i].name
		if keys[i].part != "" {
			keys[i].part = owner + "." + keys[i].part
		}
	}
	return keys
}

// Upper bounds of numbers that have no technical one. They catch typing errors.
const (
	mostConnections = 1_000_000
	mostUsers       = 1<<32 - 1 // as many as there are ids
	mostPDUs        = 1_000_000_000
	mostBytes       = 1024 * gibibyte
)

// keys returns the keys of a listener, without its name in front.
func (l *Listener) keys() []key {
	return append([]key{
		{name: "address", field: &l.Address, check: checkAddress, must: true},
		{name: "tenant", field: &l.Tenant, check: checkTenantName.orNone()},
		{name: "tenants", field: &l.Tenants, check: checkTenantName},
		{name: "allow", field: &l.Allow},
		{name: "insecure_open", field: &l.InsecureOpen},
		{name: "proxy_from", field: &l.ProxyFrom},
		{name: "connections", field: &l.Connections, min: 1, max: mostConnections},
		{name: "source_connections", field: &l.SourceConnections, min: 1, max: mostConnections},
		{name: "accept_rate", field: &l.AcceptRate, min: 0, max: mostConnections},
		{name: "recheck", field: &l.Recheck},
		{name: "handshake_timeout", field: &l.HandshakeTimeout, min: int64(10 * millisecond), max: int64(minute)},
		{name: "congestion_control", field: &l.CongestionControl, check: checkCongestionControl},
		{name: "pacing", field: &l.Pacing},
	}, l.TLS.keys("tls")...)
}

// keys returns the keys of a section about TLS.
func (t *TLS) keys(section string) []key {
	return []key{
		{name: section + ".certificate", field: &t.Certificate, check: checkPath, input: true},
		{name: section + ".key", field: &t.Key, check: checkPath, input: true},
		{name: section + ".client_ca", field: &t.ClientCA, check: checkPath, input: true},
		{name: section + ".crl", field: &t.CRL, check: checkPath, input: true},
		{name: section + ".min_version", field: &t.MinVersion, choices: []string{"1.2", "1.3"}},
	}
}

// keys returns the keys of a section about the connections of a tenant or a group.
func (c *Claims) keys(section string) []key {
	return []key{
		{name: section + ".networks", field: &c.Networks},
		{name: section + ".certificates", field: &c.Certificates, check: checkCertificate},
		{name: section + ".issuers", field: &c.Issuers, check: checkIssuer},
		{name: section + ".server_names", field: &c.ServerNames, check: checkServerName},
	}
}

// keys returns the keys of a tenant, without its name in front. They may name custom commands.
func (t *Tenant) keys(custom command.Custom) []key {
	limits, quota := &t.Limits, &t.Quota
	return append(slices.Concat(t.Release.keys(custom), t.groupKeys(), t.Claims.keys("claims")), []key{
		{name: "policy", field: &t.Policy, check: checkPolicy},
		{name: "policy_config", field: &t.PolicyConfig},
		{name: "policy_sha256", field: &t.PolicySHA256, check: checkSHA256.orNone()},
		{name: "require_signature", field: &t.RequireSignature},
		{name: "insecure_source", field: &t.InsecureSource},
		{name: "downgrade_to", field: &t.DowngradeTo, min: 0, max: math.MaxInt64},
		{name: "audit", field: &t.Audit, check: checkAudit.orNone()},
		{name: "may", field: &t.May, check: checkMay},
		{name: "may_commands", field: &t.MayCommands, check: checkCommand(custom)},
		{name: "may_else", field: &t.MayElse, choices: policy.Fallbacks},
		{name: "cluster", field: &t.Cluster, restart: true},
		{name: "limits.lag_hard", field: &limits.LagHard, min: int64(kibibyte), max: int64(16 * gibibyte)},
		{name: "limits.lag_soft", field: &limits.LagSoft, min: int64(kibibyte), max: int64(16 * gibibyte)},
		{name: "limits.lag_soft_time", field: &limits.LagSoftTime, min: int64(10 * millisecond), max: int64(10 * minute)},
		{name: "limits.connections", field: &limits.Connections, min: 1, max: mostConnections},
		{name: "limits.log", field: &limits.Log, min: int64(kibibyte), max: int64(64 * gibibyte)},
		{name: "limits.users", field: &limits.Users, min: 1, max: mostUsers},
		{name: "limits.peer_users", field: &limits.PeerUsers, min: 1, max: mostUsers},
		{name: "quota.on_breach", field: &quota.OnBreach, choices: []string{"slow", "drop"}},
		{name: "quota.pdus_in", field: &quota.PDUsIn, min: 0, max: mostPDUs},
		{name: "quota.bytes_in", field: &quota.BytesIn, min: 0, max: int64(mostBytes)},
		{name: "quota.bytes_out", field: &quota.BytesOut, min: 0, max: int64(mostBytes)},
		{name: "quota.peer_pdus_in", field: &quota.PeerPDUsIn, min: 0, max: mostPDUs},
		{name: "quota.peer_bytes_in", field: &quota.PeerBytesIn, min: 0, max: int64(mostBytes)},
		{name: "quota.peer_bytes_out", field: &quota.PeerBytesOut, min: 0, max: int64(mostBytes)},
	}...)
}
