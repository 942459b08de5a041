//go:build full

package unicast

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestModuleIsBuiltFromSource(t *testing.T) {
	wat2wasm, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Fatal("wat2wasm is not installed: apt-get install wabt")
	}
	built := filepath.Join(t.TempDir(), "unicast.wasm")
	if output, err := exec.Command(wat2wasm, "--debug-names", "unicast.wat", "-o", built).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if got, err := os.ReadFile(built); err != nil || !bytes.Equal(got, Module) {
		t.Errorf("unicast.wasm is not what unicast.wat makes (%v); run go generate ./plugins/unicast", err)
	}
}
