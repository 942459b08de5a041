//go:build full || race

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/cmd/switchyard/client/tap"
	"switchyard/pdu/pdutest"
)

// A listener is a 'switchyard tap' that was started.
type listener struct {
	*testing.T
	cmd    *exec.Cmd
	lines  *bufio.Reader
	out    *os.File // what lines come from
	stderr *bufio.Reader
}

// listenTo starts a tap of the process, and waits until it has begun.
func listenTo(t *testing.T, p *process, args ...string) *listener {
	t.Helper()
	l := &listener{T: t, cmd: asking(t, p, append([]string{"tap"}, args...)...)}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	l.cmd.Stdout, l.out, l.lines = in, out, bufio.NewReader(out)
	stderr, err := l.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin(t, l.cmd)
	in.Close()
	l.stderr = bufio.NewReader(stderr)
	if line, err := l.stderr.ReadString('\n'); line != tap.Begin {
		t.Fatalf("it says %q, %v", line, err)
	}
	return l
}

// line returns the next line, with one blank where there are several, without the time.
func (l *listener) line() string {
	l.Helper()
	l.out.SetReadDeadline(time.Now().Add(patience))
	line, err := l.lines.ReadString('\n')
	if err != nil {
		l.Fatalf("%q, %v", line, err)
	}
	_, rest, _ := strings.Cut(line, " ")
	return strings.Join(strings.Fields(rest), " ")
}

// end reads the rest of stderr, and waits until the command exits with that code.
func (l *listener) end(code int) string {
	l.Helper()
	report, _ := io.ReadAll(l.stderr)
	ended(l.T, l.cmd, code)
	return string(report)
}

// PDUs are printed as peers send them, until the tap is interrupted.
func TestTap(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	a, b := p.dial(), p.dial()
	l := listenTo(t, p, "--tenant", "default", "--command", "0x0300-0x03ff")
	secret := chat(7, "secret\x1b[2J")
	a.settle() // not asked for
	a.say(secret)
	b.expect(secret)
	if got, want := l.line(), fmt.Sprintf("default session 1 CID_MSG_DATA %d bytes seq 7 broadcast-except-sender", len(secret)); got != want {
		t.Errorf("it prints %q, want %q", got, want)
	}
	l.cmd.Process.Signal(syscall.SIGINT)
	if got, want := l.end(exitStopped), "1 PDUs, 0 missed; ended: interrupted\n"; got != want {
		t.Errorf("it reports %q, want %q", got, want)
	}
}

// Bodies are decoded on request, and cannot control the terminal.
func TestTapBodies(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	a, b := p.dial(), p.dial()
	text := listenTo(t, p, "--bodies", "--user", "5", "--count", "1")
	lines := listenTo(t, p, "--bodies", "--json", "--session", "1", "--count", "1")
	others := listenTo(t, p, "--user", "6,8", "--session", "1", "--session", "2", "--for", "1s")
	b.settle() // another session, and none of the users
	secret := chat(7, "secret\x1b[2J")
	a.say(secret)
	b.expect(secret)
	got := text.line()
	if !strings.Contains(got, `broadcast-except-sender {"`) || !strings.Contains(got, `"from_user_id":5`) || strings.ContainsRune(got, '\x1b') {
		t.Errorf("it prints %q", got)
	}
	line, err := lines.lines.ReadBytes('\n')
	var l struct {
		Kind    string
		Session int
		Seq     int
		Body    map[string]any
	}
	if err != nil || json.Unmarshal(line, &l) != nil || l.Kind != "pdu" || l.Session != 1 || l.Seq != 7 || l.Body["from_user_id"] == nil || bytes.ContainsRune(line, '\x1b') {
		t.Errorf("it prints %q, %v", line, err)
	}
	for _, each := range []*listener{text, lines} {
		if got, want := each.end(exitStopped), "1 PDUs, 0 missed; ended: as many as asked for\n"; got != want {
			t.Errorf("it reports %q, want %q", got, want)
		}
	}
	if got, want := others.end(exitStopped), "0 PDUs, 0 missed; ended: the time asked for is over\n"; got != want {
		t.Errorf("it reports %q, want %q", got, want)
	}
}

// A tap whose output is closed ends without an error.
func TestTapOfAClosedPipe(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	a := p.dial()
	l := listenTo(t, p)
	a.settle()
	l.line()
	l.out.Close()
	over := make(chan string, 1)
	go func() {
		report, _ := io.ReadAll(l.stderr)
		l.cmd.Wait()
		over <- string(report)
	}()
	eventually(t, func() bool {
		a.settle() // a write to the closed pipe ends the tap
		return len(over) > 0
	}, func() string { return "it does not end" })
	report := <-over
	if code := l.cmd.ProcessState.ExitCode(); report != "" || code != exitStopped {
		t.Errorf("exit code %d, it reports %q", code, report)
	}
}

// A server that stops says so; one that is killed does not.
func TestTapOfAServerThatEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		signal syscall.Signal
		code   int
		says   string
	}{
		{syscall.SIGTERM, exitStopped, "0 PDUs, 0 missed; ended: the server stopped it\n"},
		{syscall.SIGKILL, exitUnavailable, "begin another"},
	} {
		p := start(t, t.TempDir())
		l := listenTo(t, p)
		p.signal(c.signal)
		if got := l.end(c.code); !strings.Contains(got, c.says) {
			t.Errorf("after %v it reports %q, want %q", c.signal, got, c.says)
		}
	}
}

func TestTapRefused(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	address := "admin.address=" + p.expect(`"msg":"admin"`)["address"].(string)
	for want, args := range map[string][]string{
		`unknown tenant "acme"; known tenants: default`: {"--tenant", "acme"},
		"--user names none":                             {"--user", "", "--bodies"},
		"--command names none":                          {"--command", ""},
		"--session names none":                          {"--session="},
	} {
		_, stderr := runHere(t, exitUsage, append([]string{"tap", "--for", "10ms", "--set", address}, args...)...)
		if !strings.Contains(stderr, want) {
			t.Errorf("%v: it says %q, want %q", args, stderr, want)
		}
	}
}

// While what reads it stands still, it can be interrupted: by a second signal, as what
// was taken in is still to be written after the first.
func TestTapInterruptedTwice(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	a := p.dial()
	l := listenTo(t, p)
	for range 50 { // more than a pipe holds
		a.say(slices.Repeat([][]byte{pdutest.StatusRequest(7, 1, nil)}, 100)...)
		a.expect(slices.Repeat([][]byte{pdutest.StatusResponse(7, 1, nil)}, 100)...)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		l.cmd.Wait()
	}()
	eventually(t, func() bool {
		l.cmd.Process.Signal(syscall.SIGTERM) // a process in the background of a script may ignore SIGINT
		select {
		case <-over:
			return true
		case <-time.After(10 * time.Millisecond):
			return false
		}
	}, func() string { return "it cannot be interrupted" })
}
