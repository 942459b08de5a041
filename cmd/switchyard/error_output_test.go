package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/policy/sanitize"
)

// With --watch, an error that quotes a very long value loses its middle, as it does without.
func TestWatchShortensErrors(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	long := "begin " + strings.Repeat("x", 1<<20) + " end"
	out := &stopAt{text: "watching", stop: cancel}
	err := watched{
		list:   func() ([]string, error) { return nil, nil },
		run:    func(context.Context) error { return errors.New(long) },
		stderr: out,
	}.loop(ctx)
	if want := "switchyard: " + sanitize.Shorten(long) + "\n"; err != nil || !strings.HasPrefix(out.String(), want) {
		t.Errorf("%v; it prints %d bytes, want %q at first", err, out.Len(), want)
	}
}

// A stopAt calls stop when a text is written to it.
type stopAt struct {
	bytes.Buffer
	text string
	stop func()
}

func (w *stopAt) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.text)) {
		w.stop()
	}
	return w.Buffer.Write(p)
}

// Names of files that could not be printed are an error, whatever is printed after them.
func TestFormatToAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := []string{filepath.Join(dir, "a.toml"), filepath.Join(dir, "b.toml")}
	for _, name := range names {
		write(t, name, "[route]\nelse   = \"drop\"\n")
	}
	f := formatOptions{}
	if err := f.files(names, &fullOnce{}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("the error is %v", err)
	}
}

// A fullOnce fails at the first write.
type fullOnce struct{ written bool }

func (w *fullOnce) Write(p []byte) (int, error) {
	if !w.written {
		w.written = true
		return 0, fs.ErrInvalid
	}
	return len(p), nil
}

// A command whose result could not be printed does not succeed.
func TestLostResultIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write(t, in("config.toml"), "[tenant.default]\n")
	write(t, in("routes.toml"), "[route]\nCID_MSG_DATA = \"drop\"\n")
	write(t, in("cases.toml"), "[peers]\nA = {}\n[[case]]\nname = \"dropped\"\ncommand = \"CID_MSG_DATA\"\nfrom = \"A\"\nexpect = { action = \"drop\" }\n")
	write(t, in("msgserver.conf"), "RouteServerIP1=127.0.0.1\nRouteServerPort1=8200\n")
	for _, args := range [][]string{
		{"check", "--config", in("config.toml")},
		{"policy", "test", in("routes.toml"), in("cases.toml")},
		{"msgserver", "check", in("msgserver.conf")},
		{"version"}, {"help"}, {"check", "--help"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(args, nil, &stdout, &stderr); code != exitStopped {
			t.Errorf("%q: exit code %d, %s", args, code, stderr.String())
		}
		stderr.Reset()
		if code := run(args, nil, &fullOnce{}, &stderr); code != exitForced || !strings.Contains(stderr.String(), fs.ErrInvalid.Error()) {
			t.Errorf("%q to a full disk: exit code %d, %s", args, code, stderr.String())
		}
	}
}
