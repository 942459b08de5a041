package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/config"
)

// writtenManual returns the folder with the manual, and the commands that are to
// have a page.
func writtenManual(t *testing.T) (folder string, commands []*cobra.Command) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "made", "man1")
	if code := run([]string{"manual", folder}, nil, t.Output(), t.Output()); code != exitStopped {
		t.Fatalf("exit code %d", code)
	}
	root := rootCommand(nil, io.Discard, io.Discard)
	root.InitDefaultCompletionCmd()
	var add func(*cobra.Command)
	add = func(c *cobra.Command) {
		if c.Name() == "help" || c.Hidden {
			return
		}
		commands = append(commands, c)
		for _, sub := range c.Commands() {
			add(sub)
		}
	}
	add(root)
	return folder, commands
}

func TestManualEscapes(t *testing.T) {
	for text, want := range map[string]string{
		".SH is not a heading":    `\&.SH is not a heading`,
		"'quoted' at the start":   `\(aqquoted\(aq at the start`,
		`a \n and "--x"`:          `a \en and \(dq\-\-x\(dq`,
		"`name` ~ ^":              `\(ganame\(ga \(ti \(ha`,
		"nothing special, 16 MiB": "nothing special, 16 MiB",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q is written %q, want %q", text, got, want)
		}
	}
	var columns page
	columns.verbatim([]string{"drop  one", "      two"})
	if !strings.Contains(columns.String(), "\ndrop  one\n      two\n") {
		t.Errorf("columns are not kept: %q", columns.String())
	}
	var p page
	p.text("One\nparagraph.\n\n  as it\n    stands\n\nAnother.")
	if want := "One\nparagraph.\n.PP\n.RS 2\n.nf\nas it\n  stands\n.fi\n.RE\n.PP\nAnother.\n"; p.String() != want {
		t.Errorf("got\n%s\nwant\n%s", p.String(), want)
	}
}

// The manual explains every exit code that there is in this package.
func TestManualHasEveryExitCode(t *testing.T) {
	t.Parallel()
	folder, _ := writtenManual(t)
	text, err := os.ReadFile(filepath.Join(folder, "switchyard.1"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "exit") {
				return true
			}
			if code, ok := spec.Values[0].(*ast.BasicLit); ok && code.Kind == token.INT {
				found++
				if !strings.Contains(string(text), ".TP\n\\fB"+code.Value+"\\fR\n") {
					t.Errorf("switchyard(1) lacks %s, which is %s", spec.Names[0].Name, code.Value)
				}
			}
			return true
		})
	}
	if found < 8 {
		t.Errorf("found %d exit codes, want at least 8", found)
	}
}

// switchyard.toml(5) has an entry for every key, below its table.
func TestManualHasEveryKey(t *testing.T) {
	t.Parallel()
	folder, _ := writtenManual(t)
	page := document(t, filepath.Join(folder, "switchyard.toml.5"))
	for _, table := range config.Tables() {
		_, section, ok := strings.Cut(page, "\n.SS "+roff(table.Header)+"\n")
		section, _, _ = strings.Cut(section, "\n.SS ")
		if !ok || !strings.Contains(section, roff(table.Doc)) {
			t.Errorf("switchyard.toml(5) lacks the table %s or what it is for, %q", table.Header, table.Doc)
		}
		for _, k := range table.Keys {
			_, entry, ok := strings.Cut(section, "\n.TP\n\\fB"+roff(strings.TrimPrefix(k.Name, table.Name+"."))+"\\fR (")
			entry, _, _ = strings.Cut(entry, "\n.TP\n")
			if !ok || !strings.Contains(entry, roff(k.Doc)) || strings.Contains(entry, "requires a restart") != k.Restart {
				t.Errorf("switchyard.toml(5) has no whole entry for %s: %q", k.Name, entry)
			}
		}
	}
}

// switchyard-table(5) explains every word of a rule. Add a new one to the comment of package table.
func TestManualHasEveryWordOfTables(t *testing.T) {
	t.Parallel()
	folder, _ := writtenManual(t)
	page := document(t, filepath.Join(folder, "switchyard-table.5"))
	words := slices.Concat(policy.Actions[:], policy.Handlers[1:], policy.RuleFlags(), []string{"[route]", "[service.X]", "else", "extends", "body-length", "SID_FILE"})
	for _, selector := range policy.Selectors {
		words = append(words, "unicast "+selector)
	}
	for _, c := range pdu.Commands {
		words = append(words, fmt.Sprintf("%s\\fR %#04x", c.Name, uint16(c.ID)))
	}
	for _, word := range words {
		if !strings.Contains(page, roff(word)) && !strings.Contains(page, word) {
			t.Errorf("switchyard-table(5) lacks %q; explain it in the comment of package table", word)
		}
	}
	for _, heading := range []string{"DESCRIPTION", "KEYS", "PRECEDENCE", "CASES", "TABLES THAT EXTEND ANOTHER", "VERDICTS", "LIMITS", "COMMANDS"} {
		if !strings.Contains(page, "\n.SH "+heading+"\n") {
			t.Errorf("switchyard-table(5) lacks the section %s", heading)
		}
	}
}

func TestManualThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if code := run([]string{"manual", file}, nil, &out, &out); code != exitForced || !strings.Contains(out.String(), "make the manual's folder") {
		t.Errorf("exit code %d, %q", code, out.String())
	}
	if code := run([]string{"manual"}, nil, &out, &out); code != exitUsage {
		t.Errorf("without a folder: exit code %d, want %d", code, exitUsage)
	}
}

// Shells complete what there is: by cobra, if the command leaves it in peace.
func TestCompletions(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var out strings.Builder
		if code := run([]string{"completion", shell}, nil, &out, t.Output()); code != exitStopped || !strings.Contains(out.String(), "switchyard") {
			t.Errorf("%s: exit code %d, %d bytes", shell, code, out.Len())
		}
	}
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{""}, "serve\t"}, // and no manual, which is for packages
		{[]string{"se"}, "serve\t"},
		{[]string{"policy", ""}, "eval\t"},
		{[]string{"health", "--re"}, "--ready\t"},
		{[]string{"--conf"}, "--config\t"},
	} {
		var out strings.Builder
		code := run(append([]string{"__complete"}, c.words...), nil, &out, io.Discard)
		if code != exitStopped || !strings.Contains("\n"+out.String(), "\n"+c.want) || strings.Contains(out.String(), "manual") {
			t.Errorf("%q: exit code %d, %q, want %q", c.words, code, out.String(), c.want)
		}
	}
}
