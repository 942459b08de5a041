//go:build full || race

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const twoCases = "[peers]\na = {}\nb = {}\n" +
	"[[case]]\nname = \"passes\"\ncommand = \"CID_MSG_DATA\"\nfrom = \"a\"\nexpect = { action = \"broadcast-except-sender\", fault = \"fuel\" }\n" +
	"[[case]]\nname = \"fails\"\ncommand = \"CID_MSG_DATA\"\nfrom = \"a\"\nexpect = { action = \"drop\", fault = \"fuel\" }\n"

// What a policy logs is below the case about which it does, and below those that pass with
// --verbose; however much that is, each case has its own.
func TestLogOfCases(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save(t, dir, "cases.toml", twoCases)
	guest := "../../policy/wasm/testdata/log_flood.wasm" // logs until its fuel ends
	test := func(flags ...string) (stdout, stderr string) {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(append([]string{"policy", "test", guest, filepath.Join(dir, "cases.toml")}, flags...), nil, &out, &errs); code != exitForced {
			t.Errorf("exit code %d, %s", code, errs.String())
		}
		return out.String(), errs.String()
	}
	const line = "\tlog: warn: to be or not to be"
	quiet, stderr := test()
	loud, _ := test("--verbose")
	_, failed, _ := strings.Cut(quiet, "FAIL ")
	if n := strings.Count(failed, line); n < 40 || n > mostLines || strings.Contains(quiet, "PASS") || strings.Contains(stderr, "to be or not to be") {
		t.Errorf("%d lines are below the case that failed:\n%s%s", n, quiet, stderr)
	}
	if n := strings.Count(quiet, line); strings.Count(loud, line) != 2*n || !strings.Contains(loud, "PASS ") {
		t.Errorf("with --verbose there are %d lines, want %d:\n%s", strings.Count(loud, line), 2*n, loud)
	}
	if asJSON, _ := test("--json"); strings.Count(asJSON, `"warn: to be or not to be`) < 80 {
		t.Errorf("the JSON has %s", asJSON)
	}
}

// policy test --watch runs the cases again when the table or the cases change, and ends with 0 at
// Ctrl-C.
func TestPolicyTestWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save(t, dir, "routes.toml", "[route]\nCID_MSG_DATA = \"drop\"\n")
	save(t, dir, "cases.toml", "[peers]\na = {}\nb = {}\n[[case]]\nname = \"one\"\ncommand = \"CID_MSG_DATA\"\nfrom = \"a\"\nexpect = { action = \"drop\" }\n")
	var out lockedBuffer
	cmd := asCommandHere(t, "policy", "test", "routes.toml", "cases.toml", "--watch")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	begin(t, cmd)
	await := func(want string) {
		t.Helper()
		eventually(t, func() bool { return strings.Contains(out.String(), want) }, out.String)
	}
	await("1 passed, 0 failed")
	await("watching 2 files; Ctrl-C ends it\n")
	save(t, dir, "routes.toml", "[route]\nCID_MSG_DATA = \"broadcast-all\"\n")
	await("routes.toml changed\nFAIL cases.toml:4: one")
	save(t, dir, "routes.toml", "[route]\nCID_MSG_DAT = \"drop\"\n")
	await("switchyard: policy \"file:routes.toml\" refused at the table gate: routes.toml:2: unknown command")
	if err := cmd.Process.Signal(os.Signal(syscall.SIGINT)); err != nil {
		t.Fatal(err)
	}
	ended(t, cmd, exitStopped)
}
