package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"switchyard/cmd/switchyard/client"
)

func askedForHealth(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(append([]string{"health"}, args...), nil, &out, &err)
	return code, out.String(), err.String()
}

func TestHealthOfTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, "--set", "admin.socket="+filepath.Join(dir, "admin.sock"))
	address := p.expect(`"msg":"admin"`)["address"].(string)

	if code, out, err := askedForHealth(t, "--address", address); code != exitStopped || !strings.HasPrefix(out, "ok") {
		t.Errorf("--address: exit code %d, %q, %q, want 0 and ok", code, out, err)
	}
	if code, out, err := askedForHealth(t, "--set", "admin.address="+address); code != exitStopped || !strings.HasPrefix(out, "ok") {
		t.Errorf("by the configuration: exit code %d, %q, %q, want 0 and ok", code, out, err)
	}
	socket := filepath.Join(dir, "admin.sock")
	if code, out, err := askedForHealth(t, "--set", "admin.address=", "--set", "admin.socket="+socket); code != exitStopped || !strings.HasPrefix(out, "ok") {
		t.Errorf("by the socket: exit code %d, %q, %q, want 0 and ok", code, out, err)
	}

	// A file with a fault says nothing of the server, unless it must be read.
	faulty := filepath.Join(dir, "faulty.toml")
	if err := os.WriteFile(faulty, []byte("nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, err := askedForHealth(t, "--config", faulty, "--address", address); code != exitStopped {
		t.Errorf("--address beside a faulty configuration: exit code %d, %q, want 0", code, err)
	}
	if code, _, err := askedForHealth(t, "--config", faulty); code != exitConfig || !strings.Contains(err, "nonsense") {
		t.Errorf("a faulty configuration alone: exit code %d, %q, want %d and what is wrong", code, err, exitConfig)
	}

	p.cmd.Process.Kill()
	p.exit()
	if code, _, err := askedForHealth(t, "--address", address); code != exitUnavailable || !strings.Contains(err, "does switchyard serve") {
		t.Errorf("after its end: exit code %d, %q, want %d", code, err, exitUnavailable)
	}
}

// Only an answer of 200 counts as healthy.
func TestHealthIsAPlainYes(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	answers := map[string]http.HandlerFunc{
		"503 Service Unavailable: draining": func(w http.ResponseWriter, r *http.Request) {
			asked <- r.URL.Path
			http.Error(w, "draining", http.StatusServiceUnavailable)
		},
		"302 Found": func(w http.ResponseWriter, r *http.Request) {
			asked <- r.URL.Path
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
		"unexpected EOF": func(w http.ResponseWriter, r *http.Request) {
			asked <- r.URL.Path
			w.Header().Set("Content-Length", "10")
			w.Write([]byte("ok"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	}
	for want, answer := range answers {
		s := httptest.NewServer(answer)
		code, out, err := askedForHealth(t, "--ready", "--address", strings.TrimPrefix(s.URL, "http://"))
		if code != exitUnavailable || out != "" || !strings.Contains(err, want) {
			t.Errorf("exit code %d, %q, %q, want %d and %q", code, out, err, exitUnavailable, want)
		}
		if path := <-asked; path != "/readyz" {
			t.Errorf("asked for %s, want /readyz", path)
		}
		s.Close()
	}

	hostile := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\x1b[2J\nok\n")) }))
	defer hostile.Close()
	if _, out, _ := askedForHealth(t, "--address", strings.TrimPrefix(hostile.URL, "http://")); out != `ok\u001b[2J`+"\nok\n" {
		t.Errorf("of an answer that a terminal would obey it prints %q", out)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it accepts the connection and never answers
	silent := client.Target{Address: l.Addr().String()}
	if _, err := askHealth(t.Context(), silent, "/livez", 10*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v, want the deadline", err)
	}
	if code, _, err := askedForHealth(t, "--address", "no such place"); code != exitUsage || !strings.Contains(err, "write host:port") {
		t.Errorf("no address: exit code %d, %q, want %d", code, err, exitUsage)
	}
	if code, _, err := askedForHealth(t, "--set", "admin.address="); code != exitUnavailable || !strings.Contains(err, "admin.address is empty") {
		t.Errorf("nobody to ask: exit code %d, %q, want %d", code, err, exitUnavailable)
	}
	if code, _, _ := askedForHealth(t, "now"); code != exitUsage {
		t.Errorf("an argument: exit code %d, want %d", code, exitUsage)
	}
}
