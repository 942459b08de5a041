//go:build full

package rust_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/plugins/sdk/sdktest"
)

const target = "wasm32-unknown-unknown"

// compiler returns a rustc that has the target. The one of rustup may be first in the
// path and lack it.
func compiler(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		lib, err := exec.Command(name, "--print", "target-libdir", "--target", target).Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(strings.TrimSpace(string(lib))); err != nil {
			continue
		}
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Fatal("there is no rustc with the target " + target + ": apt-get install rustc libstd-rust-dev-wasm32 lld")
	return ""
}

func TestUnitTests(t *testing.T) {
	tests := filepath.Join(t.TempDir(), "tests")
	sdktest.Run(t, ".", compiler(t), "--edition", "2021", "-D", "warnings", "-O", "--test", "-o", tests, "src/lib.rs")
	sdktest.Run(t, ".", tests)
}

// The README's policy builds with each of its commands and decides as the README says.
func TestREADME(t *testing.T) {
	rustc := compiler(t)
	t.Setenv("PATH", filepath.Dir(rustc)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("CARGO_NET_OFFLINE", "true")
	dir := t.TempDir()
	t.Setenv("CARGO_TARGET_DIR", filepath.Join(dir, "target"))
	for _, part := range []string{"Cargo.toml", "src"} {
		sdktest.Run(t, ".", "cp", "-R", part, filepath.Join(made(t, filepath.Join(dir, "sdk")), part))
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(rustc), "cargo")); err != nil {
		t.Fatalf("there is no cargo beside %s: apt-get install cargo", rustc)
	}
	for _, line := range sdktest.WriteREADME(t, "README.md", dir) {
		t.Run(line, func(t *testing.T) { sdktest.Run(t, dir, "sh", "-c", line) })
	}
	for _, module := range []string{"policy.wasm", "target/" + target + "/release/policy.wasm"} {
		t.Run(module, func(t *testing.T) { sdktest.AskREADME(t, filepath.Join(dir, module)) })
	}
}

func made(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
