package deploy

// What operators install, checked against the program and by the tools that they would
// use.

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const root = ".."

// scratch is removed at the end.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "switchyard-deploy"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// built is switchyard as it is installed, built once.
var built = sync.OnceValues(func() (string, error) {
	out := filepath.Join(scratch, "switchyard")
	build := exec.Command("go", "build", "-trimpath", "-o", out, "./cmd/switchyard")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(text))
	}
	return out, nil
})

// switchyard runs it to its end and returns its exit code and all that it printed.
func switchyard(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	exe, err := built()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	cmd.WaitDelay = time.Second
	text, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// execute runs a tool, which has to succeed, and returns what it printed.
func execute(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
	return string(text)
}

// tool finds a tool, or skips the test: it says how to get it.
func tool(t *testing.T, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed; apt-get install %s", name, from)
	}
	return path
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shipped returns the value that config.toml has of a key in a section; the program's
// own tests hold it equal to the default.
func shipped(t *testing.T, section, key string) string {
	t.Helper()
	_, text, ok := strings.Cut(read(t, filepath.Join(root, "config.toml")), "\n["+section+"]\n")
	if !ok {
		t.Fatalf("config.toml has no [%s]", section)
	}
	text, _, _ = strings.Cut(text, "\n[")
	value := regexp.MustCompile(`(?m)^` + key + ` = "?([^"\n]*)"?$`).FindStringSubmatch(text)
	if value == nil {
		t.Fatalf("config.toml has no %s.%s", section, key)
	}
	return value[1]
}

func shippedTime(t *testing.T, section, key string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(shipped(t, section, key))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
