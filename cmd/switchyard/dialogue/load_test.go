package dialogue

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLoadRecorded(t *testing.T) {
	dialogues, err := Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(dialogues), 52; got != want {
		t.Errorf("%d dialogues, want %d", got, want)
	}
	for _, d := range dialogues {
		if len(d.steps) == 0 || len(d.Want.Conns) == 0 || d.Want.Name != d.Name {
			t.Errorf("%s: %d steps, recording %q of %d connections", d.Name, len(d.steps), d.Want.Name, len(d.Want.Conns))
		}
	}
}

func TestLoadFaults(t *testing.T) {
	const (
		recording = `{"scenario": "x", "conns": []}`
		script    = `{"name": "x", "steps": []}`
	)
	steps := func(s string) string { return `{"name": "x", "steps": [` + s + `]}` }
	for _, test := range []struct {
		name, script, recording, want string
	}{
		{"good", script, recording, ""},
		{"no recording", script, `{"scenario": "y", "conns": []}`, "script x has no recording"},
		{"no script", `{"name": "y", "steps": []}`, recording, "recording x has no script"},
		{"nameless recording", script, `{}`, "recording without a scenario's name"},
		{"recording of a crash", script, `{"scenario": "x", "server_exited": true}`, "cut short"},
		{"recording with an error", script, `{"scenario": "x", "error": "boom"}`, `error: "boom"`},
		{"unknown field of a recording", script, `{"scenario": "x", "format": 2}`, "format"},
		{"not JSON", `name: x`, recording, "invalid character"},
		{"nameless script", `{}`, recording, "script without a name"},
		{"unknown settling", `{"name": "x", "settle": "soon"}`, recording, `settle is "soon"`},
		{"unknown field of a step", steps(`{"op": "settle", "times": 2}`), recording, "times"},
		{"unknown op", steps(`{"op": "settle"}, {"op": "shout"}`), recording, `step 1: unknown op "shout"`},
		{"nameless connection", steps(`{"op": "open"}`), recording, "needs a name"},
		{"name used twice", steps(`{"op": "open", "conn": "A"}, {"op": "open", "conn": "A"}`), recording, `step 1: open "A"`},
		{"connection not opened", steps(`{"op": "close", "conn": "A"}`), recording, `close on connection "A"`},
		{"bad hex", steps(`{"op": "settle", "hex": "0"}`), recording, "hex"},
		{"bad fill", steps(`{"op": "settle", "parts": [{"fill": "zz", "count": 1}]}`), recording, "fill of a part"},
		{"fill without count", steps(`{"op": "settle", "parts": [{"fill": "00"}]}`), recording, "both or none"},
		{"count without fill", steps(`{"op": "settle", "parts": [{"count": 3}]}`), recording, "both or none"},
		{"negative gap", steps(`{"op": "settle", "gap_us": -1}`), recording, "cannot be negative"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "scenarios", "x.json"), test.script)
			write(t, filepath.Join(dir, "golden", "x.json"), test.recording)
			_, err := Load(dir)
			check(t, err, test.want)
		})
	}
}

func TestLoadNothing(t *testing.T) {
	_, err := Load(t.TempDir())
	check(t, err, "no *.json in")
}

func TestParts(t *testing.T) {
	s := scriptStep{Hex: "01", Parts: []part{{Hex: "02"}, {Fill: "0304", Count: 5}, {Hex: "05", Fill: "06", Count: 1}}}
	got, err := s.bytes()
	if want := "\x01\x02\x03\x04\x03\x04\x03\x05\x06"; err != nil || string(got) != want {
		t.Errorf("bytes %x, error %v, want %x", got, err, want)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
