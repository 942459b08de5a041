//go:build full || race

package conformance

import (
	"os"
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
