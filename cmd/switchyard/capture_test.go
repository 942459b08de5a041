//go:build full || race

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/capture"
	"switchyard/proxy/replay"
)

// A taker is a 'switchyard capture' that was started.
type taker struct {
	*testing.T
	cmd    *exec.Cmd
	output bytes.Buffer // but for errors
}

// take starts a capture of the process, with further arguments, and waits until it
// has begun.
func take(t *testing.T, p *process, args ...string) *taker {
	t.Helper()
	exe := executable(t)
	address := p.expect(`"msg":"admin"`)["address"].(string)
	c := &taker{T: t, cmd: exec.Command(exe, append([]string{"capture", "--set", "admin.address=" + address}, args...)...)}
	c.cmd.Env = append(os.Environ(), asCommand+"=1")
	c.cmd.Stdout = &c.output
	begun(t, c.cmd)
	return c
}

// begun starts a capture, and waits until it has begun.
func begun(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if line != "recording; interrupt to end it\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
}

// wait waits for it to end, with that exit code, and returns what it printed.
func (c *taker) wait(want int) string {
	c.Helper()
	c.cmd.Wait()
	if got := c.cmd.ProcessState.ExitCode(); got != want {
		c.Fatalf("exit code %d, want %d; it printed %q", got, want, c.output.String())
	}
	return c.output.String()
}

// taken returns the PDUs of a capture, with whatever error reading ended with.
func taken(t *testing.T, name string) (pdus [][]byte, tenants []capture.Tenant, err error) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := capture.NewReader(f)
	for {
		rec, err := r.Next()
		if err != nil {
			return pdus, r.Tenants(), err
		}
		if rec.Kind == capture.PDU && !rec.Known {
			pdus = append(pdus, bytes.Clone(rec.PDU))
		}
	}
}

func chat(seq uint16, text string) []byte {
	from, to, one := uint32(5), uint32(7), uint32(1)
	return pdutest.PDU(pdu.CID_MSG_DATA, seq, &pb.IMMsgData{FromUserId: &from, ToSessionId: &to, MsgId: &one, CreateTime: &one,
		MsgType: pb.MsgType_MSG_TYPE_SINGLE_TEXT.Enum(), MsgData: []byte(text)})
}

// From a running server to a replay: what peers say is recorded, without what was to
// be redacted, and policies run over it; users that were there before are known.
func TestCaptureAndReplay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir)
	a, b, c := p.dial(), p.dial(), p.dial()
	online := func(user uint32) []byte {
		return pdutest.Online(pdutest.Stat(user, pb.UserStatType_USER_STATUS_ONLINE, pb.ClientType_CLIENT_TYPE_WINDOWS))
	}
	a.say(online(5))
	b.say(online(7))
	a.settle()
	b.settle()
	file := filepath.Join(dir, "c.pcapng")
	taking := take(t, p, "-o", file, "--tenant", "default", "--bodies", "--redact", "CID_MSG_DATA.msg_data", "--time", "1m")
	for i := range uint16(3) {
		a.say(chat(i, "secret"))
	}
	b.expect(chat(0, "secret"), chat(1, "secret"), chat(2, "secret"))
	c.expect(chat(0, "secret"), chat(1, "secret"), chat(2, "secret"))
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there before it is whole: %v", err)
	}
	p.signal(syscall.SIGTERM)
	if stderr, want := taking.wait(exitStopped), "tenant default: 3 PDUs, 0 missed; ended: the server stopped it\n"; stderr != want {
		t.Errorf("it says %q, want %q", stderr, want)
	}
	if s, err := os.Stat(file); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v, want it readable by its owner alone", s.Mode(), err)
	}
	pdus, tenants, err := taken(t, file)
	if err != io.EOF || len(pdus) != 3 || !bytes.Equal(pdus[2], chat(2, "\x00\x00\x00\x00\x00\x00")) || tenants[0].Name != "default" {
		t.Fatalf("%d PDUs of %v, %v", len(pdus), tenants, err)
	}

	out, _ := runHere(t, 0, "replay", file, "teamtalk", "unicast", "--json")
	var report replay.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint64{6, 3} { // of three peers two others, or the one that holds the user
		if c := report.Policies[i].Commands[0]; c.PDUs != 3 || c.Copies != want || c.Redacted != uint64(3*i) || (c.FromRecorded != nil) != (i == 1) {
			t.Errorf("with %s: %+v, want %d copies", report.Policies[i].Policy, c, want)
		}
	}
	out, _ = runHere(t, 0, "replay", file, "teamtalk", "unicast")
	for _, want := range []string{
		"capture    tenant default, 3 PDUs in ", " from 3 peers", "bodies; 0 missed",
		"CID_MSG_DATA  3     6       ", "CHANGED  nothing since it was recorded",
		"judged with redacted values in the body", "CHANGED       PDUS  WITH teamtalk            NOW\nCID_MSG_DATA  3     broadcast-except-sender  unicast fields from_user_id to_session_id, ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("replay does not print %q:\n%s", want, out)
		}
	}
}

// An interrupted capture keeps what it has, whole.
func TestCaptureInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir)
	a := p.dial()
	file := filepath.Join(dir, "c.pcapng")
	taking := take(t, p, "-o", file)
	taking.cmd.Process.Signal(syscall.SIGINT)
	if stderr := taking.wait(exitStopped); !strings.Contains(stderr, "ended: interrupted") {
		t.Errorf("it says %q", stderr)
	}
	if _, _, err := taken(t, file); err != io.EOF {
		t.Errorf("the capture ends with %v", err)
	}
	a.settle()
	p.expect("capture ends")
}

// A server that is killed leaves a capture that is whole as far as it goes.
func TestCaptureCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir)
	file := filepath.Join(dir, "c.pcapng")
	taking := take(t, p, "-o", file)
	p.signal(syscall.SIGKILL)
	if stderr := taking.wait(exitForced); stderr != "tenant default: 0 PDUs, 0 missed\n" {
		t.Errorf("it says %q", stderr)
	}
	if _, tenants, err := taken(t, file); err != io.EOF || len(tenants) != 1 {
		t.Errorf("the capture has tenants %v and ends with %v", tenants, err)
	}
}

// To standard output goes the capture alone, as it is made.
func TestCaptureToStandardOutput(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	a, b := p.dial(), p.dial()
	exe := executable(t)
	cmd := exec.Command(exe, "capture", "-o", "-", "--headers", "--pdus", "1", "--commands", "CID_MSG_DATA,0x0999", "--set", "admin.address="+p.expect(`"msg":"admin"`)["address"].(string))
	cmd.Env = append(os.Environ(), asCommand+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begun(t, cmd)
	r := capture.NewReader(out)
	next := func() *capture.Record {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	for range 2 {
		if rec := next(); rec.Kind != capture.Joined {
			t.Fatalf("%+v", rec)
		}
	}
	a.settle() // not asked for
	m := chat(1, "secret")
	a.say(m)
	b.expect(m)
	if rec := next(); !bytes.Equal(rec.PDU, m[:pdu.HeaderLen]) || rec.Length != len(m) {
		t.Errorf("%+v", rec)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Error(err)
	}
	if s := r.Statistics(0); s.PDUs != 1 || s.Ended == "" {
		t.Errorf("%+v", s)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestCaptureRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir)
	address := "admin.address=" + p.expect(`"msg":"admin"`)["address"].(string)
	file := filepath.Join(dir, "c.pcapng")
	for _, c := range []struct {
		code int
		args []string
		want string
	}{
		{exitUsage, []string{"-o", file, "--tenant", "acme", "--set", address}, `unknown tenant "acme"; known tenants: default`},
		{exitUsage, []string{"-o", file, "--bytes", "many", "--set", address}, "--bytes many"},
		{exitUnavailable, []string{"-o", file, "--set", "admin.address=127.0.0.1:1"}, "does switchyard serve"},
		{exitUnavailable, []string{"-o", file, "--set", "admin.address="}, "admin.address is empty"},
		{exitUnavailable, []string{"-o", file, "--set", "admin.address=127.0.0.1:0"}, "say which"},
		{exitConfig, []string{"-o", file, "--set", "admin.address=0.0.0.0:1"}, "loopback"},
		{exitData, []string{"-o", filepath.Join(dir, "nowhere", "c.pcapng"), "--set", address}, "no such file or directory"},
	} {
		_, stderr := runHere(t, c.code, append([]string{"capture"}, c.args...)...)
		if !strings.Contains(stderr, c.want) {
			t.Errorf("%v: %q, want %q", c.args, stderr, c.want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// A start that cannot have admin's address is refused; without one it serves.
func TestAdminAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, stderr := runHere(t, exitUnavailable, "--listen", "127.0.0.1:0", "--set", "admin.address="+l.Addr().String())
	if !strings.Contains(stderr, l.Addr().String()) || !strings.Contains(stderr, "--set admin.address=") {
		t.Errorf("stderr is %q", stderr)
	}
	p := start(t, t.TempDir(), "--set", "admin.address=")
	p.dial()
	if n := p.count(`"msg":"admin"`); n > 0 {
		t.Error("it listens for operators though the address is empty")
	}
}

// The commands of the document run, one after the other, while peers talk; those that
// are not switchyard only with the tag full.
func TestCommandsOfCaptureDocument(t *testing.T) {
	p := start(t, t.TempDir())
	address := "SWITCHYARD_ADMIN__ADDRESS=" + p.expect(`"msg":"admin"`)["address"].(string)
	a, b := p.dial(), p.dial()
	deploy, err := filepath.Abs(filepath.Join(root, "deploy"))
	if err != nil {
		t.Fatal(err)
	}
	text := document(t, filepath.Join(root, "docs", "capture.md"))
	t.Chdir(t.TempDir())
	if err := os.Symlink(deploy, "deploy"); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, example := range examplesOf(text) {
		if example.language != "sh" {
			continue
		}
		for _, line := range example.lines {
			line = strings.Replace(line, "--time 10s", "--pdus 1", 1) // to be quicker
			ran++
			words := strings.Fields(line)
			switch {
			case words[0] != "switchyard" && !full:
				continue
			case words[0] != "switchyard":
				if out, err := exec.Command("sh", "-c", "HOME=. "+line).CombinedOutput(); err != nil || !strings.Contains(string(out), "CID_MSG_DATA") && !strings.Contains(line, "-T fields") {
					t.Errorf("$ %s: %v\n%s", line, err, out)
				}
				continue
			}
			var out bytes.Buffer
			done := make(chan int, 1)
			go func() { done <- run(words[1:], []string{address}, &out, &out) }()
			for running := true; running; {
				a.say(chat(1, "hello"))
				b.expect(chat(1, "hello"))
				select {
				case code := <-done:
					if running = false; code != 0 {
						t.Errorf("$ %s: exit code %d\n%s", line, code, out.String())
					}
				default:
				}
			}
		}
	}
	if ran < 6 {
		t.Errorf("%d commands were run, want all", ran)
	}
}

// A folder that cannot be written to is found before anything is recorded, and before the
// server is asked.
func TestCaptureChecksItsFolder(t *testing.T) {
	t.Parallel()
	out, stderr := runHere(t, exitData, "capture", "-o", filepath.Join(t.TempDir(), "nowhere", "x.pcapng"))
	if out != "" || !strings.Contains(stderr, "nowhere") || !strings.Contains(stderr, "nothing was recorded") {
		t.Errorf("got %q, %q", out, stderr)
	}
}
