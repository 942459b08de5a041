package main

import (
	"fmt"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
