package pb_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

const remedy = "run: go generate ./pdu/pb"

// The generator's result in another folder is what is committed here.
func TestGeneratedCodeIsThatOfItsSources(t *testing.T) {
	readSources(t)
	fresh := t.TempDir()
	run := exec.CommandContext(t.Context(), "go", "run", "-C", "gen", ".", "-in", "..", "-out", fresh)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("run the generator (it needs the module proxy once): %v\n%s", err, out)
	}

	got, want := generated(t, "."), generated(t, fresh)
	if !slices.Equal(got, want) {
		t.Fatalf("generated files: got %q, want %q; %s", got, want, remedy)
	}
	for _, name := range want {
		if !bytes.Equal(read(t, name), read(t, filepath.Join(fresh, name))) {
			t.Errorf("%s is not what its .proto file gives; %s", name, remedy)
		}
	}
}

// readSources reads what the generator will read in a process of its own, so
// that go test does not take an older result for this one.
func readSources(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"*.proto", "gen/*"} {
		for _, name := range glob(t, pattern) {
			read(t, name)
		}
	}
}

func generated(t *testing.T, dir string) []string {
	t.Helper()
	names := glob(t, filepath.Join(dir, "*.pb.go"))
	for i, name := range names {
		names[i] = filepath.Base(name)
	}
	return names
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	return names
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
