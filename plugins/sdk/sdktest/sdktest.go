// Package sdktest helps to test the SDKs: it writes the files that a README shows, runs
// commands, and loads and questions the modules that come of them.
package sdktest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

// Tool returns the path of a program. Without it the test fails and says how to install it.
func Tool(t *testing.T, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: %s", name, install)
	}
	return path
}

// WriteREADME writes the files that a README shows to dir, and returns the commands that
// it gives. A file is a fenced block whose language is followed by a name; commands are
// the lines of blocks in the language sh.
func WriteREADME(t *testing.T, readme, dir string) (commands []string) {
	t.Helper()
	page, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split("\n"+string(page), "\n```")
	for i := 1; i < len(parts); i += 2 {
		info, text, _ := strings.Cut(parts[i], "\n")
		switch language, name, _ := strings.Cut(info, " "); {
		case language == "sh":
			commands = append(commands, strings.Split(strings.TrimSpace(text), "\n")...)
		case name != "":
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return commands
}

// Run runs a command in dir and returns what it prints. The test fails if the command does.
func Run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", c, err, out)
	}
	return string(out)
}

// Load loads the module in a file and closes it when the test ends.
func Load(t *testing.T, path string, log wasm.Logger) *wasm.Policy {
	t.Helper()
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	engine := wasm.NewEngine(wasm.DefaultLimits(), log)
	t.Cleanup(func() { _ = engine.Close() })
	p, err := engine.Load(context.Background(), filepath.Base(path), module, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// Question returns the question that the server asks about a PDU.
func Question(command pdu.CommandID, attributes uint64, body string) policy.Question {
	whole := pdu.Append(nil, command.Service(), command, 0, []byte(body))
	return policy.Question{Header: whole[:pdu.HeaderLen], Body: whole[pdu.HeaderLen:], Session: 1, Attributes: attributes}
}

// AskREADME checks that the module in a file decides as the READMEs of the SDKs for Rust
// and AssemblyScript say. Both show the same policy.
func AskREADME(t *testing.T, path string) {
	t.Helper()
	var logged []string
	p := Load(t, path, func(_ string, level int, text string) {
		if level != abi.LogWarn {
			t.Errorf("%q logged at level %d", text, level)
		}
		logged = append(logged, text)
	})
	for _, c := range []struct {
		command    pdu.CommandID
		attributes uint64
		body       string
		want       string
	}{
		{command: pdu.CID_MSG_READ_NOTIFY, want: "unicast fields 1, not-sender, else-broadcast"},
		{command: pdu.CID_OTHER_SERVER_KICK_USER, want: "drop, log"},
		{command: pdu.CID_OTHER_SERVER_KICK_USER, attributes: abi.AttributeMaster, want: "broadcast-except-sender"},
		{command: pdu.CID_MSG_DATA, body: "\x08\x07", want: "broadcast-except-sender"},
		{command: pdu.CID_MSG_DATA, body: "\x08\x00", want: "drop"},
		{command: pdu.CID_MSG_DATA, body: "\x08\x07\x10", want: "drop"},
		{command: pdu.CID_OTHER_HEARTBEAT, want: "drop, log"},
	} {
		got, err := p.Classify(pdu.SID_OTHER, c.command)
		if err == nil && got.Inspected() {
			got, err = p.Inspect(got, Question(c.command, c.attributes, c.body))
		}
		if err != nil || got.String() != c.want {
			t.Errorf("%v, attributes %d, body %q: got %v, %v, want %s", c.command, c.attributes, c.body, got, err, c.want)
		}
	}
	if want := []string{"a chat without a sender", "a chat without a sender"}; !slices.Equal(logged, want) {
		t.Errorf("logged %q, want %q", logged, want)
	}
}
