//go:build full || race

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A token file or the user's own socket gives the right to read.
func TestTopShowsAToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := map[string]string{
		"right":       "sesame-sesame-sesame\n",
		"other.toml":  "[log]\nlevel = \"info\"\n",
		"wrong":       "please-please-please\n",
		"config.toml": "[admin]\nread_token_file = \"right\"\nsocket = \"s\"\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, dir)
	for _, c := range []struct {
		name string
		args []string
		env  string
		code int
		says string
	}{
		{"no token", nil, "", exitUsage, "this needs a token"},
		{"a wrong one", []string{"--token-file", "wrong"}, "", exitUsage, "the token is wrong"},
		{"the right one", []string{"--token-file", "right"}, "", exitStopped, "teamtalk"},
		{"by the environment", nil, "SWITCHYARD_ADMIN_TOKEN_FILE=right", exitStopped, "teamtalk"},
		{"by the configuration", []string{"--set", "admin.read_token_file=right"}, "", exitStopped, "teamtalk"},
		{"the flag before the environment", []string{"--token-file", "wrong"}, "SWITCHYARD_ADMIN_TOKEN_FILE=right", exitUsage, "the token is wrong"},
		{"by the socket", []string{"--set", "admin.socket=s"}, "", exitStopped, "switchyard s "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := asking(t, p, append([]string{"top", "--once", "--interval", "1s", "--config", "other.toml"}, c.args...)...)
			cmd.Dir, cmd.Env = dir, append(cmd.Env, c.env)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.says) {
				t.Errorf("exit code %d, want %d; it prints %q, want %q", code, c.code, out, c.says)
			}
		})
	}
}
