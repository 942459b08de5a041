package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// manualCommand writes the manual, for packages and 'make install'. It is hidden, as nobody else
// needs it.
func manualCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "manual FOLDER",
		Short:  "Write the manual pages of all commands and files",
		Long:   "Write the manual pages of all commands (section 1) and files (section 5) to FOLDER, which is made if it is missing.",
		Hidden: true,
		Args:   exactly("FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("make the manual's folder: %w", err)
			}
			for name, text := range filePages() {
				if err := writePage(args[0], name+".5", text); err != nil {
					return err
				}
			}
			return writeManual(args[0], c.Root())
		},
	}
}

// The pages of section 1 are made of the --help texts, so the two cannot differ. Pages are in the
// language of man(7): a line that begins with a dot is a request, and `\fB…\fR` is bold. Tests format
// all of them with groff.
//
//	.SH OPTIONS                  a section
//	.TP                          the next line is a term, and the one after it explains the term
//	\fB\-\-json\fR
//	print JSON

// writeManual writes the page of a command, and then those of its subcommands.
func writeManual(folder string, c *cobra.Command) error {
	if err := writePage(folder, pageName(c)+".1", manualPage(c)); err != nil {
		return err
	}
	for _, sub := range pagesBelow(c) {
		if err := writeManual(folder, sub); err != nil {
			return err
		}
	}
	return nil
}

func writePage(folder, name, text string) error {
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the manual: %w", err)
	}
	return nil
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// pagesBelow returns the subcommands that have a page: neither hidden ones nor help, which would
// repeat the pages.
func pagesBelow(c *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(c.Commands()), func(sub *cobra.Command) bool { return !sub.IsAvailableCommand() || sub.Name() == "help" })
}

// manualPage returns the --help text of a command as a page for man(1). It has no date, so
// that builds are reproducible.
func manualPage(c *cobra.Command) string {
	var p page
	p.head(pageName(c), "1", c.Short)
	p.section("SYNOPSIS")
	rest := strings.TrimPrefix(c.UseLine(), c.CommandPath())
	p.line(`\fB%s\fR%s`, roff(c.CommandPath()), roff(rest))
	if c.Long != "" {
		p.section("DESCRIPTION")
		p.text(c.Long)
	}
	if c.Example != "" {
		p.section("EXAMPLES")
		p.verbatim(strings.Split(c.Example, "\n"))
	}
	p.flags("OPTIONS", c.LocalFlags().FlagUsages())
	p.flags("GLOBAL OPTIONS", c.InheritedFlags().FlagUsages())
	if subs := pagesBelow(c); len(subs) > 0 {
		p.section("COMMANDS")
		for _, sub := range subs {
			p.item(`\fB`+roff(pageName(sub))+`\fR(1)`, sub.Short)
		}
	}
	if !c.HasParent() {
		for _, s := range commandFacts {
			p.section(s.title)
			for _, fact := range s.facts {
				p.item(`\fB`+roff(fact[0])+`\fR`, fact[1])
			}
		}
		p.also("switchyard.toml(5)", "switchyard-table(5)")
		return p.String()
	}
	p.also(pageName(c.Parent()) + "(1)")
	return p.String()
}

// commandFacts apply to all commands; they are in the page of switchyard itself. A test holds that
// every exit code of this package is among them.
var commandFacts = []struct {
	title string
	facts [][2]string
}{
	{"SIGNALS", [][2]string{
		{"SIGHUP", "Reads the configuration, policies, certificates and keys again. What is refused changes nothing, and the log says why."},
		{"SIGTERM", "Stops accepting, routes what has arrived and writes what is due, for drain.timeout at most. A second one ends it at once."},
		{"SIGINT", "As SIGTERM, but for 5 seconds at most."},
		{"SIGUSR2", "Starts the program as a new process and hands the connections over to it, as 'switchyard upgrade' does. On Linux."},
	}},
	{"ENVIRONMENT", [][2]string{
		{"SWITCHYARD_CONFIG", "The configuration file, unless --config names one."},
		{"SWITCHYARD_...", "Any key of the configuration, with two underscores for a dot, as in SWITCHYARD_PEER__TIMEOUT=40s. It overrides the file, and --set overrides it."},
		{"XDG_CACHE_HOME", `The folder for the folders that the configuration sets to "auto".`},
		{"NOTIFY_SOCKET, WATCHDOG_USEC", "Set by systemd. Switchyard notifies it of start, reload and stop, and that it is alive."},
	}},
	{"EXIT STATUS", [][2]string{
		{fmt.Sprint(exitStopped), "Stopped with everything written, or done."},
		{fmt.Sprint(exitForced), "Stopped before everything was written, or failed while running; for comparisons and tests: something differs; for commands that ask a server: what they ask does not fit its state."},
		{fmt.Sprint(exitTrouble), "Policies cannot be compared."},
		{fmt.Sprint(exitUsage), "The command line is wrong."},
		{fmt.Sprint(exitData), "A file that the command line names is not what it should be."},
		{fmt.Sprint(exitUnavailable), "An address cannot be listened on, or a server or tool is not available."},
		{fmt.Sprint(exitNotYet), "What policy status --wait or send --expect waits for has not happened in time; upgrade: the server is busy."},
		{fmt.Sprint(exitInternal), "A fault of Switchyard's own; upgrade: the new program could not take over."},
		{fmt.Sprint(exitConfig), "The configuration or a policy is refused. As with 64, starting again does not help."},
	}},
}

// A page is text in the language of man(7).
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) section(title string) { p.line(".SH %s", title) }

// item adds an explanation of a term, which is roff already.
func (p *page) item(term, text string) {
	p.line(".TP\n%s\n%s", term, roff(text))
}

// text adds paragraphs, separated by empty lines. It keeps the line breaks of indented ones.
func (p *page) text(text string) {
	for i, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		lines := strings.Split(strings.Trim(paragraph, "\n"), "\n")
		if strings.TrimLeft(lines[0], " \t") != lines[0] {
			p.verbatim(lines)
			continue
		}
		if i > 0 {
			p.line(".PP")
		}
		for _, l := range lines {
			p.line("%s", roff(l))
		}
	}
}

// verbatim adds lines as they are, such as a shell command. All lose the indentation of the first.
func (p *page) verbatim(lines []string) {
	indentation := lines[0][:len(lines[0])-len(strings.TrimLeft(lines[0], " \t"))]
	p.line(".PP\n.RS 2\n.nf")
	for _, l := range lines {
		p.line("%s", roff(strings.TrimPrefix(l, indentation)))
	}
	p.line(".fi\n.RE")
}

// flags adds the lines of a flag usage: names and kind of value, two blanks or more, and the
// description:
//
//	-o, --output FILE   FILE to write, or - for standard output
func (p *page) flags(title, usages string) {
	if usages == "" {
		return
	}
	p.section(title)
	for usage := range strings.Lines(usages) {
		names, text, _ := strings.Cut(strings.TrimSpace(usage), "  ")
		words := strings.Fields(names)
		for i, w := range words {
			font := `\fI`
			if strings.HasPrefix(w, "-") {
				font = `\fB`
			}
			words[i] = font + roff(w) + `\fR`
		}
		p.item(strings.Join(words, " "), strings.TrimSpace(text))
	}
}

// special escapes the characters that roff does not print as they are.
var special = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `"`, `\(dq`)

// roff escapes one line of text.
func roff(text string) string {
	text = special.Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
