package main

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/server"
	"switchyard/cmd/switchyard/trial"
)

// jsonFlag adds --json.
func jsonFlag(c *cobra.Command, asJSON *bool, usage string) {
	c.Flags().BoolVar(asJSON, "json", false, usage)
}

// A jsonError is what a command with --json prints on standard error if it fails. Its names do not
// change.
type jsonError struct {
	Error    string `json:"error"`
	ExitCode int    `json:"exit_code"`
}

// wantsJSON reports whether the command line asks for JSON. The flags may have a fault themselves, so
// that --json is looked for among the arguments if it was not read.
func wantsJSON(c *cobra.Command, args []string) bool {
	f := c.Flags().Lookup("json")
	if f == nil || f.Value.Type() != "bool" {
		return false
	}
	return f.Value.String() == "true" || !f.Changed && slices.Contains(args, "--json")
}

// A checkReport is what check prints as JSON. Its names do not change. The lines are those of the
// output without --json.
type checkReport struct {
	Sound    bool     `json:"sound"`
	Notes    []string `json:"notes"`
	Warnings []string `json:"warnings"`
	Faults   []string `json:"faults"`
}

// checkAsJSON checks the configuration and prints a report. The error is that of the check.
func checkAsJSON(o *options, stdout, stderr io.Writer) error {
	var text strings.Builder
	fault := server.Check(o.load, trial.New(), &text, stderr)
	r := checkReport{Sound: fault == nil, Notes: []string{}, Warnings: []string{}, Faults: []string{}}
	for line := range strings.Lines(text.String()) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "warning: ") || strings.Contains(line, ": warning: ") {
			r.Warnings = append(r.Warnings, line)
		} else {
			r.Notes = append(r.Notes, line)
		}
	}
	if fault != nil {
		r.Faults = strings.Split(strings.TrimSpace(fault.Error()), "\n")
	}
	return cmp.Or(printJSON(stdout, r), fault)
}

// printJSONError prints the error as an object.
func printJSONError(stderr io.Writer, err error) {
	if strings.TrimSpace(err.Error()) == "" { // it has printed why already
		return
	}
	printJSON(stderr, jsonError{Error: strings.TrimSpace(err.Error()), ExitCode: exitCode(err)})
}
