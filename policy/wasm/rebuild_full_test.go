//go:build full

package wasm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuestsAreBuiltFromTheirSource holds the committed modules equal to what
// wat2wasm makes of their text.
func TestGuestsAreBuiltFromTheirSource(t *testing.T) {
	wat2wasm, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Fatal("wat2wasm is not installed (Debian: wabt)")
	}
	sources, err := filepath.Glob("testdata/*.wat")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for _, source := range sources {
		built := filepath.Join(t.TempDir(), "built.wasm")
		if out, err := exec.Command(wat2wasm, "--debug-names", source, "-o", built).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", source, err, out)
			continue
		}
		got, err := os.ReadFile(built)
		if err != nil {
			t.Fatal(err)
		}
		committed := strings.TrimSuffix(source, ".wat") + ".wasm"
		want, err := os.ReadFile(committed)
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not what wat2wasm makes of %s", committed, source)
		}
	}
}
