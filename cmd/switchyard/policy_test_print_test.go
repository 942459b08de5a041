package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Names of a file of cases do not reach the terminal as they are: the file may come from elsewhere.
func TestCasesDoNotControlTheTerminal(t *testing.T) {
	t.Parallel()
	const peers = "[peers]\na = {}\n\"\\u001b[31m\\n\" = {}\n[[case]]\ncommand = \"CID_MSG_DATA\"\nname = \"\\u001b[2J\"\n"
	for text, code := range map[string]int{
		peers + "from = \"a\"\nexpect = { to = [\"a\", \"\\u001b[31m\\n\"] }\n": exitForced,
		peers + "from = \"zzzzzzzzzz\"\nexpect = { to = [\"a\"] }\n":            exitData,
	} {
		name := filepath.Join(t.TempDir(), "cases.toml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if got := run([]string{"policy", "test", "teamtalk", name}, nil, &out, &out); got != code {
			t.Errorf("exit code %d, want %d: %s", got, code, out.String())
		}
		if got := out.String(); strings.Contains(got, "\x1b") || !strings.Contains(got, `\u001b[31m`) {
			t.Errorf("got %q", got)
		}
	}
}
