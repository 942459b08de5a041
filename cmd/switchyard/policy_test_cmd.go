package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/policy/sanitize"
	"switchyard/policy/stablefile"
	"switchyard/proxy/cases"
)

// testOptions are the flags of policy test.
type testOptions struct {
	config                 string
	verbose, watch, asJSON bool
}

// policyTest runs a file of test cases on a policy: each on a real hub with fake peers (package
// cases). A server is not needed. The file is not called policy_test.go, which Go would take for a
// test.
func policyTest(o *options, stdout, stderr io.Writer) *cobra.Command {
	var t testOptions
	c := &cobra.Command{
		Use:   "test POLICY CASES",
		Short: "Run a file of test cases on a policy",
		Long: "Run a file of test cases on a policy: how a PDU is routed, given its sender and which peers\n" +
			"hold which users. What the policy logs is printed below the case that failed, and with\n" +
			"--verbose below each. Exits with 1 if a case fails, 65 if the file is faulty. With --watch it\n" +
			"runs them again whenever the policy or the file changes, and exits with 0 at Ctrl-C.\n" +
			"docs/policies.md says how cases are written, plugins/teamtalk/cases.toml has some.",
		Args: exactly("POLICY", "file of CASES"),
		RunE: func(c *cobra.Command, args []string) error {
			once := func(context.Context) error { return t.run(o, args[0], args[1], stdout, stderr) }
			if !t.watch {
				return once(c.Context())
			}
			return watched{
				list:   func() ([]string, error) { return filesOf(args[0], args[1], t.config) },
				run:    once,
				stderr: stderr,
			}.untilSignal(c.Context())
		},
	}
	configFlag(c, &t.config)
	c.Flags().BoolVarP(&t.verbose, "verbose", "v", false, "print the cases that pass as well, with what the policy logs about them")
	watchFlag(c, &t.watch)
	jsonFlag(c, &t.asJSON, "print JSON")
	return c
}

// run runs the cases once. Its error is silent if a case failed. With --watch it is called again for
// each change, so it reads both files again.
func (t *testOptions) run(o *options, policy, file string, stdout, stderr io.Writer) error {
	list, err := readCases(file)
	if err != nil {
		return err
	}
	g, err := loadPolicy(o, policy, t.config, stderr)
	if err != nil {
		return err
	}
	defer g.close()
	g.keepLines()
	ctx, cancel := context.WithTimeout(context.Background(), reviewTime)
	defer cancel()
	result := testResult{Policy: g.Name, SHA256: g.SHA256, File: file, Report: cases.Run(ctx, g.Name, g.SHA256, g, list)}
	if t.asJSON {
		err = printJSON(stdout, result)
	} else {
		result.print(stdout, t.verbose)
	}
	if err == nil && result.Failed > 0 {
		err = errSilent
	}
	return err
}

// readCases reads a file of cases; the error is a dataError.
func readCases(name string) ([]cases.Case, error) {
	text, err := stablefile.Read(name, 10*time.Millisecond, cases.MaxSize)
	if err != nil {
		return nil, dataError{err}
	}
	list, err := cases.Parse(name, text)
	if err != nil {
		return nil, dataError{err}
	}
	return list, nil
}

// testResult is what policy test prints as JSON. Its names do not change.
//
//	policy, sha256  the policy
//	file            the cases
//	passed, failed  how many
//	results         each case: see cases.Result
//	coverage        the commands with a rule, and those without a case
//	notes           remarks on groups, with the line in the file
type testResult struct {
	Policy string `json:"policy"`
	SHA256 string `json:"sha256"`
	File   string `json:"file"`
	cases.Report
}

// print prints the cases that failed, with their differences and what the policy logged, the notes
// and the totals. With verbose it prints the cases that passed, too.
func (t testResult) print(w io.Writer, verbose bool) {
	for _, r := range t.Results {
		word := "FAIL"
		if r.Passed {
			word = "PASS"
		}
		if r.Passed && !verbose {
			continue
		}
		fmt.Fprintf(w, "%s %s:%d: %s\n", word, t.File, r.Line, sanitize.Text(r.Name))
		for _, m := range r.Mismatches {
			fmt.Fprintf(w, "\t%s\n\t\twant  %s\n\t\tgot   %s\n", m.What, sanitize.Lines(m.Want), sanitize.Lines(m.Got))
		}
		for _, note := range r.Notes {
			fmt.Fprintf(w, "\tnote: %s\n", strings.ReplaceAll(note, "\n", "\n\t\t"))
		}
		for _, line := range r.Log {
			fmt.Fprintf(w, "\tlog: %s\n", line)
		}
	}
	for _, note := range t.Notes {
		fmt.Fprintf(w, "note: %s:%d: %s\n", t.File, note.Line, note.Text)
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", t.Passed, t.Failed)
	if t.Coverage.Unknown != "" {
		fmt.Fprintf(w, "how many commands with a rule were tried is not known: %s\n", t.Coverage.Unknown)
		return
	}
	fmt.Fprintf(w, "%d of %d commands with a rule were tried", t.Coverage.Covered, t.Coverage.Ruled)
	if len(t.Coverage.Missing) > 0 {
		fmt.Fprintf(w, ", not %s", strings.Join(t.Coverage.Missing, ", "))
	}
	fmt.Fprintln(w)
}
