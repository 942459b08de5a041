package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A signature is about a table and all that it extends, so that a change to what nobody signed is
// refused.
func TestSignatureOfATableThatExtends(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	routes, base, key := filepath.Join(dir, "routes.toml"), filepath.Join(dir, "base.toml"), filepath.Join(dir, "k")
	save := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save(routes, "extends = \"base.toml\"\n[route]\nCID_MSG_DATA = \"broadcast-all\"\n")
	save(base, "extends = \"teamtalk\"\n[route]\nCID_FILE_NOTIFY = \"drop\"\n")
	runHere(t, exitStopped, "policy", "keygen", key)
	runHere(t, exitStopped, "policy", "sign", routes, "--key", key, "--version", "1", "--tenant", "*", "--expires", "1d")
	out, _ := runHere(t, exitStopped, "policy", "verify", routes, "--key", key+".pub")
	text, _ := runHere(t, exitStopped, "policy", "show", routes, "--table")
	sum := sha256.Sum256([]byte(text))
	if want := "sha256   " + hex.EncodeToString(sum[:]); !strings.Contains(out, want) {
		t.Errorf("got\n%s\nwant %s, of\n%s", out, want, text)
	}

	save(base, "extends = \"teamtalk\"\n[route]\nCID_FILE_NOTIFY = \"broadcast-all\"\n")
	if _, stderr := runHere(t, exitData, "policy", "verify", routes, "--key", key+".pub"); !strings.Contains(stderr, "its statement is about "+hex.EncodeToString(sum[:])) {
		t.Errorf("with another base:\n%s", stderr)
	}
	if _, stderr := runHere(t, exitConfig, "policy", "show", routes); !strings.Contains(stderr, "refused at the signature gate") {
		t.Errorf("with another base:\n%s", stderr)
	}
}

// show and diff tell where a row comes from.
func TestWhereRowsComeFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	routes := filepath.Join(dir, "routes.toml")
	if err := os.WriteFile(routes, []byte("extends = \"teamtalk\"\n[route]\nCID_MSG_DATA = \"broadcast-all\"\nelse = \"drop\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	words := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	out, _ := runHere(t, exitStopped, "policy", "show", routes)
	for _, want := range []string{"DECIDED BY FROM", "0x0301 any broadcast-all ids routes.toml:3", "consume ids teamtalk:", "else any drop ids routes.toml:4"} {
		if !strings.Contains(words(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, _ = runHere(t, 1, "policy", "diff", "teamtalk", routes)
	for _, want := range []string{"CID_MSG_DATA any broadcast-except-sender broadcast-all (routes.toml:3)", "else any drop, log drop (routes.toml:4)"} {
		if !strings.Contains(words(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, _ = runHere(t, exitData, "policy", "show", "unicast", "--table")
	if out != "" {
		t.Errorf("a module has the text %q", out)
	}
	runHere(t, exitUsage, "policy", "show", routes, "--table", "--json")
}

// show, diff, eval and check explain the cases of a command.
func TestCasesOfATable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	routes, config := filepath.Join(dir, "routes.toml"), filepath.Join(dir, "config.toml")
	for path, text := range map[string]string{
		routes: "extends = \"teamtalk\"\n[route.CID_MSG_DATA]\n\"msg_type = 1-2\" = \"unicast fields from_user_id to_session_id, not-sender\"\n\"msg_type = 2\" = \"drop\"\nelse = \"broadcast-all\"\n",
		config: "[tenant.default]\npolicy = \"file:routes.toml\"\nmay = [\"handle\", \"consume\", \"broadcast-except-sender\", \"broadcast-all\"]\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	eval := func(msgType string) []string {
		return []string{"policy", "eval", routes, "--command", "CID_MSG_DATA", "--body", "from_user_id=1", "--body", "to_session_id=2", "--body", "msg_id=1",
			"--body", "create_time=1", "--body", "msg_data=x", "--body", "msg_type=" + msgType}
	}
	const never = `routes.toml:4: the case "msg_type = 2" never decides`
	for _, step := range []struct {
		code int
		args []string
		want []string
	}{
		{exitStopped, []string{"policy", "show", routes}, []string{"CID_MSG_DATA 0x0301 any broadcast-all inspecting bodies routes.toml:5",
			"if msg_type = 1-2 unicast fields from_user_id to_session_id not-sender routes.toml:3", "warning: " + never}},
		{1, []string{"policy", "diff", "teamtalk", routes}, []string{"CID_MSG_DATA any broadcast-except-sender if msg_type = 1-2: unicast fields from_user_id to_session_id, not-sender (routes.toml:3); " +
			"else if msg_type = 2: drop (routes.toml:4); else broadcast-all, inspect-body (routes.toml:5)"}},
		{exitStopped, []string{"policy", "diff", routes, routes}, nil},
		{exitStopped, eval("1"), []string{"case msg_type = 1-2 (routes.toml:3)", "verdict unicast fields 1 2, not-sender"}},
		{exitStopped, eval("17"), []string{"case else (routes.toml:5)", "verdict broadcast-all"}},
		{exitStopped, []string{"check", "--config", config}, []string{"tenant default: warning: " + never,
			"warning: unicast fields 1 2, not-sender for CID_MSG_DATA is more than the policy may do"}},
	} {
		out, _ := runHere(t, step.code, step.args...)
		for _, want := range step.want {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
				t.Errorf("%q prints no %q:\n%s", step.args[:2], want, out)
			}
		}
	}
}

// The difference of two tables with cases is known without traffic: other code is not a difference, and
// another case is.
func TestDiffOfCases(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	table := func(name, cases string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("[route.CID_MSG_DATA]\n"+cases+"else = \"drop\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := table("one.toml", "\"msg_type = 1\" = \"close\"\n")
	moved := table("moved.toml", "")
	other := table("other.toml", "\"msg_type = 2\" = \"close\"\n")
	if err := os.WriteFile(moved, []byte("[route]\n0x0999 = \"drop, log\"\n[route.CID_MSG_DATA]\n\"msg_type  =  1\" = \"close\"\nelse = \"drop\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runHere(t, exitStopped, "policy", "diff", one, moved)
	if out, _ := runHere(t, 1, "policy", "diff", one, other); strings.Contains(out, "other code") || !strings.Contains(out, "msg_type = 2") {
		t.Errorf("got\n%s", out)
	}
}
