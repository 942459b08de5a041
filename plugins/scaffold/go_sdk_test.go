package scaffold

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/plugins/toolchain"
)

// The SDK for Go is a module of its own, so this module cannot embed its files. It embeds
// a copy, which this flag renews.
var update = flag.Bool("update", false, "copy the Go SDK again")

func TestMain(m *testing.M) {
	if flag.Parse(); *update {
		if err := copyGoSDK(); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func renewing(language toolchain.Language) string {
	if language == toolchain.Go {
		return "; run go test ./plugins/scaffold -update, and again"
	}
	return ""
}

func copyGoSDK() error {
	from, to := filepath.Join("..", "sdk", "go"), filepath.Join("files", "go")
	if err := os.RemoveAll(filepath.Join(to, "switchyard")); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(from, "switchyard", "*.go"))
	if err != nil {
		return err
	}
	for _, name := range append(names, filepath.Join(from, "go.mod")) {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if err := write(filepath.Join(to, below+".txt"), text); err != nil {
			return err
		}
	}
	return nil
}

// No file of the copy has been removed from the SDK.
func TestNothingElseInTheGoSDK(t *testing.T) {
	for name := range contents("demo", toolchain.Go) {
		if !strings.HasPrefix(name, "switchyard/") {
			continue
		}
		if _, err := os.Stat(filepath.Join("..", "sdk", "go", filepath.FromSlash(name))); err != nil {
			t.Errorf("%v%s", err, renewing(toolchain.Go))
		}
	}
}
