package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// Without a file and with no flag but the address, the log says what is served and why.
func TestStartSaysWhatIsServed(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	p.expect(`"msg":"configuration"`, `"file":"none"`, "the defaults")
	p.expect("wasm engine", `"kind":"compiler"`, `"why":`)
	p.expect("policy in force", `"tenant":"default"`, `"policy":"teamtalk"`, `"sha256":"`, "7 broadcast-except-sender", "unknown commands: drop, log")
	p.expect("listening", `"tenant":"default"`, p.address)
}

func TestConfigurationFileInTheWorkingDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.toml"), "[peer]\ntimeout = \"40s\"\n")
	p := start(t, dir)
	p.expect(`"msg":"configuration"`, `"file":"config.toml"`, "found in the working directory")
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"--listen", l.Addr().String(), "--set", "admin.address="}, nil, &stdout, &stderr); code != exitUnavailable {
		t.Errorf("exit code %d, want %d", code, exitUnavailable)
	}
	for _, want := range []string{l.Addr().String(), "address already in use", "--listen"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr does not say %q:\n%s", want, stderr.String())
		}
	}
}

// A spread stop closes the first connection at once, and serves the others until their turn. A
// second signal ends it.
func TestSpreadStop(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), "--set", "drain.timeout=1h", "--set", "drain.spread=30m")
	first, second, third := p.dial(), p.dial(), p.dial()
	p.signal(syscall.SIGTERM)
	p.expect("stopping")
	first.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, first); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the first connection stays open")
	}
	said := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("while the first is closed"))
	second.say(said)
	third.expect(said)
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitForced {
		t.Errorf("exit code %d, want %d", code, exitForced)
	}
	checkCounts(t, p)
}

// SIGHUP reloads and logs the result, also if nothing changed.
func TestHangupReloads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "routes.toml")
	write(t, path, savedTable("broadcast-all"))
	p := start(t, dir, "--policy", "file:routes.toml", "--set", "reload.watch=false")
	p.signal(syscall.SIGHUP)
	p.expect("policy unchanged")
	write(t, path, savedTable("drop"))
	p.signal(syscall.SIGHUP)
	p.expect("policy reloaded", "94 drop")
}

// A faulty configuration changes nothing. A sound one takes effect, except for the keys that
// need a restart, which are logged.
func TestConfigurationReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	replace(t, path, "[peer]\ntimeout = \"40s\"\n")
	cmd := exec.Command(executable(t), "--listen", "127.0.0.1:0", "--set", "log.format=json", "--set", "reload.debounce=20ms")
	cmd.Dir, cmd.Env = dir, os.Environ() // without patientLimits, so that the file sets the timeout
	p := startCommand(t, cmd)
	c := p.dial()
	replace(t, path, "[peer]\ntimeout = \"0.5\"\nheartbeet = \"5s\"\n")
	p.expect("configuration refused; keeping the one in force", "config.toml:2", "config.toml:3", "heartbeat")
	c.settle()
	replace(t, path, "[peer]\ntimeout = \"40s\"\n")
	p.expect("the refused configuration is gone; nothing changed")
	replace(t, path, "[peer]\ntimeout = \"60ms\"\n[wasm]\nfaults = \"\"\n[tenant.default]\n[tenant.acme]\n")
	p.expect("take effect after a restart", "wasm.faults")
	p.expect("configuration reloaded", "peer.timeout", "tenant.acme")
	p.expect("policy in force", `"tenant":"acme"`)
	p.expect("session closed", "idle-timeout")
}

// Signals make the server read a configuration that the watcher never sees: when it compares the file
// next, the content is again the one that it knows.
func TestRefusalEndsUnseen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	const sound, refused = "[peer]\ntimeout = \"40s\"\n", "configuration refused; keeping the one in force"
	write(t, path, sound)
	p := start(t, dir, "--set", "reload.debounce=1s")
	write(t, path, "[peer]\ntimeout = \"soon\"\n")
	for range 2 { // after the second refusal, nothing else is pending that would read the file again
		from := p.logged()
		p.signal(syscall.SIGHUP)
		p.expectFrom(from, refused)
	}
	write(t, path, sound)
	p.expect("the refused configuration is gone; nothing changed")
}
