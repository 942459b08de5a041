//go:build full || race

package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Each guest in testdata has the one fault that its comment describes. The checks named
// here find it, and no others do.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	for name, want := range map[string][]string{
		"sound":              nil,
		"small_room":         nil,
		"no_marker":          {"load"},
		"late_reserved_bits": {"classify"},
		"lacks_inspect":      {"classify"},
		"asks_again":         {"inspect"},
		"short_body":         {"inspect_body", "buffer"},
		"slow_body":          {"inspect_body", "buffer"},
		"signed_size":        {"buffer"},
		"refuses_all":        {"buffer"},
		"odd_config":         {"configure"},
		"counts":             {"pure"},
		"leaks":              {"memory"},
	} {
		t.Run(name, func(t *testing.T) {
			module, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			var failed []string
			for _, r := range Check(Subject{Module: module}) {
				if r.Err != nil {
					failed = append(failed, r.Check)
				}
			}
			if !slices.Equal(failed, want) {
				t.Errorf("got %q failed, want %q", failed, want)
			}
		})
	}
}
