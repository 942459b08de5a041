//go:build full

package schema

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Taplo, which editors use, finds the schemas by the repository's .taplo.toml, accepts the shipped
// files and names the mistakes in others.
func TestTaploAppliesTheSchemas(t *testing.T) {
	const root = "../../.."
	shipped := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{
		".taplo.toml":                      shipped(".taplo.toml"),
		"deploy/schema/config.schema.json": string(Config()),
		"deploy/schema/table.schema.json":  string(Table()),
		"deploy/schema/cases.schema.json":  string(Cases()),
		"good/cases.toml":                  shipped("plugins/teamtalk/cases.toml"),
		"bad/cases.toml":                   "[[case]]\nfrom = \"a\"\ncommand = 1\nexpect = { action = \"drp\" }\n",
		"good/config.toml":                 shipped("config.toml"),
		"good/routes.toml":                 shipped("plugins/teamtalk/routes.toml"),
		"bad/config.toml":                  "[peer]\ntimeout = \"30\"\n[tenant.default]\nlimits.conections = 3\n",
		"bad/routes.toml":                  "[route]\nCID_MSG_DATA = \"brodcast-all\"\n",
	} {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program, err := filepath.Abs(filepath.Join(root, "deploy", "schema", "node_modules", ".bin", "taplo"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("taplo is not installed; npm ci --prefix deploy/schema --ignore-scripts: %v", err)
	}
	lint := exec.Command(program, "lint")
	lint.Dir = folder
	text, err := lint.CombinedOutput()
	out := filepath.ToSlash(string(text))
	for _, want := range []string{"found files total=6", `"30" does not match`, "'conections' was unexpected", `"brodcast-all" does not match`, `"drp" is not one of`} {
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("taplo lint: %v, want %q in\n%s", err, want, out)
		}
	}
	if strings.Contains(out, "good/") {
		t.Errorf("taplo lint finds faults in a shipped file:\n%s", out)
	}
}
