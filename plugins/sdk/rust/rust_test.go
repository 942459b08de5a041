package rust_test

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

const target = "wasm32-unknown-unknown"

// compiler returns a rustc that has the target: rustup's may stand first in the
// path and have none.
func compiler(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		lib, err := exec.Command(name, "--print", "target-libdir", "--target", target).Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(strings.TrimSpace(string(lib))); err != nil {
			continue
		}
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Skip("no rustc with the target " + target + "; on Debian: apt-get install rustc libstd-rust-dev-wasm32 lld")
	return ""
}

func TestUnitTests(t *testing.T) {
	tests := filepath.Join(t.TempDir(), "tests")
	command(t, ".", compiler(t), "--edition", "2021", "-D", "warnings", "-O", "--test", "-o", tests, "src/lib.rs")
	command(t, ".", tests)
}

// The README's policy builds by each of its commands, and does what it says.
func TestREADME(t *testing.T) {
	rustc := compiler(t)
	t.Setenv("PATH", filepath.Dir(rustc)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("CARGO_NET_OFFLINE", "true")
	dir := t.TempDir()
	t.Setenv("CARGO_TARGET_DIR", filepath.Join(dir, "target"))
	for _, part := range []string{"Cargo.toml", "src"} {
		command(t, ".", "cp", "-R", part, filepath.Join(made(t, filepath.Join(dir, "sdk")), part))
	}
	made(t, filepath.Join(dir, "src"))
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
	for _, line := range commands {
		t.Run(line, func(t *testing.T) {
			if strings.HasPrefix(line, "cargo ") {
				if _, err := os.Stat(filepath.Join(filepath.Dir(rustc), "cargo")); err != nil {
					t.Skipf("there is no cargo beside %s; on Debian: apt-get install cargo", rustc)
				}
			}
			command(t, dir, "sh", "-c", line)
		})
	}
	for _, module := range []string{"policy.wasm", "target/" + target + "/release/policy.wasm"} {
		t.Run(module, func(t *testing.T) {
			bytes, err := os.ReadFile(filepath.Join(dir, module))
			if os.IsNotExist(err) {
				t.Skip("was not built")
			}
			if err != nil {
				t.Fatal(err)
			}
			ask(t, bytes)
		})
	}
}

func ask(t *testing.T, module []byte) {
	var heard []string
	engine := wasm.NewEngine(wasm.DefaultLimits(), func(_ string, level int, text string) {
		if level != abi.LogWarn {
			t.Errorf("%q logged at level %d", text, level)
		}
		heard = append(heard, text)
	})
	defer func() { _ = engine.Close() }()
	p, err := engine.Load(context.Background(), "readme", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
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
	if want := "a chat without a sender"; len(heard) != 2 || heard[0] != want {
		t.Errorf("logged %q, want %q twice", heard, want)
	}
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

func made(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", c, err, out)
	}
}
