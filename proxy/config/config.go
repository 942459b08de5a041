// Package config reads the configuration, config.toml, into values that nobody
// changes afterwards. It only says what is wanted: it opens no listener, loads no
// policy and applies nothing.
package config

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// A Config is one configuration, checked and complete. Nobody changes it.
type Config struct {
	Path       string // the file it was read from; empty if there is none
	Admin      Admin
	Listeners  []Listener
	Tenants    []Tenant // sorted by name
	Peer       Peer
	WASM       WASM
	Signatures Signatures
	Reload     Reload
	Drain      Drain
	Log        Log
}

// Admin is where operators are served.
type Admin struct {
	Address          string // host:port on this machine's loopback; empty for nowhere
	Socket           string // path of a Unix socket, as of Config.File; empty for none
	ReadTokenFile    string // file with the token for reading, likewise; empty if reading by Address needs none
	OperateTokenFile string // file with the token for operating, likewise; empty if nobody operates by Address
	PProf            bool   // Go's profiles can be read
}

// A Listener is an address at which peers connect.
type Listener struct {
	Name              string         // its address however that is spelled, so that it is known again after a reload; see Config.nameListeners
	Address           string         // host:port; port 0 is any free one
	Tenant            string         // who serves the connections that no tenant claims; empty refuses them
	Tenants           []string       // tenants that may claim connections
	Allow             []netip.Prefix // sources that may connect; nil for everybody
	InsecureOpen      bool           // it is meant that everybody may connect from other machines
	ProxyFrom         []netip.Prefix // sources that must begin with a PROXY header, and are believed
	Connections       int64          // at once, handshakes included
	SourceConnections int64          // at once from one source address
	AcceptRate        int64          // per second from one source address; 0 is any
	HandshakeTimeout  Duration       // for PROXY header and TLS handshake together
	CongestionControl string         // of TCP, by the kernel's name; empty for the system's
	TLS               TLS
}

// TLS is what a listener's handshakes are made with. Paths are relative to the
// configuration's file, see Config.File.
type TLS struct {
	Certificate string // PEM file with the chain; empty for plain TCP
	Key         string // PEM file
	ClientCA    string // PEM file of those who vouch for clients; empty if clients need no certificate
	MinVersion  string // 1.2 or 1.3
}

// A Tenant is a group of peers with a policy and limits of its own.
type Tenant struct {
	Name             string          // [a-z0-9-]{1,40}
	Policy           string          // a shipped policy's name, or "file:" and a path; see Config.PolicyFile
	PolicyConfig     json.RawMessage // a JSON object for the policy; nil if there is nothing in it
	PolicySHA256     string          // of the policy's file, or of a shipped one's module, 64 hex digits in lower case; empty for any
	RequireSignature bool            // refuse a policy without a valid signature
	DowngradeTo      int64           // a signed version below the highest seen that may be loaded; 0 for none
	Audit            string          // a policy, as Policy is, to be asked and not obeyed; empty for none
	May              []string        // actions, and "handle" with a handler, that the policy may use; nil for all
	MayCommands      []string        // commands whose PDUs it may do more with than drop; nil for all
	MayElse          string          // the action for a PDU whose verdict is outside of those
	Claims           Claims
	Limits           Limits
	Quota            Quota
}

// Claims say which connections are the tenant's at a listener that names it in its
// Tenants. Every kind that is not nil must match, by one of its members.
type Claims struct {
	Networks     []netip.Prefix // of sources
	Certificates []string       // patterns: "cn:", "dns:", "uri:" or "email:" and what the client's certificate has there
	ServerNames  []string       // that the client asked for by TLS: "acme.example" or "*.acme.example"
}

// Limits say how much memory a tenant's peers may take, and how far each may be behind.
type Limits struct {
	LagHard     Size     // bytes at which the peer is closed at once
	LagSoft     Size     // bytes at which it is closed if it stays there for LagSoftTime
	LagSoftTime Duration // at or above LagSoft
	Connections int64    // at once
	Log         Size     // bytes of the logs and of the edits of all seats together
	Users       int64    // presence entries
	PeerUsers   int64    // presence entries of one peer
}

// Quota is what may pass in a second; 0 is unlimited.
type Quota struct {
	OnBreach     string // slow: the sender's reads pause; drop: its PDUs are dropped
	PDUsIn       int64  // from all peers together
	BytesIn      Size   // likewise
	BytesOut     Size   // to all peers together, after fan-out
	PeerPDUsIn   int64  // from one peer
	PeerBytesIn  Size   // likewise
	PeerBytesOut Size   // to one peer
}

// Peer is what holds for every connection.
type Peer struct {
	Heartbeat    Duration // nothing sent for this long: send a heartbeat
	Timeout      Duration // nothing received for this long: close
	WriteTimeout Duration // nothing taken for this long while there is something to send: close
	MaxPDU       Size     // largest PDU in bytes, its header included
	FirstPDU     Duration // from connecting; first PDU not whole by then: close
}

// WASM is what one policy may take.
type WASM struct {
	ModuleSize Size     // size in bytes of the module
	Memory     Size     // linear memory in bytes of one instance, whole pages of 64 KiB
	Fuel       int64    // of one decision; about one unit per function entry and loop turn
	Depth      int64    // nesting of its calls
	Body       Size     // largest body in bytes that it may inspect
	LoadTime   Duration // CPU time, of all gates
	Faults     string   // the folder that keeps what policies failed on; "auto" is one in the user's cache, empty keeps nothing
}

// Signatures say whose word on a policy counts.
type Signatures struct {
	Keys  []string // PEM files with ed25519 public keys; paths as of Config.File
	State string   // the folder that remembers the highest signed versions; "auto" is one in the user's cache, empty forgets at exit
}

// Reload says how changed files are noticed.
type Reload struct {
	Watch    bool     // false: only when asked to
	Debounce Duration // quiet time after a change before it is looked at
	Poll     Duration // between looks that do not wait for a notification
}

// Drain is how to stop.
type Drain struct {
	Timeout Duration // to write what is due; zero closes at once
}

// Log is what is logged and how.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // auto, text or json
}

// Tenant returns the tenant of that name, if there is one.
func (c *Config) Tenant(name string) (Tenant, bool) {
	i, ok := slices.BinarySearchFunc(c.Tenants, name, func(t Tenant, name string) int { return strings.Compare(t.Name, name) })
	if !ok {
		return Tenant{}, false
	}
	return c.Tenants[i], true
}

// filePolicy begins a policy that is a file rather than a shipped one.
const filePolicy = "file:"

// PolicyFile returns the path of a tenant's policy if it is a file. A relative one
// starts at the folder of the configuration's file.
func (c *Config) PolicyFile(policy string) (path string, ok bool) {
	path, ok = strings.CutPrefix(policy, filePolicy)
	if ok {
		path = c.File(path)
	}
	return path, ok
}

// File returns where a path of the configuration leads: a relative one starts at the
// folder of the configuration's file, and an empty one stays empty.
func (c *Config) File(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.Path), path) // Dir("") is "."
}
