//go:build full

package table

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// fields.wasm is what its source makes.
func TestFieldsModuleIsBuiltFromSource(t *testing.T) {
	wat2wasm, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Fatal("wat2wasm is not installed: apt-get install wabt")
	}
	built := filepath.Join(t.TempDir(), "fields.wasm")
	if output, err := exec.Command(wat2wasm, "fields.wat", "-o", built).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if got, err := os.ReadFile(built); err != nil || string(got) != string(fieldsModule) {
		t.Errorf("fields.wasm is not what fields.wat makes (%v); run go generate ./policy/table", err)
	}
}
