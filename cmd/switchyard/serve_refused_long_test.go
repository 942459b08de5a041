//go:build full || race

package main

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/plugins/teamtalk"
)

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

// Policies that fail at every PDU disturb no peer: the verdict by ids applies, whatever the guest
// does, and each failure is counted and logged. Without the tag full, one policy is taken for
// each kind of fault; the tests of policy/wasm call all of them.
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
			policy := guestPolicy(t, name)
			p := start(t, t.TempDir(), "--policy", policy)
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
				checkReproduces(t, p.expect("the policy failed to decide", `"reproduce":"/`)["reproduce"].(string), policy, fault)
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

// awaitPDUs waits until lines with that message account for n PDUs: each line for one, and a line
// that summarizes more of the same for as many as it says.
func (p *process) awaitPDUs(message string, n int) {
	p.t.Helper()
	total := func() (pdus int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, l := range p.lines {
			switch more, _ := l["pdus"].(float64); {
			case l["msg"] == message:
				pdus++
			case l["msg"] == "more of the same" && l["message"] == message:
				pdus += int(more)
			}
		}
		return pdus
	}
	eventually(p.t, func() bool { return total() == n }, func() string {
		return fmt.Sprintf("%q is logged of %d PDUs, want %d", message, total(), n)
	})
}
