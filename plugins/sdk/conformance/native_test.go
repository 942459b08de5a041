package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The SDK in Go is a module of its own, so the tests of this one do not reach it.
func TestGoNatively(t *testing.T) {
	tool := goTool(t)
	setOffline(t)
	runIn(t, "../go", tool, "vet", "./...")
	runIn(t, "../go", tool, "test", "./...")
}

func TestCNatively(t *testing.T) {
	for _, compiler := range []string{"clang", "gcc"} {
		t.Run(compiler, func(t *testing.T) {
			tool := installed(t, compiler, "apt-get install "+compiler+" libc6-dev")
			program := filepath.Join(t.TempDir(), "test")
			runIn(t, "../c", tool, append(sanitizers(t, tool), "-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o", program, "switchyard_test.c")...)
			if said := runIn(t, "../c", program); said != "ok\n" {
				t.Errorf("got %q, want ok", said)
			}
		})
	}
}

// sanitizers returns the flags that find what is read outside of a buffer, if the
// compiler comes with them.
func sanitizers(t *testing.T, tool string) []string {
	t.Helper()
	flags := []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all"}
	probe := exec.Command(tool, append(flags, "-x", "c", "-", "-o", filepath.Join(t.TempDir(), "probe"))...)
	probe.Stdin = strings.NewReader("int main(void) { return 0; }")
	if said, err := probe.CombinedOutput(); err != nil {
		t.Logf("%s has no sanitizers: %s", tool, said)
		return nil
	}
	return flags
}

// The pages of the SDKs are followed as they stand: the files that they show, their
// commands, and the policy that comes of it.
func TestREADMEs(t *testing.T) {
	for _, sdk := range []struct {
		language, copied string
		tool             func(*testing.T) string
	}{
		{"go", "switchyard/*.go", goTool},
		{"c", "*.h", clang},
	} {
		t.Run(sdk.language, func(t *testing.T) {
			sdk.tool(t)
			setOffline(t)
			dir := t.TempDir()
			copyFiles(t, "../"+sdk.language+"/"+sdk.copied, filepath.Join(dir, filepath.Dir(sdk.copied)))
			for line := range strings.Lines(writeBlocks(t, "../"+sdk.language+"/README.md", dir)) {
				runIn(t, dir, "sh", "-c", line)
			}
			module, err := os.ReadFile(filepath.Join(dir, "policy.wasm"))
			if err != nil {
				t.Fatal(err)
			}
			e, err := parse("readme", shown)
			if err != nil {
				t.Fatal(err)
			}
			if raced && sdk.language == "go" {
				return
			}
			complain(t, CheckExample(newEngine(t), e, module))
		})
	}
}

// writeBlocks writes the files of a page to dir and returns its commands.
func writeBlocks(t *testing.T, page, dir string) (commands string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split("\n"+string(text), "\n```")
	for i := 1; i < len(parts); i += 2 {
		info, block, _ := strings.Cut(parts[i], "\n")
		_, name, named := strings.Cut(info, " ")
		switch {
		case info == "sh":
			commands += block + "\n"
		case named:
			if err := os.WriteFile(filepath.Join(dir, name), []byte(block+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return commands
}

// shown is what the policy of both pages must answer.
const shown = `
[[load]]

[load.classify]
CID_MSG_READ_NOTIFY        = "unicast fields 1, not-sender, else-broadcast"
CID_OTHER_SERVER_KICK_USER = "drop, inspect-header"
CID_MSG_DATA               = "broadcast-except-sender, inspect-body"
else                       = "drop, log"

[[load.inspect]]
name    = "kick"
command = "CID_OTHER_SERVER_KICK_USER"
verdict = "drop, log"

[[load.inspect]]
name       = "kick by a master"
command    = "CID_OTHER_SERVER_KICK_USER"
attributes = 1
verdict    = "broadcast-except-sender"

[[load.inspect_body]]
name    = "text"
command = "CID_MSG_DATA"
body    = "3203616263"
verdict = "broadcast-except-sender"

[[load.inspect_body]]
name    = "empty text"
command = "CID_MSG_DATA"
body    = "0801 3200"
verdict = "drop"

[[load.inspect_body]]
name    = "cut off"
command = "CID_MSG_DATA"
body    = "3204616263"
verdict = "broadcast-except-sender"
`
