package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/pdu"
	"switchyard/plugins/source"
	"switchyard/policy/review"
)

// policyShow prints what a policy decides by ids. It works for modules as for tables, as it asks the
// policy and does not read its source; of a table it knows in addition which line each row is from.
func policyShow(o *options, stdout, stderr io.Writer) *cobra.Command {
	var config string
	var asJSON, asTable bool
	c := &cobra.Command{
		Use:   "show POLICY",
		Short: "Print the routing table of a policy",
		Long: "Print the routing table of any policy, found by asking it about every command id, and\n" +
			"for a table where each row is written.\n\n" +
			"With --table, print the text of a table: of one that extends others, as one table that\n" +
			"needs no other file and has the same rules. Its SHA-256 is the one to pin and sign.",
		Args: exactly("POLICY"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case asTable && asJSON:
				return usageError{errors.New("--table and --json are two forms of output; keep one")}
			case asTable:
				return printTable(o, args[0], stdout, stderr)
			}
			g, err := loadPolicy(o, args[0], config, stderr)
			if err != nil {
				return err
			}
			defer g.close()
			return show(stdout, asJSON, describe(c.Context(), g), printShown)
		},
	}
	configFlag(c, &config)
	jsonFlag(c, &asJSON, "print JSON, with every command of the protocol")
	c.Flags().BoolVar(&asTable, "table", false, "print the text of a table, with what it extends")
	return c
}

// printTable prints the text of a table.
func printTable(o *options, arg string, stdout, stderr io.Writer) error {
	m, err := o.findPolicy(arg, stderr)
	if err != nil {
		return err
	}
	if text, ok := source.ShippedTable(m.Name); ok {
		_, err = stdout.Write(text)
		return err
	}
	if m.Table == nil {
		return dataError{fmt.Errorf("%s is not a table but a module; leave out --table", arg)}
	}
	_, err = stdout.Write(m.File)
	return err
}

// A shownPolicy is what policy show prints as JSON. Its names do not change.
//
//	policy    its name on the command line
//	sha256    of its file, as sha256sum prints it; of a shipped policy's module
//	module_sha256  of the module; for a table, of the module compiled from it
//	engine    compiler or interpreter
//	config    its configuration, or null
//	exports   the functions of the ABI that the module exports
//	rows      every command of the protocol, and unknown ones with a rule: see review.Row
//	else      what applies to commands without a rule: see review.Rest
//	asked     what the policy was asked about, in words
//	warnings  about the policy as a whole
type shownPolicy struct {
	Policy   string          `json:"policy"`
	SHA256   string          `json:"sha256"`
	Module   string          `json:"module_sha256"`
	Engine   string          `json:"engine"`
	Config   json.RawMessage `json:"config"`
	Exports  []string        `json:"exports"`
	Rows     []review.Row    `json:"rows"`
	Else     []review.Rest   `json:"else"`
	Asked    string          `json:"asked"`
	Warnings []string        `json:"warnings,omitempty"`
}

// reviewTime is how long a policy may take to answer all questions about its table.
const reviewTime = time.Minute

// describe asks the policy about every command id, for reviewTime at most. If that is not enough,
// Asked says how far it came.
func describe(ctx context.Context, g *loadedPolicy) shownPolicy {
	ctx, cancel := context.WithTimeout(ctx, reviewTime)
	defer cancel()
	kind, _ := g.engine.Kind()
	t := review.NewQuestions(nil, g).Extract(ctx, g)
	return shownPolicy{Policy: g.Name, SHA256: g.FileSHA256, Module: g.SHA256, Engine: kind, Config: g.config, Exports: g.Exports(),
		Rows: t.Rows(), Else: t.Rest(), Asked: t.Asked(), Warnings: append(t.Warnings(), g.Warnings()...)}
}

// printShown prints the rows that differ from else, and how many do not. Commands of the operator's
// own have a row in any case, because they are what the operator looks for.
func printShown(w io.Writer, s shownPolicy) error {
	fmt.Fprintf(w, "policy   %s\nsha256   %s\n", s.Policy, s.SHA256)
	if s.Module != s.SHA256 {
		fmt.Fprintf(w, "module   %s\n", s.Module)
	}
	fmt.Fprintf(w, "engine   %s\nconfig   %s\nexports  %s\n\n", s.Engine, cmp.Or(string(s.Config), "none"), strings.Join(s.Exports, ", "))
	rows := [][]string{{"COMMAND", "ID", "SERVICE", "ACTION", "TARGETS", "FLAGS", "DECIDED BY"}}
	if slices.ContainsFunc(s.Rows, func(r review.Row) bool { return len(r.Sources) > 0 }) {
		rows[0] = append(rows[0], "FROM")
	}
	alike := 0
	for _, r := range s.Rows {
		if r.Alike && !pdu.CommandID(r.First).IsCustom() { // the operator's own have a row in any case
			alike++
			continue
		}
		id := fmt.Sprintf("%#04x", r.First)
		if !r.Known {
			id = ""
		}
		rows = append(rows, append([]string{r.Command, id, r.Scope.String()}, cells(r.Decision)...))
		rows = append(rows, caseRows(r)...)
	}
	for _, r := range s.Else {
		rows = append(rows, append([]string{review.Else, "", r.Scope.String()}, cells(r.Decision)...))
	}
	if err := columns(w, rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nelse is for %d commands of the protocol and all unknown ids that have no row\nasked about %s\n", alike, s.Asked)
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	return nil
}

// caseRows returns a row for each case of a row, whose own row is for what they leave.
func caseRows(r review.Row) (rows [][]string) {
	for _, c := range r.Cases {
		verdict := cells(decisionOf(c, r.First))[:3]
		rows = append(rows, slices.Concat([]string{"  if " + c.If, "", ""}, verdict, []string{"", c.Source}))
	}
	return rows
}

// cells returns the cells of a decision: ACTION, TARGETS, FLAGS, DECIDED BY, and FROM if it is known.
func cells(d review.Decision) []string {
	action := d.Action
	if d.Handler != "" {
		action += " " + d.Handler
	}
	if d.Fault != "" {
		action += " (" + d.Fault + ")"
	}
	targets := d.Targets
	if len(d.Fields) > 0 {
		targets = "fields " + strings.Join(d.Fields, " ")
	}
	flags := d.Flags
	if d.Limit != "" {
		flags = append(slices.Clone(flags), d.Limit)
	}
	return []string{action, targets, strings.Join(flags, ", "), decidedBy[d.Decided], strings.Join(d.Sources, ", ")}
}

var decidedBy = map[string]string{review.Constant: "ids", review.ByHeader: "inspecting headers", review.ByBody: "inspecting bodies"}
