package conformance

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"switchyard/plugins/toolchain"
)

// A language is one that has an SDK in a folder beside this one.
type language struct {
	name string
	// copy copies an example and the SDK into an empty folder, as its author would
	// have them there, and returns where the policy is.
	copy func(t *testing.T, example, dir string) string
}

var languages = []language{
	{"go", copyGo},
	{"c", copyC},
	{"rust", copyRust},
	{"assemblyscript", copyAssemblyScript},
}

// example returns the module of an example, built outside of the repository and
// without a network, or skips the test.
func (l language) example(t *testing.T, example string) []byte {
	t.Helper()
	if _, err := os.Stat(filepath.Join("..", l.name, "examples", example)); err != nil {
		t.Skipf("there is no plugins/sdk/%s/examples/%s", l.name, example)
	}
	setOffline(t)
	var said bytes.Buffer
	module, err := toolchain.Build(t.Context(), l.copy(t, example, t.TempDir()), &said)
	var missing *toolchain.MissingError
	switch {
	case errors.As(err, &missing):
		t.Skip(missing)
	case err != nil:
		t.Fatalf("%v\n%s", err, &said)
	}
	return module
}

// setOffline keeps the network and what this machine has set from helping.
func setOffline(t *testing.T) {
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOPROXY", "off")
	t.Setenv("CARGO_NET_OFFLINE", "true")
}

func copyGo(t *testing.T, example, dir string) string {
	copyFiles(t, "../go/go.mod", dir)
	copyFiles(t, "../go/switchyard/*.go", filepath.Join(dir, "switchyard"))
	copyFiles(t, "../go/examples/"+example+"/*.go", dir)
	return dir
}

func copyC(t *testing.T, example, dir string) string {
	copyFiles(t, "../c/*.h", dir)
	copyFiles(t, "../c/examples/"+example+"/*.c", dir)
	return dir
}

func copyRust(t *testing.T, example, dir string) string {
	copyFiles(t, "../rust/src/*.rs", filepath.Join(dir, "sdk", "src"))
	copyFiles(t, "../rust/examples/"+example+"/*.rs", dir)
	return dir
}

// copyAssemblyScript lends the policy the compiler that npm has put beside the SDK.
func copyAssemblyScript(t *testing.T, example, dir string) string {
	copyFiles(t, "../assemblyscript/assembly/*.ts", filepath.Join(dir, "assembly"))
	copyFiles(t, "../assemblyscript/package.json", filepath.Join(dir, "examples", example))
	copyFiles(t, "../assemblyscript/examples/"+example+"/*.ts", filepath.Join(dir, "examples", example))
	modules, err := filepath.Abs("../assemblyscript/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err == nil {
		if err := os.Symlink(modules, filepath.Join(dir, "examples", example, "node_modules")); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "examples", example)
}

// goTool returns the go command, or skips the test.
func goTool(t *testing.T) string { return installed(t, "go", "https://go.dev/dl/") }

// clang returns it, or skips the test.
func clang(t *testing.T) string {
	installed(t, "wasm-ld", "apt-get install lld")
	return installed(t, "clang", "apt-get install clang lld")
}

func installed(t *testing.T, tool, install string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Skipf("%s is not installed: %s", tool, install)
	}
	return path
}

// copyFiles copies what the pattern names into dir.
func copyFiles(t *testing.T, pattern, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.FromSlash(pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no such files (%v)", pattern, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.MkdirAll(dir, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(name)), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// runIn runs a command and returns what it printed.
func runIn(t *testing.T, dir, tool string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool, args...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, said)
	}
	return string(said)
}
