//go:build full || race

package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"switchyard/plugins/teamtalk"
	"switchyard/policy/wasm"
)

// The shipped default policy decides as the example "table" does, and is sound.
func TestShippedPolicyPasses(t *testing.T) {
	e, err := Read("table")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(Check(Subject{Module: teamtalk.Module}), CheckExample(newEngine(t), e, teamtalk.Module)...) {
		if r.Err != nil {
			t.Errorf("%s (%s): %v", r.Check, r.Note, r.Err)
		}
	}
}

// A module that is not the example gives other answers, which CheckExample finds.
func TestCheckExampleFindsWhatIsWrong(t *testing.T) {
	module, err := os.ReadFile("testdata/sound.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"table":      "classify(0x0000, CID_BUDDY_LIST_USERS_STATUS_REQUEST): got drop, log, want handle users-status-request",
		"limit":      "one byte above: got broadcast-except-sender, want drop, log",
		"single":     "single text: got broadcast-all, want unicast fields 1 2",
		"configured": `configuration {"limit": null}: accepted, want it refused`,
	} {
		e, err := Read(name)
		if err != nil {
			t.Fatal(err)
		}
		e.Refuses = slices.DeleteFunc(e.Refuses, func(c string) bool { return !strings.Contains(c, "null") })
		e.Loads[0].Configs = e.Loads[0].Configs[:1]
		if name != "table" { // without the many questions about ids, so that the others are shown
			e.Loads[0].Classify, e.Loads = nil, e.Loads[:1]
		}
		var failed []string
		for _, r := range CheckExample(newEngine(t), e, module) {
			if r.Err != nil {
				failed = append(failed, r.Err.Error())
			}
		}
		if text := strings.Join(failed, "\n"); !strings.Contains(text, want) {
			t.Errorf("%s: got\n%s\nwant it to contain %q", name, text, want)
		}
	}
}

func newEngine(t *testing.T) *wasm.Engine {
	engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

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
