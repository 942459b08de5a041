//go:build full

package conformance

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"switchyard/plugins/sdk/sdktest"
	"switchyard/plugins/toolchain"
)

// A language has an SDK in a folder beside this one.
type language struct {
	name string
	// copy copies an example and the SDK into an empty folder, arranged as an author would
	// arrange them, and returns the folder of the policy.
	copy func(t *testing.T, example, dir string) string
}

var languages = []language{
	{"go", copyGo},
	{"c", copyC},
	{"rust", copyRust},
	{"assemblyscript", copyAssemblyScript},
}

// example returns the module of an example, built outside of the repository and
// without a network.
func (l language) example(t *testing.T, example string) []byte {
	t.Helper()
	setOffline(t)
	var output bytes.Buffer
	module, err := toolchain.Build(t.Context(), l.copy(t, example, t.TempDir()), &output)
	if err != nil {
		t.Fatalf("%v\n%s", err, &output)
	}
	return module
}

// setOffline keeps builds from using the network and settings of this machine.
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

// copyAssemblyScript links the compiler that npm has put beside the SDK.
func copyAssemblyScript(t *testing.T, example, dir string) string {
	copyFiles(t, "../assemblyscript/assembly/*.ts", filepath.Join(dir, "assembly"))
	copyFiles(t, "../assemblyscript/package.json", filepath.Join(dir, "examples", example))
	copyFiles(t, "../assemblyscript/examples/"+example+"/*.ts", filepath.Join(dir, "examples", example))
	modules, err := filepath.Abs("../assemblyscript/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "examples", example, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "examples", example)
}

// goTool returns the go command.
func goTool(t *testing.T) string { return sdktest.Tool(t, "go", "https://go.dev/dl/") }

// clang returns the C compiler, which calls wasm-ld.
func clang(t *testing.T) string {
	sdktest.Tool(t, "wasm-ld", "apt-get install lld")
	return sdktest.Tool(t, "clang", "apt-get install clang lld")
}

// copyFiles copies the files that match the pattern into dir.
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
