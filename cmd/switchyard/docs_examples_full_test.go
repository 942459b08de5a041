//go:build full

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// documentsWithExamples returns the paths of the documents whose examples run here.
// Those of the SDKs run in tests of their packages.
func documentsWithExamples(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"README.md", "docs/*.md", "plugins/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no documents %s: %v", pattern, err)
		}
		names = append(names, found...)
	}
	return names
}

// The examples run in the order of their document, in a directory of its own: a
// block with a file name behind its language is written to that file, and the
// commands of a console block are run and must print what the block says, where …
// stands for anything on a line.
func TestExamplesOfDocuments(t *testing.T) {
	t.Parallel()
	for _, name := range documentsWithExamples(t) {
		blocks := examplesOf(document(t, name))
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := sync.OnceValue(func() *worker { return startWorker(t) })
			for _, b := range blocks {
				switch {
				case b.language == "console":
					runConsole(t, w, dir, b.lines)
				case b.file != "":
					if err := os.WriteFile(filepath.Join(dir, b.file), []byte(strings.Join(b.lines, "\n")+"\n"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func runConsole(t *testing.T, w func() *worker, dir string, lines []string) {
	t.Helper()
	for len(lines) > 0 {
		command, ok := strings.CutPrefix(lines[0], "$ ")
		if !ok {
			t.Fatalf("a console block begins with %q, want $ and a command", lines[0])
		}
		end := 1
		for end < len(lines) && !strings.HasPrefix(lines[end], "$ ") {
			end++
		}
		got := runCommand(t, w, dir, command)
		if want := strings.Join(lines[1:end], "\n"); !printed(got, want) {
			t.Errorf("$ %s\nprints\n%s\nwant\n%s", command, got, want)
		}
		lines = lines[end:]
	}
}

// fromSource is how documents run switchyard in a clone.
const fromSource = "go run ./cmd/switchyard "

// runCommand runs switchyard by a worker, as it may not be installed, and other tools by the shell.
func runCommand(t *testing.T, w func() *worker, dir, command string) string {
	t.Helper()
	command, asksCode := strings.CutSuffix(command, "; echo $?")
	command = strings.Replace(command, fromSource, "switchyard ", 1)
	words := strings.Fields(command)
	if words[0] != "switchyard" {
		return runTool(t, dir, command)
	}
	if len(words) < 2 || !slices.Contains([]string{"check", "version", "policy", "msgserver", "cert"}, words[1]) {
		t.Fatalf("$ %s: documents run commands that neither serve nor ask a server", command)
	}
	r, err := w().run(task{
		Dir:    dir,
		Args:   append(words[1:], "--set", "wasm.load_time=1m"), // the machine may be busy
		Env:    []string{"XDG_CACHE_HOME=" + filepath.Join(dir, ".cache")},
		Merged: true,
	})
	out := r.Stdout
	switch {
	case err != nil:
		t.Fatalf("$ %s: %v", command, err)
	case asksCode:
		out = fmt.Appendln(out, r.Code)
	case r.Code != 0:
		t.Errorf("$ %s: exit code %d", command, r.Code)
	}
	return string(out)
}

func runTool(t *testing.T, dir, command string) string {
	t.Helper()
	words := strings.Fields(command)
	tool := words[slices.IndexFunc(words, func(w string) bool { return !strings.Contains(w, "=") })]
	if tool == "go" && underRaceDetector() {
		t.Skip("loading a guest of stock Go takes a minute under the race detector; policy/wasm has one there")
	}
	if _, err := exec.LookPath(tool); err != nil {
		t.Fatalf("%s is not installed; it runs: %s", tool, command)
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("$ %s: %v\n%s", command, err, out)
	}
	return string(out)
}

func printed(got, want string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(strings.TrimSuffix(got, "\n"))
}
