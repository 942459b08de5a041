package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// leaves calls do with every command that does something itself.
func leaves(c *cobra.Command, do func(*cobra.Command)) {
	for _, sub := range c.Commands() {
		leaves(sub, do)
	}
	if c.Runnable() && (!c.HasSubCommands() || c.Flags().Lookup("json") != nil) {
		do(c)
	}
}

// Every command that prints can print JSON, and every command that asks a server can be told which.
func TestFlagsOfEveryCommand(t *testing.T) {
	neither := []string{"serve", "demo", "manual", "schema", "wireshark", "completion", "help"} // they print files for other programs, or nothing that ends
	local := []string{"check", "version", "replay", "send", "context", "policy", "msgserver", "cert"}
	asks := []string{"policy status", "policy history", "policy receipt", "policy promote", "policy pause", "policy resume", "policy rollback", "policy retry", "policy kill", "policy revive"}
	seen := 0
	leaves(rootCommand(nil, io.Discard, io.Discard), func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "switchyard ")
		first, _, _ := strings.Cut(name, " ")
		if c.Hidden || !c.HasParent() || slices.Contains(neither, first) {
			return
		}
		seen++
		if c.Flags().Lookup("json") == nil {
			t.Errorf("%s has no --json", name)
		}
		want := slices.Contains(asks, name) || !slices.Contains(local, first)
		for _, flag := range []string{"server", "context", "token-file"} {
			if has := c.Flags().Lookup(flag) != nil; has != want && first != "context" {
				t.Errorf("%s has --%s is %v, want %v", name, flag, has, want)
			}
		}
	})
	if seen < 40 {
		t.Errorf("saw %d commands", seen)
	}
}

// What a command prints with --json is one object, and so is its error.
func TestJSONOutput(t *testing.T) {
	const keygen = "policy keygen a.key"
	dir := t.TempDir()
	t.Chdir(dir)
	save(t, dir, "config.toml", "[tenant.default]\npolicy = \"teamtalk\"\n")
	save(t, dir, "broken.toml", "[tenant.default]\npolicy = \"teamtal\"\n[tennant.x]\n")
	save(t, dir, "routes.toml", "[route]\nCID_MSG_DATA = \"drop\"\n")
	for _, c := range []struct {
		command string
		code    int
		has     string // in the output, or in the error
	}{
		{"version", exitStopped, `"policy_abi": "switchyard_abi_v1"`},
		{"check", exitStopped, `"sound": true`},
		{"check --config broken.toml", exitConfig, `unknown key`},
		{keygen, exitStopped, `"public": "a.key.pub"`},
		{"policy sign routes.toml --key a.key --version 1 --tenant default --expires 9d", exitStopped, `"version": 1`},
		{"policy build routes.toml", exitStopped, `"file": "routes.wasm"`},
		{"policy build nosuch.toml", exitData, `nosuch.toml`},
		{"policy new --lang cobol mine", exitUsage, `there is no language`},
		{"policy new --lang c mine", exitStopped, `"folder": "mine"`},
		{"policy fmt routes.toml", exitStopped, `"files": []`},
		{"policy eval teamtalk --command CID_MSG_DATA --session 17", exitStopped, `"session": 17`},
		{"cert dev certs", exitStopped, `"configuration": `},
		{"context list", exitStopped, `"contexts": [`},
		{"health --address 127.0.0.1:1", exitUnavailable, `127.0.0.1:1`},
		{"tenants --no-such-flag", exitUsage, `unknown flag: --no-such-flag`},
		{"tenants --server http://hub:1", exitUsage, `without TLS`},
	} {
		t.Run(c.command, func(t *testing.T) {
			if c.command != keygen { // another command reads the key
				t.Parallel()
			}
			var stdout, stderr bytes.Buffer
			code := run(append(strings.Fields(c.command), "--json"), []string{"HOME=" + dir, "XDG_CACHE_HOME=" + dir}, &stdout, &stderr)
			text := stdout.String() + stderr.String()
			if code != c.code || !strings.Contains(text, c.has) {
				t.Errorf("exit code %d, %s; want %d and %s", code, text, c.code, c.has)
			}
			if stdout.Len() > 0 && !json.Valid(stdout.Bytes()) {
				t.Errorf("it prints %s", stdout.String())
			}
			var fault jsonError
			if code != exitStopped && (json.Unmarshal(stderr.Bytes(), &fault) != nil || fault.ExitCode != code || fault.Error == "") {
				t.Errorf("its error is %s", stderr.String())
			}
		})
	}
}
