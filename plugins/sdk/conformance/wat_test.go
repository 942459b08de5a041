//go:build full

package conformance

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/plugins/sdk/sdktest"
)

// The committed modules are what wat2wasm makes of the text beside them.
func TestGuestsAreBuiltFromTheirSource(t *testing.T) {
	wat2wasm := sdktest.Tool(t, "wat2wasm", "apt-get install wabt")
	sources, err := filepath.Glob("testdata/*.wat")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for _, source := range sources {
		built := filepath.Join(t.TempDir(), "built.wasm")
		if out, err := exec.Command(wat2wasm, source, "-o", built).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", source, err, out)
			continue
		}
		got, err := os.ReadFile(built)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(source, ".wat") + ".wasm")
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("what wat2wasm makes of %s is not what is beside it (%v)", source, err)
		}
	}
}
