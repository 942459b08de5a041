package main

import (
	"cmp"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/server"
	"switchyard/cmd/switchyard/trial"
)

// checkCommand checks the configuration and all policies.
func checkCommand(o *options, stdout, stderr io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Report every fault of the configuration and its policies, and exit 0 or 78",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return checkAsJSON(o, stdout, stderr)
			}
			return server.Check(o.load, trial.New(), stdout, stderr)
		},
	}
	jsonFlag(c, &asJSON, "print JSON, with the faults")
	return c
}

// A checkReport is what check prints as JSON. Its names do not change. The lines are those of the
// output without --json.
type checkReport struct {
	Sound    bool     `json:"sound"`
	Notes    []string `json:"notes"`
	Warnings []string `json:"warnings"`
	Faults   []string `json:"faults"`
}

// checkAsJSON checks the configuration and prints a report. The error is that of the check, so the
// exit code is the same as without --json. Package server prints text alone, of which warnings are
// known by the word that all of them have.
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
