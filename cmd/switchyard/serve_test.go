package main

import (
	"bytes"
	"errors"
	"io"
	"maps"
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
	"switchyard/plugins/teamtalk"
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

// SIGTERM and SIGINT write what is due, also to a peer that reads late, and exit 0.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir())
			c, late := p.dial(), p.dial()
			said := bytes.Repeat(pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 10_000)), 300)
			c.say(said)
			p.signal(s)
			p.expect("stopping")
			late.expect(said)
			if code := p.exit(); code != exitStopped {
				t.Errorf("exit code %d, want %d", code, exitStopped)
			}
			if copies := p.expect(`"msg":"copies"`, `"discarded":{}`); copies["delivered"].(float64) < 302 {
				t.Errorf("%v copies are delivered", copies["delivered"])
			}
			checkCounts(t, p)
		})
	}
}

// stalled returns a process with a peer that does not read.
func stalled(t *testing.T, args ...string) *process {
	p := start(t, t.TempDir(), append(args, "--set", "tenant.default.limits.lag_soft_time=10m")...)
	stall(p)
	return p
}

// stall connects a peer that does not read, and another that says much to it.
func stall(p *process) {
	c, stalled := p.dial(), p.dial()
	stalled.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	m := pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 1<<20))
	for range 20 {
		c.say(m)
	}
	c.settle()
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	p := stalled(t)
	p.signal(syscall.SIGTERM)
	p.expect("stopping")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitForced {
		t.Errorf("exit code %d, want %d", code, exitForced)
	}
	p.expect(`"msg":"copies"`, `"discarded":{"forced":`)
	checkCounts(t, p)
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

func TestDrainEndsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	p := stalled(t, "--set", "drain.timeout=100ms")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitForced {
		t.Errorf("exit code %d, want %d", code, exitForced)
	}
	p.expect("stopped before everything was written")
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

// A bad file is logged once, with its gate, and changes nothing; the next sound one takes
// effect.
func TestBadReloadsChangeNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "policy.wasm")
	replace(t, path, string(teamtalk.Module))
	p := start(t, dir, "--policy", "file:policy.wasm", "--set", "reload.debounce=20ms", "--set", "wasm.module_size=64KiB")
	c := p.dial()
	for name, want := range map[string][]string{
		"component":         {"magic gate", "component"},
		"missing_export":    {"exports gate", "classify"},
		"bad_signature":     {"exports gate", "classify"},
		"unknown_import":    {"imports gate"},
		"future_version":    {"exports gate", "switchyard_abi_v2"},
		"memory_bomb":       {"compile gate", "memory"},
		"reserved_bits":     {"dry-run gate", "reserved bits"},
		"slow_classify":     {"dry-run gate"},
		"trap_start":        {"instantiate gate"},
		"configure_refuses": {"configure gate"},
	} {
		bad, err := os.ReadFile("../../policy/wasm/testdata/" + name + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		from := p.logged()
		replace(t, path, string(bad))
		p.expectFrom(from, append(want, "policy refused; keeping the one in force")...)
		c.settle()
	}
	for bad, want := range map[string][]string{
		"this is text":                                   {"magic gate", "WebAssembly"},
		string(make([]byte, 65<<10)):                     {"file gate", "too large"},
		string(teamtalk.Module[:len(teamtalk.Module)/2]): {"magic gate", "truncated"},
	} {
		from := p.logged()
		replace(t, path, bad)
		p.expectFrom(from, append(want, "policy refused; keeping the one in force")...)
		c.settle()
	}
	from := p.logged()
	remove(t, path)
	p.expectFrom(from, "policy refused", "file gate", "no such file")
	from = p.logged()
	p.signal(syscall.SIGHUP) // an operator gets the result again
	p.expectFrom(from, "policy refused", "file gate")
	replace(t, path, string(teamtalk.Module)+"\x00\x05\x03abc!") // another file that does the same
	p.expect("policy reloaded")
	if n := p.count("policy reloaded"); n != 1 {
		t.Errorf("%d reloads, want only the last", n)
	}
	c.settle()
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

// Policies that fail at every PDU disturb no peer: the verdict by ids applies, whatever the guest
// does, and each failure is counted and logged. The quick tests take one policy for each kind of
// fault; the tests of policy/wasm call all of them.
func TestHostilePolicies(t *testing.T) {
	t.Parallel()
	policies := map[string]string{
		"trap": "trap", "endless_loop": "fuel", "no_room": "body-size",
	}
	if full {
		maps.Copy(policies, map[string]string{
			"endless_recursion": "recursion", "asks_again": "abi", "exit": "trap",
			"exponential": "fuel", "fill_loop": "fuel", "log_flood": "fuel", "reserved_bits_late": "abi", "bad_pointer_late": "abi", "out_of_bounds": "trap",
		})
	}
	for name, fault := range policies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wasm, err := filepath.Abs("../../policy/wasm/testdata/" + name + ".wasm")
			if err != nil {
				t.Fatal(err)
			}
			p := start(t, t.TempDir(), "--policy", "file:"+wasm)
			to, err := net.Dial("tcp", p.address)
			if err != nil {
				t.Fatal(err)
			}
			defer to.Close()
			from, err := net.Dial("tcp", p.address) // accepted after the first: that one has its seat
			if err != nil {
				t.Fatal(err)
			}
			defer from.Close()
			var said [][]byte
			for i := range 30 { // more than the circuit breaker lets the policy fail in a second
				said = append(said, pdutest.Raw(pdu.CID_MSG_DATA, uint16(i), []byte("whatever the policy does")))
			}
			peer{t, from}.say(said...)
			peer{t, to}.expect(said...)
			p.expect("the policy failed to decide", `"fault":"`+fault+`"`, name)
			p.awaitPDUs("the policy failed to decide about a PDU", len(said))
			if fault != "body-size" {
				checkReproduces(t, p.expect("the policy failed to decide", `"reproduce":"/`)["reproduce"].(string), "file:"+wasm, fault)
			}
			p.signal(syscall.SIGTERM)
			from.Close()
			to.Close()
			if code := p.exit(); code != exitStopped {
				t.Errorf("exit code %d", code)
			}
			checkCounts(t, p)
		})
	}
}

// checkReproduces checks that 'policy eval --reproduce' shows the fault again.
func checkReproduces(t *testing.T, file, policy, fault string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"policy", "eval", policy, "--reproduce", file}, nil, &stdout, &stderr); code != exitStopped {
		t.Errorf("eval --reproduce: exit code %d: %s", code, stderr.String())
	}
	if !strings.Contains(stdout.String(), fault) || !strings.Contains(stdout.String(), "CID_MSG_DATA") {
		t.Errorf("eval --reproduce does not show the fault %q:\n%s", fault, stdout.String())
	}
}
