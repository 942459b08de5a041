package scaffold

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/plugins/toolchain"
	"switchyard/proxy/cases"
)

func TestNew(t *testing.T) {
	for _, language := range toolchain.Languages {
		t.Run(string(language), func(t *testing.T) {
			dir := t.TempDir()
			if err := New(dir, "demo", language); err != nil {
				t.Fatal(err)
			}
			wantAlone(t, dir, "demo")
			folder := os.DirFS(filepath.Join(dir, "demo"))
			if got, err := toolchain.Detect(filepath.Join(dir, "demo")); err != nil || got != language {
				t.Errorf("it is taken for %q, %v", got, err)
			}
			if text := read(t, folder, kits[language].source); !bytes.Contains(text, []byte("CID_MSG_DATA")) {
				t.Errorf("%s routes nothing", kits[language].source)
			}
			if _, err := cases.Parse("cases.toml", read(t, folder, "cases.toml")); err != nil {
				t.Error(err)
			}
			if policy := `policy = "file:` + kits[language].served("demo") + `"`; !bytes.Contains(read(t, folder, "config.toml"), []byte(policy)) {
				t.Errorf("config.toml does not have %s", policy)
			}
			for _, step := range Steps("demo", language)[1:] {
				if !bytes.Contains(read(t, folder, "README.md"), []byte(step+"\n")) {
					t.Errorf("README.md does not have %s", step)
				}
			}
			noPlaceholders(t, folder)
		})
	}
}

// wantAlone checks that a folder contains these names and nothing else.
func wantAlone(t *testing.T, dir string, names ...string) {
	t.Helper()
	var got []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("in the folder are %q (%v), want %q", got, err, names)
	}
}

func read(t *testing.T, from fs.FS, name string) []byte {
	t.Helper()
	text, err := fs.ReadFile(from, name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func noPlaceholders(t *testing.T, folder fs.FS) {
	t.Helper()
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if text := read(t, folder, name); bytes.Contains(text, []byte("{{")) || path.Ext(name) == ".txt" {
			t.Errorf("%s is not filled in", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "a-1", "fn", "core", "a" + strings.Repeat("z", 39)} {
		if err := New(t.TempDir(), name, toolchain.Table); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "A", "1a", "-a", "a_b", "a.b", "a/b", "../a", "ä", "a\n", "a b", "$(a)", "a" + strings.Repeat("z", 40)} {
		dir := t.TempDir()
		if err := New(dir, name, toolchain.Table); !errors.Is(err, ErrName) {
			t.Errorf("%q: got %v, want %v", name, err, ErrName)
		}
		wantAlone(t, dir)
	}
}

// New leaves existing files unchanged.
func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		make func(name string) error
		want string
	}{
		"folder": {func(name string) error { return write(filepath.Join(name, "x"), nil) }, "is not empty"},
		"file":   {func(name string) error { return write(name, nil) }, "no folder"},
		"link":   {func(name string) error { return os.Symlink(".", name) }, "no folder"},
	} {
		dir := t.TempDir()
		if err := c.make(filepath.Join(dir, "demo")); err != nil {
			t.Fatal(err)
		}
		if err := New(dir, "demo", toolchain.Go); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		wantAlone(t, dir, "demo")
	}
	if err := New(filepath.Join(t.TempDir(), "nowhere"), "demo", toolchain.Go); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

func TestNewFillsEmptyFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "demo"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := New(dir, "demo", toolchain.C); err != nil {
		t.Fatal(err)
	}
	wantAlone(t, dir, "demo")
}

// The copy in a new folder is the SDK, file by file.
func TestCopyOfTheSDK(t *testing.T) {
	for language, copied := range map[toolchain.Language]map[string]string{
		toolchain.Go:             {"go/switchyard/*.go": "switchyard", "go/go.mod": "."},
		toolchain.C:              {"c/*.h": "."},
		toolchain.Rust:           {"rust/Cargo.toml": "sdk", "rust/src/*.rs": "sdk/src"},
		toolchain.AssemblyScript: {"assemblyscript/assembly/*.ts": "sdk"},
	} {
		all := contents("demo", language)
		for pattern, to := range copied {
			sources, err := filepath.Glob(filepath.Join("..", "sdk", filepath.FromSlash(pattern)))
			if err != nil || len(sources) == 0 {
				t.Fatalf("%s: no such file (%v)", pattern, err)
			}
			for _, source := range sources {
				want, err := os.ReadFile(source)
				if err != nil {
					t.Fatal(err)
				}
				name := path.Join(to, filepath.Base(source))
				got, there := all[name]
				if isTest := strings.HasSuffix(name, "_test.go"); isTest == there || there && !bytes.Equal(got, want) {
					t.Errorf("%s: %s is not %s%s", language, name, source, renewing(language))
				}
			}
		}
	}
}

// A new policy uses the version of the compiler that the SDK is tested with.
func TestVersionOfAssemblyScript(t *testing.T) {
	version := func(text []byte) string {
		var p struct{ DevDependencies map[string]string }
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		return p.DevDependencies["assemblyscript"]
	}
	want := version(read(t, os.DirFS("../sdk/assemblyscript"), "package.json"))
	if got := version(contents("demo", toolchain.AssemblyScript)["package.json"]); got == "" || got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Without cargo, the steps run the tests by the compiler.
func TestStepsWithoutCargo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if got := strings.Join(Steps("demo", toolchain.Rust), "\n"); strings.Contains(got, "cargo") || !strings.Contains(got, "rustc --edition 2021 --test ") {
		t.Errorf("got\n%s", got)
	}
}
