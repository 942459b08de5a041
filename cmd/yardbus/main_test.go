package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/proxy/certificate/authority"
	"switchyard/proxy/logtest"
	"switchyard/proxy/order"
	"switchyard/proxy/order/jetstream"
	"switchyard/proxy/order/jetstream/bustest"
)

// limit is how long anything may take on a machine that is busy with other work.
const limit = time.Minute

func TestWrongCommandLines(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	store := []string{"--store", filepath.Join(dir, "store")}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "--store is missing"},
		{[]string{"--sotre", "x"}, exitUsage, "unknown flag: --sotre"},
		{[]string{"x"}, exitUsage, `unexpected argument "x"`},
		{[]string{"--memory", "much"}, exitUsage, `"much" is not a size`},
		{append(store, "--memory", "1MiB"), exitUsage, "at least 16MiB"},
		{append(store, "--name", ""), exitUsage, "--name is missing"},
		{append(store, "--name", "a.b"), exitUsage, `--name "a.b"`},
		{append(store, "--listen", "4222"), exitUsage, `--listen "4222" is not an address: write HOST:PORT`},
		{append(store, "--listen", "127.0.0.1:0"), exitUsage, "has no port"},
		{append(store, "--listen", "0.0.0.0:4222"), exitUsage, "hubs need TLS there"},
		{append(store, "--peers", "127.0.0.1:1", "--peer-listen", "10.0.0.1:6222"), exitUsage, "the servers need TLS there"},
		{append(store, "--peers", "a", "--listen", "127.0.0.1:1"), exitUsage, `--peers "a" is not an address`},
		{append(store, "--certificate", "x"), exitUsage, "belong together"},
		{append(store, "--ca", "x"), exitUsage, "--ca needs --certificate"},
		{append(store, "--certificate", "/missing", "--key", "/missing"), exitData, "/missing"},
		{append(store, "--accounts", "/missing"), exitData, "/missing"},
		{append(store, "--accounts", file("empty", "accounts: {}")), exitData, "names nobody who may connect"},
		{append(store, "--accounts", file("port", "port: 1\naccounts: {}")), exitData, `has the key "port"`},
		{append(store, "--accounts", file("bad", "accounts: {")), exitData, "read --accounts"},
		{append(store, "--listen", taken.Addr().String()), exitUnavailable, "choose another address"},
		{[]string{"--store", file("file", "x"), "--listen", bustest.FreeAddress(t)}, exitInternal, "JetStream"},
		{[]string{"account", "--cluster", "A", "--out", dir}, exitUsage, `--cluster "A"`},
		{[]string{"account", "--cluster", "a", "--out", filepath.Join(dir, "missing")}, exitForced, "no such file"},
	} {
		var stderr bytes.Buffer
		if code := run(tc.args, nil, io.Discard, &stderr); code != tc.code || !strings.Contains(stderr.String(), tc.want) {
			t.Errorf("%q: exit code %d, want %d, and %q in:\n%s", tc.args, code, tc.code, tc.want, &stderr)
		}
	}
}

// A running server is one that a test stops by signals.
type running struct {
	signals chan os.Signal
	code    chan int
	stderr  logtest.Lines
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{signals: make(chan os.Signal, 2), code: make(chan int, 1)}
	go func() { r.code <- run(args, r.signals, io.Discard, &r.stderr) }() // received by stop
	return r
}

// stop sends signals, and wants an exit code.
func (r *running) stop(t *testing.T, signals, code int) {
	t.Helper()
	for range signals {
		r.signals <- syscall.SIGTERM
	}
	select {
	case got := <-r.code:
		if got != code {
			t.Errorf("exit code %d, want %d:\n%s", got, code, &r.stderr)
		}
	case <-time.After(limit):
		t.Fatalf("the server does not stop:\n%s", &r.stderr)
	}
}

// A hub with the files that 'account' wrote can use the bus over TLS; one without cannot.
func TestHubUsesTheBus(t *testing.T) {
	dir := t.TempDir()
	if code := run([]string{"account", "--cluster", "test", "--out", dir}, nil, io.Discard, os.Stderr); code != exitStopped {
		t.Fatalf("exit code %d", code)
	}
	if code := run([]string{"account", "--cluster", "test", "--out", dir}, nil, io.Discard, io.Discard); code != exitForced {
		t.Errorf("files overwritten: exit code %d, want %d", code, exitForced)
	}
	ca, certificate, key := certificates(t, dir)
	address := bustest.FreeAddress(t)
	server := start(t, "--store", filepath.Join(dir, "store"), "--listen", address, "--accounts", filepath.Join(dir, accountsFile), "--certificate", certificate, "--key", key)
	s := jetstream.Settings{Servers: []string{"tls://" + address}, Cluster: "test", Tenant: "main", Hub: 1, Replicas: 1, LogBytes: 1 << 20,
		CA: ca, Credentials: filepath.Join(dir, credentialsFile), Log: slog.New(slog.DiscardHandler)}
	l := hub(t, s)
	begin(t, l, limit)
	if err := l.Append([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if e := <-l.Events(); e.Kind != order.Recorded || string(e.Entry.Record) != "a" {
		t.Errorf("event %+v, want record a", e)
	}

	for _, tc := range []struct {
		change func(*jetstream.Settings)
		want   string
	}{
		{func(s *jetstream.Settings) { s.CA = "" }, "certificate"},
		{func(s *jetstream.Settings) { s.Credentials = "" }, "Authorization Violation"},
		{func(s *jetstream.Settings) { s.Cluster = "other" }, "sy.other."},
	} {
		other := s
		tc.change(&other)
		l := hub(t, other)
		var err error
		for end := time.Now().Add(limit); time.Now().Before(end); { // a busy machine may show no more than that nothing answers
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, _, err = l.Begin(ctx)
			cancel()
			if err == nil || strings.Contains(err.Error(), tc.want) {
				break
			}
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
	server.stop(t, 1, exitStopped)
}

// The second signal ends what the first one began.
func TestSignals(t *testing.T) {
	dir := t.TempDir()
	address := bustest.FreeAddress(t)
	server := start(t, "--store", filepath.Join(dir, "store"), "--listen", address)
	for i := range 50 { // so that it takes long to tell all to go elsewhere
		begin(t, hub(t, jetstream.Settings{Servers: []string{"nats://" + address}, Cluster: "test", Tenant: fmt.Sprint(i % 2), Hub: 1, Replicas: 1, LogBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)}), limit)
	}
	server.stop(t, 2, exitForced)
}

func hub(t *testing.T, s jetstream.Settings) *jetstream.Log {
	t.Helper()
	l, err := jetstream.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func begin(t *testing.T, l *jetstream.Log, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if _, _, err := l.Begin(ctx); err != nil {
		t.Fatal(err)
	}
}

// certificates makes an authority and a server's certificate.
func certificates(t *testing.T, dir string) (ca, certificate, key string) {
	t.Helper()
	a := authority.New(t, "bus")
	c := a.Server("localhost")
	certificate, key = filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	for path, text := range map[string][]byte{certificate: c.PEM(), key: c.KeyPEM()} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a.Write(dir, "ca.pem"), certificate, key
}

// The value of a flag is named by what it means, not by its type in Go.
func TestHelpNamesNoTypesOfGo(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"account", "--help"}} {
		var help bytes.Buffer
		if code := run(args, nil, &help, io.Discard); code != exitStopped {
			t.Fatalf("%v: exit code %d", args, code)
		}
		if found := regexp.MustCompile(`--[a-z-]+ (string|strings|int|uint)\b.*`).FindAllString(help.String(), -1); found != nil {
			t.Errorf("%v prints\n%s", args, strings.Join(found, "\n"))
		}
	}
}
