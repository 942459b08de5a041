//go:build full

package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"switchyard/proxy/config"
)

var flagName = regexp.MustCompile(`--[a-z][a-z-]*`)

// Every page says what --help says, as groff formats it.
func TestManualSaysWhatHelpSays(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Fatal("groff is not installed; apt-get install groff-base")
	}
	folder, commands := writtenManual(t)
	pages, err := filepath.Glob(filepath.Join(folder, "*.1"))
	if err != nil || len(pages) != len(commands) {
		t.Errorf("%d pages for %d commands: %v, %v", len(pages), len(commands), pages, err)
	}
	for _, c := range commands {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		text := formatted(t, groff, filepath.Join(folder, name+".1"))
		wants := flagName.FindAllString(c.LocalFlags().FlagUsages()+c.InheritedFlags().FlagUsages(), -1)
		wants = append(wants, name+" - "+c.Short, c.CommandPath())
		wants = append(wants, strings.Split(c.Long, "\n")...)
		wants = append(wants, strings.Split(c.Example, "\n")...)
		for _, sub := range c.Commands() {
			if slices.Contains(commands, sub) {
				wants = append(wants, strings.ReplaceAll(sub.CommandPath(), " ", "-")+"(1)")
			}
		}
		for _, want := range wants {
			if !strings.Contains(text, strings.Join(strings.Fields(want), " ")) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
	}
}

// The pages of files have no fault for groff, and say what the configuration's comments and the
// comment of package table say.
func TestManualOfFiles(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Fatal("groff is not installed; apt-get install groff-base")
	}
	folder, _ := writtenManual(t)
	for name, wants := range map[string][]string{
		"switchyard.toml.5":  {config.Intro(), `min_version (text, "1.2") The oldest accepted version of TLS (1.2 or 1.3).`, "[tenant.NAME.release.budget] How much worse"},
		"switchyard-table.5": {"unicast fields F… sent to the peers", "1. a command under the PDU's [service.X]", "CID_MSG_DATA 0x0301 IM.Message.IMMsgData"},
	} {
		text := formatted(t, groff, filepath.Join(folder, name))
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
	}
}

// formatted returns a page as groff formats it, with single blanks between words.
func formatted(t *testing.T, groff, path string) string {
	t.Helper()
	format := exec.Command(groff, "-man", "-ww", "-Kutf8", "-Tutf8", "-P-cbou", "-rLL=1000n", path)
	var warnings strings.Builder
	format.Stderr = &warnings
	out, err := format.Output()
	if err != nil || warnings.Len() > 0 {
		t.Errorf("%s: groff: %v\n%s", path, err, &warnings)
	}
	return strings.ReplaceAll(strings.Join(strings.Fields(string(out)), " "), "\u2019", "'")
}

// Bash finds no fault of syntax in its completions.
func TestCompletionsForBash(t *testing.T) {
	var out strings.Builder
	if code := run([]string{"completion", "bash"}, nil, &out, t.Output()); code != exitStopped {
		t.Fatalf("exit code %d", code)
	}
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(out.String())
	if text, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
