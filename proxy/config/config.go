// Package config reads the configuration, config.toml, into values that nobody
// changes afterwards. It only says what is wanted: it opens no listener, loads no
// policy and applies nothing.
package config

import (
	"encoding/json"
	"path/filepath"
	"strings"
)

// A Config is one configuration, checked and complete. Nobody changes it.
type Config struct {
	Path      string // the file it was read from; empty if there is none
	Admin     Admin
	Listeners []Listener
	Tenants   []Tenant // sorted by name
	Peer      Peer
	WASM      WASM
	Reload    Reload
	Drain     Drain
	Log       Log
}

// Admin is where operators are served.
type Admin struct {
	Address string // host:port on this machine's loopback; empty for nowhere
}

// A Listener is an address at which the peers of one tenant connect.
type Listener struct {
	Address string // host:port; port 0 is any free one
	Tenant  string // the name of one of the tenants
}

// A Tenant is a group of peers with a policy and limits of its own.
type Tenant struct {
	Name         string          // [a-z0-9-]{1,40}
	Policy       string          // a shipped policy's name, or "file:" and a path; see Config.PolicyFile
	PolicyConfig json.RawMessage // a JSON object for the policy; nil if there is nothing in it
	Audit        string          // a policy, as Policy is, to be asked and not obeyed; empty for none
	Limits       Limits
}

// Limits say how far a peer may be behind the tenant's traffic.
type Limits struct {
	LagHard     Size     // bytes at which the peer is closed at once
	LagSoft     Size     // bytes at which it is closed if it stays there for LagSoftTime
	LagSoftTime Duration // at or above LagSoft
}

// Peer is what holds for every connection.
type Peer struct {
	Heartbeat    Duration // nothing sent for this long: send a heartbeat
	Timeout      Duration // nothing received for this long: close
	WriteTimeout Duration // nothing taken for this long while there is something to send: close
	MaxPDU       Size     // largest PDU in bytes, its header included
}

// WASM is what one policy may take.
type WASM struct {
	ModuleSize Size     // size in bytes of the module
	Memory     Size     // linear memory in bytes of one instance, whole pages of 64 KiB
	Fuel       int64    // of one decision; about one unit per function entry and loop turn
	Depth      int64    // nesting of its calls
	Body       Size     // largest body in bytes that it may inspect
	LoadTime   Duration // from compiling to the end of the dry run
	Faults     string   // the folder that keeps what policies failed on; "auto" is one in the user's cache, empty keeps nothing
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

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{
		Admin:     Admin{Address: "127.0.0.1:8280"},
		Listeners: []Listener{{Address: "127.0.0.1:8200", Tenant: "default"}},
		Tenants:   []Tenant{defaultTenant("default")},
		Peer: Peer{
			Heartbeat:    5 * second,
			Timeout:      30 * second,
			WriteTimeout: 20 * second,
			MaxPDU:       16 * mebibyte,
		},
		WASM: WASM{
			ModuleSize: 8 * mebibyte,
			Memory:     16 * mebibyte,
			Fuel:       200_000,
			Depth:      1000,
			Body:       64 * kibibyte,
			LoadTime:   30 * second,
			Faults:     "auto",
		},
		Reload: Reload{Watch: true, Debounce: 150 * millisecond, Poll: 10 * second},
		Drain:  Drain{Timeout: 60 * second},
		Log:    Log{Level: "info", Format: "auto"},
	}
}

func defaultTenant(name string) Tenant {
	return Tenant{
		Name:   name,
		Policy: "teamtalk",
		Limits: Limits{LagHard: 64 * mebibyte, LagSoft: 8 * mebibyte, LagSoftTime: 10 * second},
	}
}

// Tenant returns the tenant of that name, if there is one.
func (c *Config) Tenant(name string) (Tenant, bool) {
	for _, t := range c.Tenants {
		if t.Name == name {
			return t, true
		}
	}
	return Tenant{}, false
}

// filePolicy begins a policy that is a file rather than a shipped one.
const filePolicy = "file:"

// PolicyFile returns the path of a tenant's policy if it is a file. A relative one
// starts at the folder of the configuration's file.
func (c *Config) PolicyFile(policy string) (path string, ok bool) {
	path, ok = strings.CutPrefix(policy, filePolicy)
	if ok && !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(c.Path), path) // Dir("") is "."
	}
	return path, ok
}
