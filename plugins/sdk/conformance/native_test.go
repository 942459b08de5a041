//go:build full

package conformance

import (
	"os"
	"path/filepath"
	"testing"

	"switchyard/plugins/sdk/sdktest"
)

// The header compiles without a warning, and its tests pass. Debian's clang comes without
// sanitizers, so that gcc is the one to find what is read outside of a buffer.
func TestCNatively(t *testing.T) {
	for compiler, options := range map[string][]string{
		"clang": nil,
		"gcc":   {"-fsanitize=address,undefined", "-fno-sanitize-recover=all"},
	} {
		t.Run(compiler, func(t *testing.T) {
			tool := sdktest.Tool(t, compiler, "apt-get install "+compiler+" libc6-dev")
			program := filepath.Join(t.TempDir(), "test")
			sdktest.Run(t, "../c", tool, append(options, "-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o", program, "switchyard_test.c")...)
			if out := sdktest.Run(t, "../c", program); out != "ok\n" {
				t.Errorf("got %q, want ok", out)
			}
		})
	}
}

// The READMEs' policies build with their commands and decide as shown says.
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
			for _, line := range sdktest.WriteREADME(t, "../"+sdk.language+"/README.md", dir) {
				sdktest.Run(t, dir, "sh", "-c", line)
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
			reportErrors(t, CheckExample(newEngine(t), e, module))
		})
	}
}

// shown is what the policy of both READMEs must answer.
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
