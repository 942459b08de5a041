package assemblyscript_test

import (
	"context"
	"encoding/binary"
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

// compiler returns the folder that npm ci makes here.
func compiler(t *testing.T) string {
	t.Helper()
	modules, err := filepath.Abs("node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, ".bin", "asc")); err != nil {
		t.Skip("no AssemblyScript compiler; run npm ci in plugins/sdk/assemblyscript")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed")
	}
	return modules
}

// The README's policy builds by its commands, and does what it says.
func TestREADME(t *testing.T) {
	modules := compiler(t)
	dir := t.TempDir()
	command(t, ".", "cp", "-R", "assembly", filepath.Join(dir, "sdk"))
	var commands []string
	for _, b := range blocks(t) {
		language, name, _ := strings.Cut(b.info, " ")
		switch {
		case language == "sh":
			commands = append(commands, strings.Split(strings.TrimSpace(b.text), "\n")...)
		case name != "":
			if err := os.WriteFile(filepath.Join(dir, name), []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []string{"npm install", "npm run build"}; !slices.Equal(commands, want) {
		t.Fatalf("the README's commands are %q, want %q", commands, want)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil { // instead of npm install
		t.Fatal(err)
	}
	command(t, dir, "npm", "run", "build")
	var heard []string
	p := load(t, filepath.Join(dir, "policy.wasm"), func(_ string, level int, text string) {
		if level != abi.LogWarn {
			t.Errorf("%q logged at level %d", text, level)
		}
		heard = append(heard, text)
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
			got, err = p.Inspect(got, question(c.command, c.attributes, c.body))
		}
		if err != nil || got.String() != c.want {
			t.Errorf("%v, attributes %d, body %q: got %v, %v, want %s", c.command, c.attributes, c.body, got, err, c.want)
		}
	}
	if want := []string{"a chat without a sender", "a chat without a sender"}; !slices.Equal(heard, want) {
		t.Errorf("logged %q, want %q", heard, want)
	}
}

// A second scanner goes through a message while the first stands on its field.
func TestNestedMessages(t *testing.T) {
	modules, out := compiler(t), filepath.Join(t.TempDir(), "nested.wasm")
	command(t, ".", filepath.Join(modules, ".bin", "asc"), "testdata/nested.ts", "-O3", "--runtime", "stub", "--use", "abort=", "-o", out)
	p := load(t, out, nil)
	for body, want := range map[string]string{
		"":                                 "unicast user 0",
		"\x12\x02\x18\x05":                 "unicast user 5",
		"\x18\x05\x12\x00\x12\x02\x10\x05": "unicast user 0",
		"\x12\x04\x18\x05\x18\x06\x08\x01\x12\x05\x1a\x03\x01\xac\x02": "unicast user 312",
		"\x12\x05\x1d\x01\x02\x00\x00\x18\x01":                         "unicast user 513",
		"\x12\x09\x19\x01\x02\x00\x00\x00\x00\x00\x00":                 "unicast user 513",
		"\x12\x01\x18\x05":                 "close", // ends inside, though the body goes on
		"\x12\x03\x1a\x02\x05":             "close",
		"\x12\x04\x1a\x02\x05\x80\x18\x05": "close",
		"\x12\x02\x18\x05\x12":             "close",
		"\x12\x02\x18\x05\x00\x01":         "close",
	} {
		got, err := p.Inspect(abi.BroadcastExceptSender|abi.InspectBodyOf, question(pdu.CID_MSG_DATA, 0, body))
		if err != nil || got.String() != want {
			t.Errorf("%x: got %v, %v, want %s", body, got, err, want)
		}
	}
}

func load(t *testing.T, name string, log wasm.Logger) *wasm.Policy {
	t.Helper()
	module, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	engine := wasm.NewEngine(wasm.DefaultLimits(), log)
	t.Cleanup(func() { _ = engine.Close() })
	p, err := engine.Load(context.Background(), filepath.Base(name), module, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func question(command pdu.CommandID, attributes uint64, body string) policy.Question {
	header := make([]byte, pdu.HeaderLen)
	binary.BigEndian.PutUint32(header, uint32(pdu.HeaderLen+len(body)))
	binary.BigEndian.PutUint16(header[10:], uint16(command))
	return policy.Question{Header: header, Body: []byte(body), Session: 1, Attributes: attributes}
}

// A block is a fenced part of the README.
type block struct {
	info, text string
}

func blocks(t *testing.T) (all []block) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split("\n"+string(readme), "\n```")
	for i := 1; i < len(parts); i += 2 {
		info, text, _ := strings.Cut(parts[i], "\n")
		all = append(all, block{info: info, text: text + "\n"})
	}
	return all
}

func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", c, err, out)
	}
}
