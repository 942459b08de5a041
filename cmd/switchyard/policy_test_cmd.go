package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/policy/stablefile"
	"switchyard/proxy/cases"
)

// policyTest runs a file of test cases on a policy.
func policyTest(o *options, stdout, stderr io.Writer) *cobra.Command {
	var config string
	var asJSON bool
	c := &cobra.Command{
		Use:   "test POLICY CASES",
		Short: "Run a file of test cases on a policy",
		Long: "Run a file of test cases on a policy: how a PDU is routed, given its sender and which peers\n" +
			"hold which users. Exits with 1 if a case fails, 65 if the file is faulty.\n" +
			"docs/policies.md says how cases are written, plugins/teamtalk/cases.toml has some.",
		Args: exactly("POLICY", "file of CASES"),
		RunE: func(_ *cobra.Command, args []string) error {
			list, err := readCases(args[1])
			if err != nil {
				return err
			}
			g, err := loadPolicy(o, args[0], config, stderr)
			if err != nil {
				return err
			}
			defer g.close()
			t := testResult{Policy: g.Name, SHA256: g.SHA256, File: args[1], Report: cases.Run(g.Name, g.SHA256, g, list)}
			if asJSON {
				err = printJSON(stdout, t)
			} else {
				t.print(stdout)
			}
			if err == nil && t.Failed > 0 {
				err = errSilent
			}
			return err
		},
	}
	configFlag(c, &config)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
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
type testResult struct {
	Policy string `json:"policy"`
	SHA256 string `json:"sha256"`
	File   string `json:"file"`
	cases.Report
}

// print prints the cases that failed, with their differences, and the totals.
func (t testResult) print(w io.Writer) {
	for _, r := range t.Results {
		if r.Passed {
			continue
		}
		fmt.Fprintf(w, "FAIL %s:%d: %s\n", t.File, r.Line, r.Name)
		for _, m := range r.Mismatches {
			fmt.Fprintf(w, "\t%s\n\t\twant  %s\n\t\tgot   %s\n", m.What, m.Want, m.Got)
		}
		for _, note := range r.Notes {
			fmt.Fprintf(w, "\tnote: %s\n", strings.ReplaceAll(note, "\n", "\n\t\t"))
		}
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", t.Passed, t.Failed)
	fmt.Fprintf(w, "%d of %d commands with a rule were tried", t.Coverage.Covered, t.Coverage.Ruled)
	if len(t.Coverage.Missing) > 0 {
		fmt.Fprintf(w, ", not %s", strings.Join(t.Coverage.Missing, ", "))
	}
	fmt.Fprintln(w)
}
