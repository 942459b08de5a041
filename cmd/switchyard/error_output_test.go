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
