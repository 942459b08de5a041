//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"switchyard/cmd/yardbench/hostile"
)

// A saver holds the files that the hub of a soak reads, and keeps saving them: policies
// that trap, loop and grow, damaged modules, tables, and the configuration. Each save is a load, a
// refusal or a swap, so twenty minutes have some thousand of them.
type saver struct {
	dir     string
	modules []string // paths of policies, sound and hostile ones

	// Owned by saveAll.
	saved, reloads int
}

// The files, in dir.
const (
	configFile = "config.toml"
	moduleFile = "policy.wasm"
	tableFile  = "routes.toml"
	socketFile = "admin.sock"
)

// newSaver finds the modules of the repository's tests, and writes the first files to dir.
func newSaver(root, dir string) (*saver, error) {
	s := &saver{dir: dir}
	for _, pattern := range []string{"policy/wasm/testdata/*.wasm", "plugins/sdk/conformance/testdata/*.wasm", "plugins/*/*.wasm"} {
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("find policies: %s has none (%v); run this in Switchyard's repository", pattern, err)
		}
		s.modules = append(s.modules, found...)
	}
	sound, err := os.ReadFile(filepath.Join(root, "plugins", "teamtalk", "teamtalk.wasm"))
	if err != nil {
		return nil, fmt.Errorf("read a policy: %w", err)
	}
	for name, text := range map[string]string{moduleFile: string(sound), tableFile: tables[0], configFile: s.config(0)} {
		if err := s.save(name, []byte(text)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *saver) configuration() string { return filepath.Join(s.dir, configFile) }
func (s *saver) socket() string        { return filepath.Join(s.dir, socketFile) }

// save replaces a file as editors do: it writes another one, which takes its name.
func (s *saver) save(name string, content []byte) error {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return fmt.Errorf("save for the hub: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("save for the hub: %w", err)
	}
	return nil
}

// saveAll saves a file every second until ctx is done: modules in turn, of every eighth only
// a part; sometimes a table; every tenth time the configuration.
func (s *saver) saveAll(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var err error
		switch {
		case n%10 == 9:
			s.reloads++
			err = s.save(configFile, []byte(s.config(s.reloads)))
		case n%3 == 2:
			err = s.save(tableFile, []byte(tables[n/3%len(tables)]))
		default:
			err = s.saveModule(n)
		}
		if err == nil {
			s.saved++
		}
	}
}

// saveModule saves module n. A custom section makes each save one that was never seen.
func (s *saver) saveModule(n int) error {
	module, err := os.ReadFile(s.modules[n%len(s.modules)])
	if err != nil {
		return err
	}
	if n%8 == 7 {
		module = module[:rand.IntN(len(module))]
	}
	mark := fmt.Sprintf("\x04soak%08d", n)
	return s.save(moduleFile, slices.Concat(module, []byte{0, byte(len(mark))}, []byte(mark)))
}

// tables are tables of routes, the first ones without a fault.
var tables = []string{
	`[route]
CID_MSG_DATA = "broadcast-except-sender"
CID_OTHER_ONLINE_USER_INFO = "handle online-user-info"
CID_OTHER_USER_STATUS_UPDATE = "handle user-status-update"
CID_BUDDY_LIST_USERS_STATUS_REQUEST = "handle users-status-request"
CID_OTHER_HEARTBEAT = "consume"
else = "drop, log"
`,
	`[route]
CID_OTHER_ONLINE_USER_INFO = "handle online-user-info"
CID_OTHER_USER_STATUS_UPDATE = "handle user-status-update"
CID_MSG_DATA = "unicast fields to_session_id"
else = "broadcast-all"
`,
	"[route]\nelse = \"close\"\n",
	"[route]\nCID_NO_SUCH_COMMAND = \"consume\"\nelse = \"drop\"\n",
	"[route\n",
	"",
}

// config returns the configuration. Each reload changes a quota, and every other one adds or removes
// a tenant, so that all parts of a reload happen often. Tenants are told apart by their source
// address, which each of the hostile ones has of its own.
func (s *saver) config(reload int) string {
	var b strings.Builder
	names := []string{}
	tenant := func(name, source, policy, limits string) {
		names = append(names, fmt.Sprintf("%q", name))
		fmt.Fprintf(&b, "[tenant.%s]\npolicy = %q\nclaims.networks = [%q]\n%s", name, policy, source, limits)
	}
	for _, t := range hostile.Tenants {
		policy := "teamtalk"
		switch t.Name {
		case "modules":
			policy = "file:" + moduleFile
		case "tables":
			policy = "file:" + tableFile
		}
		tenant(t.Name, t.Source, policy, t.Limits+fmt.Sprintf("quota.peer_pdus_in = %d\n", 50_000+reload%2))
	}
	if reload%4 < 2 {
		tenant("sometimes", "127.0.0.8", "unicast", "")
	}
	return fmt.Sprintf(`
[[listener]]
tenant = "neighbour"
tenants = [%s]
source_connections = 300
[admin]
address = ""
socket = %q
[wasm]
faults = %q
[signatures]
state = ""
[log]
level = "error"
[tenant.neighbour]
%s`, strings.Join(names, ", "), s.socket(), filepath.Join(s.dir, "faults"), b.String())
}
