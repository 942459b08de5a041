package toolchain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tools sets PATH to a folder of fake compilers. Each logs its arguments and writes a
// module where the compiler would.
func tools(t *testing.T, names ...string) (log string) {
	t.Helper()
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	for _, name := range names {
		save(t, filepath.Join(dir, name), fmt.Sprintf(`#!/bin/sh
case "$*" in *--print*) echo "$TARGET_LIBRARY"; exit ;; esac
echo "%s $*" >>%s
while [ $# -gt 0 ]; do
	case $1 in
	-o) printf module >"$2" ;;
	--target-dir) /bin/mkdir -p "$2/wasm32-unknown-unknown/release" && printf module >"$2/wasm32-unknown-unknown/release/policy.wasm" ;;
	esac
	shift
done
`, name, log), 0o755)
	}
	t.Setenv("PATH", dir)
	t.Setenv("TARGET_LIBRARY", dir)
	old := debianRust
	t.Cleanup(func() { debianRust = old })
	debianRust = filepath.Join(dir, "debian", "rustc")
	return log
}

// Build runs the commands that the README of each SDK shows.
func TestCommands(t *testing.T) {
	for _, c := range []struct {
		name   string
		files  []string
		tools  []string
		readme string
		more   string // that the README does not have
	}{
		{"go", []string{"go.mod"}, []string{"go"}, "go", "-trimpath -buildvcs=false "},
		{"c", []string{"policy.c", "policy_test.c"}, []string{"clang", "wasm-ld"}, "c", ""},
		{"cargo", []string{"Cargo.toml", "src/lib.rs", "sdk/src/lib.rs"}, []string{"cargo", "rustc"}, "rust", "--target-dir SCRATCH "},
		{"rustc", []string{"Cargo.toml", "src/lib.rs", "sdk/src/lib.rs"}, []string{"rustc"}, "rust", ""},
		{"assemblyscript", []string{"package.json", "policy.ts"}, []string{"asc", "node"}, "assemblyscript", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := tools(t, c.tools...)
			var output bytes.Buffer
			module, err := Build(context.Background(), folder(t, c.files...), &output)
			if err != nil || string(module) != "module" {
				t.Fatalf("got %q, %v; %s", module, err, output.String())
			}
			ran, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			readme, err := os.ReadFile(filepath.Join("..", "sdk", c.readme, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(ran)) {
				line = plain(line, c.more)
				if !strings.Contains(strings.ReplaceAll(string(readme), "'", ""), line) {
					t.Errorf("plugins/sdk/%s/README.md does not say what is run: %s", c.readme, line)
				}
			}
		})
	}
}

var scratch = regexp.MustCompile(`[^ =]*/switchyard-build-[0-9]+`)

// plain returns a command as a README shows it.
func plain(line, more string) string {
	line = scratch.ReplaceAllString(strings.TrimSpace(line), "SCRATCH")
	line = strings.NewReplacer("SCRATCH/", "", " ./", " ").Replace(line)
	return strings.TrimSpace(strings.Replace(line+" ", more, "", 1))
}

// The compiler that npm put into the folder takes precedence over one in PATH.
func TestLocalCompiler(t *testing.T) {
	log := tools(t, "node")
	dir := folder(t, "package.json", "policy.ts")
	save(t, filepath.Join(dir, "node_modules", ".bin", "asc"), "#!/bin/sh\necho local >"+log+"\nprintf module >\"$8\"\n", 0o755)
	t.Chdir(filepath.Dir(dir))
	if module, err := Build(context.Background(), filepath.Base(dir), &bytes.Buffer{}); err != nil || string(module) != "module" {
		t.Errorf("got %q, %v", module, err)
	}
}

// Build uses Debian's compiler if the one in PATH lacks the library for the target.
func TestDebianRust(t *testing.T) {
	log := tools(t, "rustc", "rust-lld")
	t.Setenv("TARGET_LIBRARY", "/nowhere")
	save(t, debianRust, "#!/bin/sh\ncase \"$*\" in *--print*) echo /; exit ;; esac\necho debian >"+log+"\nfor o; do :; done\nwhile [ \"$1\" != -o ]; do shift; done\nprintf module >\"$2\"\n", 0o755)
	if module, err := Build(context.Background(), folder(t, "policy.rs"), &bytes.Buffer{}); err != nil || string(module) != "module" {
		t.Errorf("got %q, %v", module, err)
	}
	if err := os.Remove(filepath.Join(os.Getenv("PATH"), "rust-lld")); err != nil {
		t.Fatal(err)
	}
	_, err := Build(context.Background(), folder(t, "policy.rs"), &bytes.Buffer{})
	if missing, ok := errors.AsType[*MissingError](err); !ok || missing.Tool != "rust-lld" {
		t.Errorf("without a linker: %v", err)
	}
}

func TestMissingTools(t *testing.T) {
	for _, c := range []struct {
		files, tools  []string
		tool, install string
	}{
		{[]string{"go.mod"}, nil, "go", "https://go.dev/dl/"},
		{[]string{"policy.c"}, nil, "clang", "apt-get install clang lld"},
		{[]string{"policy.c"}, []string{"clang"}, "wasm-ld", "apt-get install clang lld"},
		{[]string{"policy.rs"}, nil, "rustc", "rustup target add wasm32-unknown-unknown"},
		{[]string{"Cargo.toml"}, []string{"cargo"}, "rustc", "apt-get install rustc libstd-rust-dev-wasm32 lld"},
		{[]string{"package.json", "policy.ts"}, nil, "node", "apt-get install nodejs npm"},
		{[]string{"package.json", "policy.ts"}, []string{"node"}, "asc", "npm install"},
	} {
		tools(t, c.tools...)
		_, err := Build(context.Background(), folder(t, c.files...), &bytes.Buffer{})
		missing, ok := errors.AsType[*MissingError](err)
		if !ok || !strings.Contains(missing.Tool, c.tool) || !strings.Contains(missing.Install, c.install) {
			t.Errorf("%v with %v: got %v, want %s and %q", c.files, c.tools, err, c.tool, c.install)
		}
	}
}

// Build passes on the output of the compiler and removes its files.
func TestDoesNotCompile(t *testing.T) {
	tools(t)
	t.Setenv("TMPDIR", t.TempDir())
	save(t, filepath.Join(os.Getenv("PATH"), "go"), "#!/bin/sh\necho main.go:3: syntax error >&2\nexit 1\n", 0o755)
	var output bytes.Buffer
	_, err := Build(context.Background(), folder(t, "go.mod"), &output)
	if !errors.Is(err, errNotBuilt) || output.String() != "main.go:3: syntax error\n" {
		t.Errorf("got %v, printed %q", err, output.String())
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) != 0 {
		t.Errorf("left in the temporary folder: %v", left)
	}
}

// The source is missing, or there are several.
func TestNoSource(t *testing.T) {
	tools(t, "clang", "wasm-ld", "rustc", "node", "asc")
	for _, c := range []struct {
		files []string
		want  string
	}{
		{[]string{"policy_test.c"}, "has no *.c to compile but tests"},
		{[]string{"a.rs", "b.rs"}, "has no src/lib.rs and 2 other sources"},
		{[]string{"package.json"}, "has no policy.ts"},
	} {
		if _, err := Build(context.Background(), folder(t, c.files...), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.files, err, c.want)
		}
	}
}
