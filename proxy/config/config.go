// Package config reads and checks the configuration, config.toml. It opens no listener,
// loads no policy and applies nothing.
//
// A value goes through the files in this order:
//
//	load.go        reads the layers: defaults.go, the file, overrides.go
//	keys.go        finds the key of that name; suggest.go the nearest one
//	key.go         converts the value: values.go, lists.go, json.go
//	words.go       checks it by itself, as the other files do for the keys of their section
//	check.go       checks what several values mean together
//	config.go      has the result
//
// After that, changes.go compares two configurations for a reload, and reference.go describes every key
// for manuals and editors.
package config

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// A Config is a configuration, checked and complete. It is immutable.
type Config struct {
	Path       string // the file it was read from; empty for the defaults
	Admin      Admin
	Metrics    Metrics
	Listeners  []Listener
	Tenants    []Tenant // sorted by name
	Peer       Peer
	Protocol   Protocol
	Commands   Commands
	WASM       WASM
	Signatures Signatures
	Releases   Releases
	Registry   Registry
	Reload     Reload
	Drain      Drain
	Cluster    Cluster
	Log        Log

	places map[string]Place // where keys and sections were set
}

// Admin is the admin interface: where it listens and which tokens it takes.
type Admin struct {
	Address          string // host:port; empty for none
	Socket           string // path of a Unix socket, see Config.File; empty for none
	ReadTokenFile    string // file with the token for reading over Address; empty if none is needed
	OperateTokenFile string // file with the token for operating over Address; empty to disable that
	PProf            bool   // serve Go's profiles
	TLS              TLS    // of Address; without a certificate it is plain, and a loopback address
}

// Metrics is an address at which Prometheus reads, apart from the admin interface.
type Metrics struct {
	Address   string         // host:port; empty for none
	Allow     []netip.Prefix // sources that may read; nil for all
	TokenFile string         // file with the token for reading, see Config.File; empty if none is needed
	TLS       TLS
}

// A Listener is an address at which peers connect.
type Listener struct {
	Name              string         // its address in one spelling, by which a reload recognizes it; see Config.nameListeners
	Address           string         // host:port; port 0 is any free one
	Tenant            string         // the tenant of connections that no other claims; empty refuses them
	Tenants           []string       // tenants that may claim connections
	Allow             []netip.Prefix // sources that may connect; nil for all
	InsecureOpen      bool           // confirms that all sources may connect from other machines
	ProxyFrom         []netip.Prefix // trusted proxies, whose connections must begin with a PROXY header
	Connections       int64          // at the same time, handshakes included
	SourceConnections int64          // at the same time from one source address
	AcceptRate        int64          // per second from one source address; 0 is unlimited
	Recheck           bool           // end open connections that would no longer be accepted
	HandshakeTimeout  Duration       // for PROXY header and TLS handshake together
	Pacing            bool           // of what goes to peers that may be msg_servers
	CongestionControl string         // of TCP, by the kernel's name; empty for the system's default
	TLS               TLS
}

// TLS configures a listener's TLS handshakes. Paths are relative to the configuration's
// file, see Config.File.
type TLS struct {
	Certificate string // PEM file with the chain; empty for plain TCP
	Key         string // PEM file
	ClientCA    string // PEM file of the CAs that sign client certificates; empty if clients need none
	CRL         string // PEM file of the lists of certificates that those CAs have revoked; empty for none
	MinVersion  string // 1.2 or 1.3
}

// A Tenant is a group of peers with a policy and limits of its own.
type Tenant struct {
	Name             string          // [a-z0-9-]{1,40}
	Policy           string          // a shipped policy's name, "file:" and a path (see Config.PolicyFile), or an address
	PolicyConfig     json.RawMessage // a JSON object for the policy; nil if it is empty
	PolicySHA256     string          // of the policy's file, or of a shipped policy's module: 64 lower-case hex digits; empty for any
	RequireSignature bool            // refuse a policy without a valid signature
	InsecureSource   bool            // a policy from an address needs neither PolicySHA256 nor RequireSignature
	DowngradeTo      int64           // a signed version that may be loaded although a higher one was seen; 0 for none
	Audit            string          // a policy, as in Policy but no address, whose verdicts are only compared; empty for none
	May              []string        // actions, and "handle" with a handler, that the policy may use; nil for all
	MayCommands      []string        // commands that the policy may do more with than drop them; nil for all
	MayElse          string          // the action for a PDU whose verdict exceeds these limits
	Cluster          bool            // in a cluster: acts as one with this tenant at the other hubs
	Claims           Claims
	Groups           []Group // sorted by name
	Limits           Limits
	Quota            Quota
	Release          Release
}

// A Release says how a changed policy of a tenant comes into force.
type Release struct {
	Mode        string   // at-once, staged or manual
	Shadow      bool     // begin with a state that compares and obeys the stable policy only
	Stages      []string // shares of the units, as "1%", each above the one before; see Percent
	Hold        Duration // least time of the shadow and of each stage
	Sample      int64    // least number of compared PDUs in each of them
	MaxWait     Duration // after which OnQuiet is done if there were fewer
	OnQuiet     string   // pause, proceed or roll-back
	Unit        string   // user or connection
	Bake        Duration // in which the candidate is obeyed for all, and still compared
	Warm        Duration // for which the previous policy stays loaded
	OnSuspicion string   // pause, roll-back or ignore
	OnRestart   string   // resume or roll-back
	Presence    string   // refuse or at-once
	Accept      []string // commands that are meant to change
	ShadowFuel  int64    // fuel in a second for the policy that is not obeyed
	Budget      ReleaseBudget
}

// A ReleaseBudget is how much worse than the policy in force a candidate may be.
type ReleaseBudget struct {
	Faults      string // rate, as "0%"; see Percent
	Closes      string // rate
	Undelivered string // rate
	Copies      string // how much more, as "+25%"; see More
	Bytes       string // how much more
	Fuel        string // how many times as much, as "x4"; see Times
}

// Claims select the connections of a tenant at the listeners that have it in Tenants.
// Every list that is not nil must match, by one of its members.
type Claims struct {
	Networks     []netip.Prefix // of sources
	Certificates []string       // patterns of names in the client's certificate: "cn:", "dns:", "uri:" or "email:" and the name
	Issuers      []string       // SHA-256 of the certificates of CAs, one of which must vouch for the client's
	ServerNames  []string       // that the client asks for in the TLS handshake: "acme.example" or "*.acme.example"
}

// A Group is a group of a tenant's peers, for rules of policies. A peer may be in several.
type Group struct {
	Name       string // see policy.CheckGroupName
	Claims            // which connections are those of its peers
	Broadcasts bool   // its peers get broadcasts
}

// Limits bound the memory that a tenant's peers may take, and how far each may lag.
type Limits struct {
	LagHard     Size     // bytes at which the peer is closed immediately
	LagSoft     Size     // bytes at which the peer is closed if it lags that far for LagSoftTime
	LagSoftTime Duration // see LagSoft
	Connections int64    // at the same time
	Log         Size     // bytes of both logs and of the edits of all seats together
	Users       int64    // presence entries
	PeerUsers   int64    // presence entries of one peer
}

// Quota limits what may pass in a second; 0 is unlimited.
type Quota struct {
	OnBreach     string // slow: the sender's reads pause; drop: its PDUs are dropped
	PDUsIn       int64  // from all peers together
	BytesIn      Size   // from all peers together
	BytesOut     Size   // to all peers together, after fan-out
	PeerPDUsIn   int64  // from one peer
	PeerBytesIn  Size   // from one peer
	PeerBytesOut Size   // to one peer
}

// Peer has the timeouts and limits of every connection.
type Peer struct {
	Heartbeat    Duration // send a heartbeat after this long without sending
	Timeout      Duration // close after this long without receiving
	WriteTimeout Duration // close after the peer has taken nothing for this long while something was due
	MaxPDU       Size     // size in bytes of the largest PDU, with its header
	FirstPDU     Duration // close if the first PDU is not complete this long after connecting
}

// Protocol says what is accepted beyond the original's protocol.
type Protocol struct {
	ClientTypes []string // of users' clients: "pc" or "mobile", and a number; see Protocol.Clients
}

// WASM limits what one policy may take.
type WASM struct {
	ModuleSize Size     // size in bytes of the module
	Memory     Size     // linear memory in bytes of one instance, whole pages of 64 KiB
	Fuel       int64    // of one decision; see docs/abi.md
	Depth      int64    // of nested calls
	Body       Size     // size in bytes of the largest body that the policy may inspect
	LoadTime   Duration // CPU time, of all gates
	Faults     string   // the folder for the questions on which policies failed; "auto" is one in the user's cache, empty keeps nothing
}

// Signatures says which keys may sign policies.
type Signatures struct {
	Keys  []string // PEM files with ed25519 public keys, see Config.File
	State string   // the folder that keeps the highest signed versions; "auto" is one in the user's cache, empty keeps them in memory
}

// Releases says where the history of policies is kept.
type Releases struct {
	State string // the folder of the history and of policies that were in force; "auto" is one in the user's cache, empty keeps them in memory
	Keep  int64  // policies for each tenant that can be brought back
	Key   string // file with the private key that signs receipts; empty for none
}

// Registry says how policies are fetched from addresses.
type Registry struct {
	Poll Duration // how often each is asked for a new content
	CA   string   // PEM file of CAs that vouch for those machines, beside the system's; empty for none
	Auth string   // file with credentials by host, in docker's format; empty for none
}

// Reload configures how changed files are noticed.
type Reload struct {
	Watch    bool     // reload on changes, and not only on request
	Debounce Duration // quiet time after a change before the files are read
	Poll     Duration // interval of checks without a notification
}

// Drain configures a graceful stop.
type Drain struct {
	Spread  Duration // over which connections are closed; zero closes all at once
	Timeout Duration // for writing what is due; zero closes immediately
}

// Log configures what is logged and how.
type Log struct {
	Level      string // debug, info, warn or error
	Format     string // auto, text or json
	AccessFile string // that gets a line for each connection, see Config.File; empty for none
}

// Tenant returns the tenant of that name.
func (c *Config) Tenant(name string) (Tenant, bool) {
	i, ok := slices.BinarySearchFunc(c.Tenants, name, func(t Tenant, name string) int { return strings.Compare(t.Name, name) })
	if !ok {
		return Tenant{}, false
	}
	return c.Tenants[i], true
}

// filePolicy is the prefix of a policy that is a file and not a shipped one.
const filePolicy = "file:"

// PolicyFile returns the path of a policy that is a file, resolved as Config.File does.
func (c *Config) PolicyFile(policy string) (path string, ok bool) {
	path, ok = strings.CutPrefix(policy, filePolicy)
	if ok {
		path = c.File(path)
	}
	return path, ok
}

// A KeyFile is a file that a key names.
type KeyFile struct {
	Key  string // as in "listener.0.tls.key"
	Path string // resolved as Config.File does
}

// Inputs returns the files that the keys name and the server reads.
func (c *Config) Inputs() (all []KeyFile) {
	add := func(key, path string) {
		if path != "" {
			all = append(all, KeyFile{key, c.File(path)})
		}
	}
	for _, k := range c.keys() {
		if !k.input {
			continue
		}
		switch field := k.field.(type) {
		case *string:
			add(k.name, *field)
		case *[]string:
			for _, path := range *field {
				add(k.name, path)
			}
		}
	}
	for _, t := range c.Tenants {
		for key, policy := range map[string]string{"policy": t.Policy, "audit": t.Audit} {
			if path, ok := strings.CutPrefix(policy, filePolicy); ok {
				add("tenant."+t.Name+"."+key, path)
			}
		}
	}
	return all
}

// Place returns where the first of the keys that was set was set, for faults that only the server finds.
func (c *Config) Place(keys ...string) Place {
	for _, key := range keys {
		if place, ok := c.places[key]; ok {
			return place
		}
	}
	if c.Path == "" {
		return Place{Source: "defaults"}
	}
	return Place{Source: c.Path}
}

// File resolves a path of the configuration: a relative path starts at the folder of the
// configuration's file. An empty path stays empty.
func (c *Config) File(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.Path), path) // Dir("") is "."
}
