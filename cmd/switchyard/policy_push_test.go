package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// What no server could use is not pushed, and no registry is asked.
func TestPolicyPushRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save(t, dir, "config.toml", "[log]\nlevel = \"info\"\n")
	save(t, dir, "routes.toml", savedTable("drop"))
	save(t, dir, "bad.toml", "[route]\nelse = \"drp\"\n")
	file := filepath.Join(dir, "routes.toml")
	runIn(t, dir, 0, "policy", "keygen", filepath.Join(dir, "key"))
	const place = "oci://127.0.0.1:1/acme/routes:stable"
	push := func(want int, text string, args ...string) {
		t.Helper()
		if _, stderr := runIn(t, dir, want, append([]string{"policy", "push"}, args...)...); !strings.Contains(stderr, text) {
			t.Errorf("%q: %s; want %q", args, stderr, text)
		}
	}
	push(exitUsage, "is not a place in a registry", file, "https://127.0.0.1:1/routes.toml")
	push(exitUsage, "is not a place in a registry", file, "oci://127.0.0.1:1/routes@sha256:"+strings.Repeat("0", 64))
	push(exitUsage, "is shipped with Switchyard; name a file", "teamtalk", place)
	push(exitUsage, "needs an ADDRESS", file)
	push(exitConfig, "refused at the table gate", filepath.Join(dir, "bad.toml"), place)
	sign := func(more ...string) {
		t.Helper()
		runIn(t, dir, 0, append([]string{"policy", "sign", file, "--key", filepath.Join(dir, "key"), "--version", "1", "--tenant", "*", "--expires", "1d"}, more...)...)
	}
	sign()
	push(exitData, `a policy named "routes.toml", and this repository is named "routes"; sign it with --name routes`, file, place)
	sign("--name", "routes")
	push(exitUnavailable, "connection refused", file, place)
	save(t, dir, "routes.toml", savedTable("broadcast-all"))
	push(exitData, "its signature is about another content", file, place)
}

// The other commands do not fetch a policy.
func TestCommandsDoNotFetch(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if code := run([]string{"policy", "show", "https://127.0.0.1:1/routes.toml"}, nil, &out, &out); code != exitConfig || !strings.Contains(out.String(), "download it, and name the file") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}
