//go:build full

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"switchyard/plugins/scaffold"
	"switchyard/plugins/toolchain"
)

// The ten minutes of docs/releases.md: the configuration, the good and the bad change that it shows
// do what it says.
func TestWalkOfReleases(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/releases.md")
	if err != nil {
		t.Fatal(err)
	}
	found := func(pattern string) string {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(string(text))
		if m == nil {
			t.Fatalf("docs/releases.md has no %s", pattern)
		}
		return m[1]
	}
	more := strings.ReplaceAll(found(`printf '(.*)' >> config.toml`), `\n`, "\n")
	parent := t.TempDir()
	if err := scaffold.New(parent, "mine", toolchain.Table); err != nil { // as policy new does
		t.Fatal(err)
	}
	r := &released{T: t, dir: filepath.Join(parent, "mine")}
	change := func(name string, edit func(string) string) {
		t.Helper()
		old, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		now := edit(string(old))
		if now == string(old) {
			t.Fatalf("%s stays the same", name)
		}
		replace(t, filepath.Join(r.dir, name), now)
	}
	route := func(command string) {
		t.Helper()
		line := found("(?m)^ +(" + command + " = .*)$")
		change("routes.toml", func(old string) string { return regexp.MustCompile("(?m)^"+command+" .*$").ReplaceAllString(old, line) })
	}
	change("config.toml", func(old string) string { return old + more })
	r.restart()
	route("CID_MSG_READ_NOTIFY")
	r.expect("release begins", `"commands":"CID_MSG_READ_NOTIFY"`)
	route("CID_MSG_DATA")
	r.expect("release superseded")
	r.expect("release begins", `"commands":"CID_MSG_DATA, CID_MSG_READ_NOTIFY"`)
	if got := r.chat(30); got != 30 {
		t.Errorf("%d of 30 chats arrive", got)
	}
	r.expect("release rolled back", "undelivered: ", " PDUs, and 0.1 % are allowed", `"judged_by_candidate":0`)
	if out := r.command(0, "status"); !strings.Contains(out, "not as configured: rolled-back") {
		t.Errorf("status: %s", out)
	}
	r.command(0, "receipt", "2")
	r.command(0, "history")
}
