package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"switchyard/plugins/teamtalk"
)

// A running is a demo in this process.
type running struct {
	stdout, stderr lockedBuffer
	stop           context.CancelFunc
	ended          chan error // holds one
	folder         string
}

// A lockedBuffer is written to and read by different goroutines.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// runDemo starts a demo, and waits until it has said what to do.
func runDemo(t *testing.T, folder string, usual usualAddresses) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	d := &running{stop: stop, ended: make(chan error, 1)}
	o := demoOptions{time: time.Hour, servers: 2, users: 20, rate: 200, program: "switchyard", usual: usual}
	go func() { d.ended <- o.run(ctx, folder, &d.stdout, &d.stderr) }()
	t.Cleanup(stop)
	eventually(t, func() bool { return strings.Contains(d.stdout.String(), "policy history\n\n") || len(d.ended) > 0 },
		func() string { return d.stdout.String() + d.stderr.String() })
	_, rest, _ := strings.Cut(d.stdout.String(), "  folder ")
	d.folder = strings.Fields(rest)[0]
	return d
}

// anyPorts are free at any time, so that tests do not meet at the usual ones.
var anyPorts = usualAddresses{"127.0.0.1:0", "127.0.0.1:0"}

// end stops the demo and waits for it.
func (d *running) end(t *testing.T) {
	t.Helper()
	d.stop()
	if err := <-d.ended; err != nil {
		t.Errorf("it ends with %v\n%s", err, d.stderr.String())
	}
	says(t, d.stdout.String(), "The msg_servers have sent ")
	says(t, d.stderr.String(), `"no longer listening"`, `"stopped"`)
}

// A demo whose usual ports are taken uses others. Its hub answers, its table is reloaded when it is
// saved, its policy can be rolled back, and nothing of it is left.
func TestDemo(t *testing.T) {
	t.Parallel()
	var taken [2]string
	for i := range taken {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		taken[i] = l.Addr().String()
	}
	d := runDemo(t, "", usualAddresses{taken[0], taken[1]})
	says(t, d.stdout.String(), taken[0]+" is taken", taken[1]+" is taken", "dashboard  http://127.0.0.1:", "removed at the end")
	config := filepath.Join(d.folder, "config.toml")
	ask := func(words ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := run(append(words, "--config", config), nil, &out, &out); code != exitStopped {
			t.Fatalf("%q: exit code %d\n%s", words, code, out.String())
		}
		return out.String()
	}
	says(t, ask("send", statusRequest, "user_id=1", "user_id_list=[1, 2]", "--expect", statusResponse, "--wait", "1m"), `"user_id":2`)
	says(t, ask("send", "CID_OTHER_HEARTBEAT", "--expect", "CID_MSG_DATA", "--wait", "1m"), `"from_user_id":`) // somebody writes
	replace(t, filepath.Join(d.folder, "routes.toml"), "[route]\nCID_MSG_DATA = \"broadcast-all\"\n")
	history := func() string { return ask("policy", "history") }
	eventually(t, func() bool { return strings.Contains(history(), "\n2 ") }, history)
	says(t, ask("policy", "rollback"), "rolled back")
	d.end(t)
	if _, err := os.Stat(d.folder); !os.IsNotExist(err) {
		t.Errorf("its folder is left: %v", err)
	}
}

// A folder that is given stays, and so does a table that somebody has edited. A demo ends by itself
// when its time is over.
func TestDemoFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "a demo")
	d := runDemo(t, folder, anyPorts)
	says(t, d.stdout.String(), "export SWITCHYARD_CONFIG='"+folder+"/config.toml'", folder+" (stays)")
	var second bytes.Buffer
	if code := run([]string{"demo", "--for", "1s", folder}, nil, &second, &second); code != exitData {
		t.Errorf("another demo in the folder: exit code %d, want %d", code, exitData)
	}
	says(t, second.String(), "end the demo that runs in it")
	d.end(t)
	table := filepath.Join(folder, "routes.toml")
	if got, err := os.ReadFile(table); err != nil || !bytes.Equal(got, teamtalk.Table) {
		t.Errorf("the table is\n%s\n%v", got, err)
	}
	const edited = "[route]\nCID_MSG_DATA = \"drop\"\n"
	write(t, table, edited)
	var out lockedBuffer
	o := demoOptions{time: time.Millisecond, servers: 1, users: 1, rate: 1, usual: anyPorts}
	if err := o.run(t.Context(), folder, &out, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	says(t, out.String(), "(1ms) or Ctrl-C", "The msg_servers have sent")
	if got, err := os.ReadFile(table); err != nil || string(got) != edited {
		t.Errorf("the edited table is\n%s\n%v", got, err)
	}
}

// Ctrl-C ends a demo in order. SIGUSR2 does not upgrade it.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	p := launch(t, exec.Command(executable(t), "demo", "--for", "1h", filepath.Join(t.TempDir(), "demo")))
	p.expect("session opened")
	p.signal(syscall.SIGUSR2)
	p.expect("upgrade failed", "part of another command")
	p.signal(syscall.SIGINT)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
}

func TestDemoRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	write(t, file, "# mine\n")
	pipe := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(pipe, "config.toml"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--for 1ms", exitUsage, "write a time from 1s to 24h"},
		{"--rate 0", exitUsage, "--rate 0: write a number from 1 to 10000"},
		{"--servers 101", exitUsage, "from 1 to 100"},
		{"--users -1", exitUsage, "from 1 to 100000"},
		{"--policy unicast", exitUsage, "--policy does not go with demo"},
		{"a b", exitUsage, `takes no argument "b"`},
		{dir, exitData, "name a new or empty folder"},
		{pipe, exitData, "name a new or empty folder"},
		{open, exitData, "has mode 0777, so others can change what is in it"},
		{file, exitData, "name another"},
		{filepath.Join(dir, "none", "demo"), exitData, "no such file"},
	} {
		var out bytes.Buffer
		args := append([]string{"demo"}, strings.Fields(c.args)...)
		if args[1] != "--for" {
			args = append(args, "--for", "1s") // if it is not refused, it ends soon
		}
		if code := run(args, nil, &out, &out); code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.args, code, c.code)
		}
		says(t, out.String(), c.says)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "# mine\n" {
		t.Errorf("the file is %q, %v", got, err)
	}
}

// The tour of the README has the commands that a demo prints.
func TestTourHasTheCommandsOfDemo(t *testing.T) {
	var out bytes.Buffer
	d := demoOptions{program: "go run ./cmd/switchyard"}
	d.introduce(&demoFolder{path: "/tmp/demo"}, &out)
	_, commands, _ := strings.Cut(out.String(), "terminal:\n\n")
	readme := document(t, filepath.Join(root, "README.md"))
	for line := range strings.Lines(strings.TrimRight(commands, "\n") + "\n") {
		if line = strings.TrimSpace(line); !strings.Contains(strings.ReplaceAll(readme, " \\\n    ", " "), line) {
			t.Errorf("README.md lacks %q", line)
		}
	}
}

// The folders of demos that were killed are removed by a later one. Others stay: one in which a demo may
// still run, and what only has such a name.
func TestLeftDemoFoldersAreRemoved(t *testing.T) {
	t.Parallel()
	parent, now := t.TempDir(), time.Now()
	folders := map[string]struct {
		text string
		age  time.Duration
		left bool
	}{
		"switchyard-demo-1": {demoHeader + "[admin]\n", leftAfter + time.Minute, false},
		"switchyard-demo-2": {demoHeader, leftAfter - time.Minute, true},
		"switchyard-demo-3": {"[admin]\n", leftAfter + time.Minute, true},
		"switchyard-4":      {demoHeader, leftAfter + time.Minute, true},
		"switchyard-demo-5": {"# Written by 'switchyard demo'. Saved changes take effect at once.\n", leftAfter + time.Minute, false}, // of an earlier release
	}
	for name, c := range folders {
		f := demoFolder{path: filepath.Join(parent, name)}
		if err := os.Mkdir(f.path, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, f.config(), c.text)
		if err := os.Chtimes(f.config(), now, now.Add(-c.age)); err != nil {
			t.Fatal(err)
		}
	}
	removeLeftFolders(parent, now)
	for name, c := range folders {
		if _, err := os.Stat(filepath.Join(parent, name)); (err == nil) != c.left {
			t.Errorf("%s: %v", name, err)
		}
	}
	removeLeftFolders(filepath.Join(parent, "none"), now)
}
