package schema

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestSchemasAreUpToDate(t *testing.T) {
	for name, want := range map[string][]byte{"config": Config(), "table": Table()} {
		path := filepath.FromSlash("../../../deploy/schema/" + name + ".schema.json")
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
			t.Errorf("%s is stale: a key, its range or its comment in config.toml, or what tables may say, has changed; run go generate ./cmd/switchyard/schema", path)
		}
	}
}
