package toolchain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/plugins/teamtalk"
	"switchyard/policy/tomlpos"
)

// folder returns a new folder with empty files of these names.
func folder(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		save(t, filepath.Join(dir, name), "", 0o644)
	}
	return dir
}

func save(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		files []string
		want  Language
	}{
		{[]string{"routes.toml", "config.toml", "cases.toml"}, Table},
		{[]string{"go.mod", "main.go", "switchyard/scan.go"}, Go},
		{[]string{"policy.c", "switchyard.h"}, C},
		{[]string{"Cargo.toml", "src/lib.rs"}, Rust},
		{[]string{"policy.rs"}, Rust},
		{[]string{"package.json", "policy.ts"}, AssemblyScript},
		{[]string{"asconfig.json", "package.json"}, AssemblyScript},
	} {
		if got, err := Detect(folder(t, c.files...)); err != nil || got != c.want {
			t.Errorf("%v: got %q, %v, want %q", c.files, got, err, c.want)
		}
	}
}

func TestDetectRefuses(t *testing.T) {
	for _, c := range []struct {
		files []string
		want  string
	}{
		{nil, "holds no policy: there is neither routes.toml, go.mod,"},
		{[]string{"README.md", "go.mod/x"}, "holds no policy"},
		{[]string{"routes.toml", "go.mod", "a.c"}, "in more than one language: routes.toml, go.mod, a.c;"},
	} {
		if got, err := Detect(folder(t, c.files...)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %q, %v, want %q", c.files, got, err, c.want)
		}
	}
	if _, err := Detect(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nowhere: %v", err)
	}
}

func TestBuildTable(t *testing.T) {
	dir := t.TempDir()
	routes := filepath.Join(dir, RoutesFile)
	save(t, routes, string(teamtalk.Table), 0o644)
	for _, path := range []string{routes, dir} {
		got, err := Build(context.Background(), path, io.Discard)
		if err != nil || !bytes.Equal(got, teamtalk.Module) {
			t.Errorf("%s: got %d bytes, %v, want teamtalk's module", path, len(got), err)
		}
	}
	save(t, routes, "[route]\nCID_MSG_DAT = \"drop\"\n", 0o644)
	_, err := Build(context.Background(), dir, io.Discard)
	if _, ok := errors.AsType[tomlpos.Errors](err); !ok || !strings.Contains(err.Error(), "routes.toml:2: ") {
		t.Errorf("a faulty table: %v", err)
	}
}

func TestBuildRefuses(t *testing.T) {
	dir := folder(t, "p.wasm", "policy.c", "empty.toml/x")
	save(t, filepath.Join(dir, "large.toml"), strings.Repeat("#", maxTable+1), 0o644)
	for name, want := range map[string]string{
		"p.wasm":     "is built already",
		"policy.c":   "name a table, or the folder",
		"nowhere":    "no such file",
		"empty.toml": "holds no policy",
		"large.toml": "too large",
	} {
		_, err := Build(context.Background(), filepath.Join(dir, name), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}
