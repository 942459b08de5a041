package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A watched command runs again when a file changes, and when one appears; an error of one run is
// printed, and only one that no file can mend ends it.
func TestWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	save(t, dir, "a.txt", "1")
	var stderr lockedBuffer
	runs := make(chan string, 1)
	w := watched{
		list: func() ([]string, error) { return filepath.Glob(filepath.Join(dir, "*.txt")) },
		run: func(context.Context) error {
			files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
			if err != nil {
				return err
			}
			text := ""
			for _, name := range files {
				content, _ := os.ReadFile(name)
				text += string(content)
			}
			runs <- text
			if text == "43" {
				return errors.New("it does not compile")
			}
			return nil
		},
		stderr: &stderr,
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.loop(ctx) }()
	// A save may be noticed in two parts, so that a run may be repeated.
	await := func(want string) {
		t.Helper()
		deadline := time.After(patience)
		for {
			select {
			case got := <-runs:
				if got == want {
					return
				}
			case err := <-ended:
				t.Fatalf("it ended: %v", err)
			case <-deadline:
				t.Fatalf("there was no run with %q", want)
			}
		}
	}
	await("1")
	save(t, dir, "a.txt", "2")
	await("2")
	save(t, dir, "b.txt", "3")
	await("23")
	// A second notice of a.txt may have caused that run, and nothing notices that b.txt goes until it is
	// watched.
	for deadline := time.After(patience); !strings.Contains(stderr.String(), "watching 2 files"); {
		select {
		case <-runs:
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatal("the new file is not watched")
		}
	}
	save(t, dir, "a.txt", "4")
	await("43")
	if err := os.Remove(filepath.Join(dir, "b.txt")); err != nil {
		t.Fatal(err)
	}
	await("4")
	cancel()
	for open := true; open; {
		select {
		case <-runs:
		case err := <-ended:
			if open = false; err != nil {
				t.Errorf("ended with %v", err)
			}
		}
	}
	for _, want := range []string{"a.txt changed\n", "b.txt changed\n", "switchyard: it does not compile\n", "watching 2 files; Ctrl-C ends it\n"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, stderr.String())
		}
	}
	lasting := usageError{errors.New("no such flag")}
	w.run = func(context.Context) error { return lasting }
	if err := w.loop(t.Context()); !errors.Is(err, lasting) {
		t.Errorf("a wrong command line ends with %v", err)
	}
}

// Of a folder the sources are watched, and not what tools make of them.
func TestFilesOfPolicies(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"main.go", "sub/b.go", "policy.wasm", ".git/config", "target/x", ".swp"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		save(t, dir, name, "")
	}
	save(t, dir, "routes.toml", `extends = "base.toml"`)
	save(t, dir, "base.toml", `extends = "teamtalk"`)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{dir}, []string{"base.toml", "main.go", "routes.toml", "sub/b.go"}},
		{[]string{filepath.Join(dir, "routes.toml"), filepath.Join(dir, "cases.toml"), `{"a": 1}`, ""}, []string{"base.toml", "cases.toml", "routes.toml"}},
		{[]string{"teamtalk", filepath.Join(dir, "cases.toml")}, []string{"cases.toml"}},
	} {
		files, err := filesOf(c.args[0], c.args[1:]...)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range files {
			files[i], _ = filepath.Rel(dir, name)
		}
		if slices.Sort(files); !slices.Equal(files, c.want) {
			t.Errorf("%q: %q, want %q", c.args, files, c.want)
		}
	}
}
