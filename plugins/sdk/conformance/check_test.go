package conformance

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each guest in testdata has one sin, and what its comment says is found by the
// checks named here and by no other.
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

// An example that is none fails its questions.
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
		if name != "table" { // so that no question is hidden behind those of ids
			e.Loads[0].Classify, e.Loads = nil, e.Loads[:1]
		}
		var said []string
		for _, r := range CheckExample(newEngine(t), e, module) {
			if r.Err != nil {
				said = append(said, r.Err.Error())
			}
		}
		if text := strings.Join(said, "\n"); !strings.Contains(text, want) {
			t.Errorf("%s: got\n%s\nwant it to contain %q", name, text, want)
		}
	}
}

// The committed modules are what wat2wasm makes of their text.
func TestGuestsAreBuiltFromTheirSource(t *testing.T) {
	wat2wasm := installed(t, "wat2wasm", "apt-get install wabt")
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
