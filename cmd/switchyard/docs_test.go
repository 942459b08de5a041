package main

import (
	"fmt"
	"go/ast"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode"

	"switchyard/pdu"
	"switchyard/policy"
)

// documents returns the paths of all documents.
func documents(t *testing.T) []string {
	t.Helper()
	var names []string
	walk(t, func(name string) {
		if path.Ext(name) == ".md" {
			names = append(names, filepath.Join(root, filepath.FromSlash(name)))
		}
	})
	if len(names) == 0 {
		t.Fatal("there are no documents")
	}
	return names
}

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

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var documentLink = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)

func TestLinksOfDocuments(t *testing.T) {
	t.Parallel()
	anchors := make(map[string][]string) // by document
	for _, name := range documents(t) {
		for _, link := range documentLink.FindAllStringSubmatch(fencedBlock.ReplaceAllString(document(t, name), ""), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			target := name
			if link[1] != "" {
				target = filepath.Join(filepath.Dir(name), link[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", name, link[1], err)
				continue
			}
			anchor := strings.TrimPrefix(link[2], "#")
			if anchor != "" && anchors[target] == nil {
				anchors[target] = anchorsOf(document(t, target))
			}
			if anchor != "" && !slices.Contains(anchors[target], anchor) {
				t.Errorf("%s links to %s, and %s has no such heading", name, link[1]+link[2], target)
			}
		}
	}
}

var headingLine = regexp.MustCompile(`(?m)^#+ +(.*)$`)

// anchorsOf returns the anchors of a document's headings, as GitHub makes them, but for repeated
// headings. docs/site checks the links with all rules of Markdown.
func anchorsOf(text string) (anchors []string) {
	for _, m := range headingLine.FindAllStringSubmatch(fencedBlock.ReplaceAllString(text, ""), -1) {
		anchors = append(anchors, strings.Map(inAnchor, strings.ToLower(m[1])))
	}
	return anchors
}

// inAnchor returns what an anchor has for a character of the heading, or a negative number.
func inAnchor(r rune) rune {
	switch {
	case r == ' ':
		return '-'
	case unicode.IsLetter(r) || unicode.IsNumber(r) || r == '_' || r == '-':
		return r
	}
	return -1
}

// The examples run in the order of their document, in a directory of its own: a
// block with a file name behind its language is written to that file, and the
// commands of a console block are run and must print what the block says, where …
// stands for anything on a line. Without the tag full, a block ends where it uses another tool
// than switchyard.
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

// An example is a fenced block.
type example struct {
	language, file string
	lines          []string
}

func examplesOf(text string) (blocks []example) {
	inside := false
	for line := range strings.SplitSeq(text, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && inside:
			inside = false
		case fence:
			inside = true
			language, file, _ := strings.Cut(info, " ")
			blocks = append(blocks, example{language: language, file: file})
		case inside:
			b := &blocks[len(blocks)-1]
			b.lines = append(b.lines, line)
		}
	}
	return blocks
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
		if !full && !isSwitchyard(command) {
			return
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

func isSwitchyard(command string) bool {
	return strings.HasPrefix(command, "switchyard ") || strings.HasPrefix(command, fromSource)
}

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

func underRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func printed(got, want string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(strings.TrimSuffix(got, "\n"))
}

func TestVerdictsOfABI(t *testing.T) {
	text := document(t, filepath.Join(root, "docs", "abi.md"))
	rows := regexp.MustCompile("(?m)^\\| `(0x[0-9a-f]{16})` \\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1)
	if len(rows) < 10 {
		t.Fatalf("docs/abi.md has %d rows of verdicts, want at least 10", len(rows))
	}
	var groups []policy.Group
	for _, name := range []string{"admin", "archive"} {
		g, err := policy.GroupNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, g)
	}
	for _, row := range rows {
		n, err := strconv.ParseUint(row[1], 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		v, err := policy.GuestVerdict(n, groups)
		if err != nil || v.String() != row[2] {
			t.Errorf("docs/abi.md says that %s is %q, it is %q, %v", row[1], row[2], v, err)
		}
	}
}

func TestProtocolNamesEveryCommand(t *testing.T) {
	text := document(t, filepath.Join(root, "docs", "protocol.md"))
	for _, c := range pdu.Commands {
		row := fmt.Sprintf("| `%#04x` | `%v` | `%s` |", uint16(c.ID), c.ID, c.Message)
		if !strings.Contains(text, row) {
			t.Errorf("docs/protocol.md lacks the row %s", row)
		}
	}
}

func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	text := document(t, filepath.Join(root, "docs", "architecture.md"))
	for _, f := range goFiles(t) {
		if strings.Contains(f.dir, "/examples/") {
			continue // each is a policy and none is a part
		}
		if row := "| `" + f.dir + "` |"; !f.test && !strings.Contains(text, row) {
			t.Errorf("docs/architecture.md lacks a row for the package of %s", f.path)
		}
	}
}

// Every threat names tests that exist: without its test, a control could break unnoticed.
func TestThreatsHaveTests(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range goFiles(t) {
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				known[f.Name.Name] = true
			}
		}
	}
	_, table, ok := strings.Cut(string(read(t, "docs/security.md")), "| Threat | Control | Test |\n| --- | --- | --- |\n")
	table, _, end := strings.Cut(table, "\n\n")
	if !ok || !end {
		t.Fatal("docs/security.md has no table of threats")
	}
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(row), "|")
		if len(cells) != 5 {
			t.Errorf("not a threat, a control and tests: %s", row)
			continue
		}
		tests := regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cells[3], -1)
		if len(tests) == 0 {
			t.Errorf("nothing shows the control of %q", strings.TrimSpace(cells[1]))
		}
		for _, name := range tests {
			if !known[name[1]] {
				t.Errorf("there is no %s, which is to show the control of %q", name[1], strings.TrimSpace(cells[1]))
			}
		}
	}
}
