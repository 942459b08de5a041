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
