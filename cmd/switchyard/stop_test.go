//go:build full || race

package main

import (
	"bytes"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

// A signal to stop is not lost behind many to reload, as a deployment sends that signals once for
// each file it has written.
func TestStopIsNotLostBehindHangups(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf := "[reload]\nwatch = false\n"
	for i := range 10 {
		write(t, filepath.Join(dir, fmt.Sprintf("r%d.toml", i)), savedTable("broadcast-all"))
		conf += fmt.Sprintf("[tenant.t%d]\npolicy = \"file:r%d.toml\"\n", i, i)
	}
	write(t, filepath.Join(dir, "config.toml"), conf+"[tenant.default]\n")
	p := start(t, dir)
	for range 30 {
		p.signal(syscall.SIGHUP)
		time.Sleep(2 * time.Millisecond) // the kernel merges signals that are pending at the same time
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d, want %d", code, exitStopped)
	}
}

// A stop ends what is being loaded, and refuses nothing for that.
func TestStopWhileLoading(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	const conf = "[reload]\nwatch = false\n[tenant.default]\n"
	write(t, path, conf)
	p := start(t, dir)
	more := conf
	for i := range 200 { // each of which takes at least the time for which a file must be unchanged
		write(t, filepath.Join(dir, fmt.Sprintf("r%d.toml", i)), savedTable("broadcast-all"))
		more += fmt.Sprintf("[tenant.t%d]\npolicy = \"file:r%d.toml\"\n", i, i)
	}
	replace(t, path, more)
	p.signal(syscall.SIGHUP)
	time.Sleep(50 * time.Millisecond) // so that the reload has likely begun; the test holds anyway
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d, want %d", code, exitStopped)
	}
	if n := p.count("refused;"); n > 0 {
		t.Errorf("%d refusals because of the stop", n)
	}
}

// The exit code says that copies were discarded, also if the drain ended by itself, and the
// counts say why.
func TestExitCodeOfDiscardedCopies(t *testing.T) {
	t.Parallel()
	p := stalledAtStop(t)
	if code := p.exit(); code != exitForced {
		t.Errorf("exit code %d, want %d", code, exitForced)
	}
	p.expect(`"msg":"copies"`, `"discarded":{"write-timeout":`)
	p.expect("stopped before everything was written", "write-timeout")
	checkCounts(t, p)
}

// stalledAtStop returns a server that stops while a peer takes nothing, and closes that peer for
// it. On a busy machine the peer may be closed before the stop; then it tries a longer timeout.
func stalledAtStop(t *testing.T) *process {
	for timeout := time.Second; ; timeout *= 2 {
		p := stalled(t, "--set", "peer.write_timeout="+timeout.String())
		p.signal(syscall.SIGTERM)
		p.expect("stopping")
		if before, _, _ := strings.Cut(p.log(), `"msg":"stopping"`); !strings.Contains(before, "write-timeout") || timeout > patience {
			return p
		}
	}
}

// A tenant that was removed and still drains is part of the stop.
func TestStopWhileARemovedTenantDrains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	const rest = "[reload]\nwatch = false\n[tenant.default]\n"
	write(t, path, "[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"default\"\n"+"[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"b\"\n[tenant.b.limits]\nlag_soft_time = \"10m\"\n"+rest)
	p := start(t, dir, "--set", "listener.0.address=127.0.0.1:0")
	p.address = p.expect("listening", `"tenant":"b"`)["address"].(string)
	stall(p)
	replace(t, path, "[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"default\"\n"+rest)
	p.signal(syscall.SIGHUP)
	p.expect("tenant removed", `"tenant":"b"`)
	p.signal(syscall.SIGTERM)
	p.expect("stopping")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitForced {
		t.Errorf("exit code %d, want %d", code, exitForced)
	}
	p.expect(`"msg":"copies"`, `"tenant":"b"`, `"discarded":{"forced":`)
	if !strings.Contains(p.log(), `"msg":"stopped"`) {
		t.Error("the removed tenant was not waited for")
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
