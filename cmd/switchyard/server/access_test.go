package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/admission"
	"switchyard/proxy/config"
	"switchyard/proxy/logsample"
	"switchyard/proxy/logtest"
)

// accessLines reads the lines of an access log, each of which is an object.
func accessLines(t *testing.T, path string) (lines []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, one)
	}
	return lines
}

// closeWhole closes the file when all lines are in it, however long a busy machine takes for that.
func closeWhole(t *testing.T, f *accessFile) {
	t.Helper()
	f.close()
	select {
	case <-f.lines.done:
	case <-time.After(time.Minute):
		t.Fatal("the lines are not written")
	}
}

// What peers make long or strange is one line of bounded length.
func TestAccessLinesAreBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	f, err := openAccess(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a := new(accessLog)
	a.refused(admission.Refusal{Reason: admission.NotAllowed}) // without a file
	a.file.Store(f)
	long := strings.Repeat("x\n\xff", 10_000)
	names := make([]string, 100)
	for i := range names {
		names[i] = long
	}
	a.refused(admission.Refusal{Reason: admission.Unclaimed, Peer: "192.0.2.1:5", ServerName: long, Identities: names, Error: long})
	closeWhole(t, f)
	text, err := os.ReadFile(path)
	if err != nil || len(text) > 100_000 || bytes.Count(text, []byte("\n")) != 1 {
		t.Errorf("%d bytes, %d lines, %v", len(text), bytes.Count(text, []byte("\n")), err)
	}
	l := accessLines(t, path)[0]
	if l["event"] != "refused" || l["reason"] != "unclaimed" || len(l["identities"].([]any)) != mostIdentities {
		t.Errorf("got %v", l)
	}
	if len(names[0]) != len(long) {
		t.Error("the caller's names were changed")
	}
}

// Clients that are refused again and again get a few lines a second, and one for the others.
func TestAccessLogOfManyRefusals(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	f, err := openAccess(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a := new(accessLog)
	a.file.Store(f)
	for range 1000 {
		a.refused(admission.Refusal{Reason: admission.SourceRate, Peer: "192.0.2.1:5"})
	}
	a.flush()
	closeWhole(t, f)
	lines := accessLines(t, path)
	if len(lines) != logsample.Burst+1 {
		t.Fatalf("%d lines, want %d: %v", len(lines), logsample.Burst+1, lines)
	}
	if l := lines[logsample.Burst]; l["reason"] != "source-rate" || l["connections"] != float64(1000-logsample.Burst) || l["peer"] != nil {
		t.Errorf("the last line is %v", l)
	}
}

// A renamed file gets no more lines once the log was opened again. If that fails, the file that is open
// gets them.
func TestAccessLogIsReopened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, moved := filepath.Join(dir, "sub", "access.log"), filepath.Join(dir, "sub", "access.log.1")
	if _, err := openAccess(path, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "make the folder") {
		t.Errorf("without the folder: %v", err)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	logged := new(logtest.Lines)
	f, err := openAccess(path, slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	a := new(accessLog)
	a.file.Store(f)
	if _, err := f.Write([]byte("{\"n\":1}\n")); err != nil { // as the goroutine of lines does
		t.Fatal(err)
	}
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("{\"n\":2}\n"))
	a.reopen()
	f.Write([]byte("{\"n\":3}\n"))
	if before, now := accessLines(t, moved), accessLines(t, path); len(before) != 2 || len(now) != 1 {
		t.Errorf("%d lines before, %d in the new file, want 2 and 1", len(before), len(now))
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	a.reopen()
	if _, err := f.Write([]byte("{\"n\":4}\n")); err != nil {
		t.Errorf("without the folder: %v", err)
	}
	if !logged.Has("the access log cannot be reopened; lines go to the previous file", path) {
		t.Errorf("log: %s", logged)
	}
	closeWhole(t, f)
}

// A file that the server reads is not an access log, by whatever path, as its lines would become a part of
// the configuration, or tokens. A folder and a pipe that no program reads are refused with a remedy.
func TestAccessLogThatIsSomethingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"config.toml", "routes.toml", "operate.token", "metrics.token"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("operate.token", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if l, err := net.Listen("unix", filepath.Join(dir, "s")); err != nil {
		t.Fatal(err)
	} else {
		defer l.Close()
	}
	c := config.Default()
	c.Path = filepath.Join(dir, "config.toml")
	c.Admin.OperateTokenFile, c.Metrics.TokenFile = "operate.token", "metrics.token"
	c.Tenants[0].Policy = "file:routes.toml"
	for name, want := range map[string]string{
		"access.log":          "",
		"config.toml":         "name another file",
		"./folder/../link":    "name another file",
		"operate.token":       "name another file",
		"metrics.token":       "name another file",
		"s":                   "is a socket",
		"routes.toml":         "name another file",
		"folder":              "name a file in it",
		"missing/access.log":  "make it, or name another file",
		filepath.Dir(c.Path):  "name a file in it",
		"folder/../folder/./": "name a file in it",
	} {
		c.Log.AccessFile = name
		p := &plan{config: c, server: &server{log: slog.New(slog.DiscardHandler)}}
		f, opened := p.prepareAccess()
		f.close()
		checked := checkAccess(c)
		if (checked == nil) != (want == "") || (opened == nil) != (want == "") || want != "" && !strings.Contains(checked.Error(), want) {
			t.Errorf("%s: check says %v, want %q; a reload says %v", name, checked, want, opened)
		}
	}
	if _, err := openAccess(filepath.Join(dir, "folder"), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "name a file in it") {
		t.Errorf("a folder: %v", err)
	}
}

// Lines that a file loses while it is closed, after a reload has named another one, are counted, and the
// count never falls.
func TestAccessLogCountsWhatAClosingFileLoses(t *testing.T) {
	t.Parallel()
	out := &gatedRefusal{gate: make(chan struct{}), writing: make(chan struct{}, 1)}
	f := &accessFile{lines: newAsyncWriter(out)}
	f.lines.start(func(int) {})
	a := new(accessLog)
	a.exchange(f)
	f.write(accessLine{Event: "opened"})
	<-out.writing
	closeBefore := a.exchange(nil)
	if a.exchange(nil) != nil {
		t.Error("there is nothing to close")
	}
	closed := make(chan struct{})
	go func() {
		closeBefore()
		close(closed)
	}()
	if n := a.lost(); n != 0 {
		t.Errorf("%d lines are lost before the file refuses them", n)
	}
	close(out.gate)
	<-f.lines.done
	if n := a.lost(); n != 1 {
		t.Errorf("%d lines are lost, want 1", n)
	}
	<-closed
	if n := a.lost(); n != 1 || len(a.closing) != 0 {
		t.Errorf("%d lines are lost after the close, want 1; %d files are being closed", n, len(a.closing))
	}
}

// A gatedRefusal refuses what is written once its gate is closed.
type gatedRefusal struct{ gate, writing chan struct{} }

func (g *gatedRefusal) Write([]byte) (int, error) {
	g.writing <- struct{}{}
	<-g.gate
	return 0, errors.New("the disk is full")
}

// A file with other content is refused, and stays as it is: by check, by a start or a reload, and when a
// SIGHUP opens the log again. The fault has the line of the key.
func TestAccessLogSpoilsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, configuration := filepath.Join(dir, "access.log"), filepath.Join(dir, "config.toml")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(configuration, "[log]\naccess_file = \"access.log\"\n")
	c, err := config.Load(configuration, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{server: newServer(nil, nil), config: c}
	p.server.log = slog.New(slog.DiscardHandler)
	const line = `{"time":"2026-01-02T03:04:05Z","event":"opened","tenant":"a"}` + "\n"
	for name, text := range map[string]string{"users": "root:x:0:0:root:/root:/bin/sh\n", "key": "-----BEGIN PRIVATE KEY-----\n", "another log": `{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"serving"}` + "\n",
		"a mention": "see " + line, "far below": strings.Repeat("\n", 64<<10) + line} {
		write(path, text)
		_, err := p.prepareAccess()
		for _, err := range []error{checkAccess(c), err} {
			if want := configuration + ":2: log.access_file: " + path + " has other content than an access log"; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s: the file has %d bytes, %v, want %d", name, len(got), err, len(text))
		}
	}
	for name, text := range map[string]string{"empty": "", "a log": line, "a log whose first line was cut": line[20:] + line} {
		write(path, text)
		f, err := p.prepareAccess()
		if err != nil || checkAccess(c) != nil {
			t.Fatalf("%s: %v, %v", name, err, checkAccess(c))
		}
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		write(path, "root:x:0:0\n")
		f.reopen.Store(true)
		f.Write([]byte(line)) // as the goroutine of lines does
		closeWhole(t, f)
		if got, err := os.ReadFile(path + ".1"); err != nil || string(got) != text+line {
			t.Errorf("%s: the log before is %q, %v", name, got, err)
		}
	}
}
