//go:build full || race

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Peers are listed, completed and closed by their session numbers; the log says who closed one, and
// why. The others stay.
func TestPeers(t *testing.T) {
	t.Parallel()
	dir, p, _ := startOperated(t, everyone)
	first, second := p.dial(), p.dial()
	ask := func(want int, args ...string) string {
		t.Helper()
		stdout, stderr := runIn(t, dir, want, args...)
		return stdout + stderr
	}
	text := ask(exitStopped, "peers", "--sort", "lag")
	if rows := strings.Split(strings.TrimSpace(text), "\n"); len(rows) != 3 || !strings.HasPrefix(rows[0], "TENANT   SESSION  PEER") || !strings.Contains(text, "\ndefault  1        127.0.0.1:") {
		t.Errorf("got\n%s", text)
	}
	if text := ask(exitStopped, "peers", "--limit", "1"); !strings.Contains(text, "1 more; --limit prints them") {
		t.Errorf("got\n%s", text)
	}
	var out bytes.Buffer
	config := filepath.Join(dir, "config.toml")
	if code := run([]string{"__complete", "peers", "close", "--config", config, "1", ""}, []string{"XDG_CACHE_HOME=" + dir}, &out, io.Discard); code != exitStopped || !strings.HasPrefix(out.String(), "2\t127.0.0.1:") || strings.Contains(out.String(), "\n1\t") {
		t.Errorf("completed as %q, want session 2 alone", out.String())
	}
	out.Reset()
	if run([]string{"__complete", "tap", "--config", config, "--tenant", "default", "--session", ""}, []string{"XDG_CACHE_HOME=" + dir}, &out, io.Discard); !strings.HasPrefix(out.String(), "1\t127.0.0.1:") {
		t.Errorf("completed as %q, want both sessions", out.String())
	}
	var closed closedPeers
	if err := json.Unmarshal([]byte(ask(exitStopped, "peers", "close", "1", "--reason", "it hangs", "--json")), &closed); err != nil || len(closed.Closed) != 1 || closed.Closed[0].Session != 1 {
		t.Errorf("got %+v, %v", closed, err)
	}
	first.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(first); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
	second.settle()
	line := p.expect(`"msg":"admin request"`, `"request":"close"`)
	if line["session"] != 1.0 || line["reason"] != "it hangs" || !strings.HasPrefix(fmt.Sprint(line["by"]), "socket, user ") {
		t.Errorf("the log has %v", line)
	}
	if line := p.expect(`"msg":"session closed"`, `"session":1`); line["reason"] != "operator" {
		t.Errorf("the log has %v", line)
	}
	if text := ask(exitForced, "peers", "close", "1", "2"); !strings.Contains(text, "tenant default has no session 1") || strings.Contains(text, "closed session") {
		t.Errorf("got %s", text)
	}
	if text := ask(exitStopped, "peers", "close", "2"); !strings.HasPrefix(text, "closed session 2 of tenant default, 127.0.0.1:") {
		t.Errorf("got %s", text)
	}
}
