//go:build full

package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var flagName = regexp.MustCompile(`--[a-z][a-z-]*`)

// Every page says what --help says, as groff formats it.
func TestManualSaysWhatHelpSays(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Fatal("groff is not installed; apt-get install groff-base")
	}
	folder, commands := writtenManual(t)
	pages, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(pages) != len(commands) {
		t.Errorf("%d pages for %d commands: %v, %v", len(pages), len(commands), pages, err)
	}
	for _, c := range commands {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		format := exec.Command(groff, "-man", "-ww", "-Kutf8", "-Tutf8", "-P-cbou", "-rLL=1000n", filepath.Join(folder, name+".1"))
		var warnings strings.Builder
		format.Stderr = &warnings
		out, err := format.Output()
		if err != nil || warnings.Len() > 0 {
			t.Errorf("%s: groff: %v\n%s", name, err, &warnings)
		}
		text := strings.ReplaceAll(strings.Join(strings.Fields(string(out)), " "), "\u2019", "'")
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
