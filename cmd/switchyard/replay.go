package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/review"
	"switchyard/proxy/capture"
	"switchyard/proxy/replay"
)

// Package replay runs the policies over the recording. This file loads them as serve would, and
// prints what they did: by command, by peer, and what is new against the recording and the first
// policy.

// replayCommand runs policies over a capture.
func replayCommand(o *options, stdout, stderr io.Writer) *cobra.Command {
	var tenant, config string
	var asJSON bool
	c := &cobra.Command{
		Use:   "replay CAPTURE POLICY...",
		Short: "Run policies over a capture and print what they would change",
		Long: "Run policies over a capture and print what they would change.\n\n" +
			"Each policy gets its own hub, with the peers of the capture. Verdicts are compared with those\n" +
			"recorded and with those of the first policy. CAPTURE is a file made with 'switchyard capture',\n" +
			"or - for standard input; a truncated one is replayed as far as it goes, with exit code 65.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{fmt.Errorf("replay needs a CAPTURE and at least one POLICY; see '%s --help'", c.CommandPath())}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			// All policies are loaded before the capture is read, which standard input gives only
			// once.
			var policies []*loadedPolicy
			for _, arg := range args[1:] {
				g, err := loadPolicy(o, arg, config, stderr)
				if err != nil {
					return err
				}
				defer g.close()
				policies = append(policies, g)
			}
			report, err := replayFile(args[0], tenant, policies...)
			if report == nil {
				return err
			}
			return errors.Join(show(stdout, asJSON, report, printReport), err)
		},
	}
	c.Flags().StringVar(&tenant, "tenant", "", "`name` of the tenant to replay, if there are several in the capture")
	jsonFlag(c, &asJSON, "print JSON")
	configFlag(c, &config)
	return o.named(c)
}

// replayFile runs policies over a capture. With the error of a capture that is cut off or damaged
// comes the report on what is before that: it is worth reading all the same.
func replayFile(path, tenant string, loaded ...*loadedPolicy) (*replay.Report, error) {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, dataError{fmt.Errorf("open the capture: %w; make one with 'switchyard capture'", err)}
		}
		defer f.Close()
		in = f
	}
	var policies []replay.Policy
	for _, g := range loaded {
		policies = append(policies, replay.Policy{Name: g.Name, SHA256: g.FileSHA256, Policy: g.Policy})
	}
	report, err := replay.Run(capture.NewReader(bufio.NewReaderSize(in, 1<<20)), tenant, policies...)
	switch {
	case errors.Is(err, replay.ErrTenant):
		return nil, usageError{fmt.Errorf("%w; name it by --tenant", err)}
	case err != nil:
		return report, dataError{fmt.Errorf("%s: %w", path, err)}
	}
	return report, nil
}

// printReport prints a report for people.
func printReport(w io.Writer, r *replay.Report) error {
	what := "headers"
	if r.Bodies {
		what = "bodies"
	}
	if r.Filtered {
		what += " of some commands"
	}
	fmt.Fprintf(w, "capture    tenant %s, %s in %v from %s, %s, %s; %d missed\n", r.Tenant, quantity(r.PDUs, "PDU"),
		r.To.Sub(r.From).Round(time.Millisecond), quantity(uint64(r.Peers), "peer"), size(r.Bytes), what, r.Missed)
	for i, p := range r.Policies {
		if err := printResult(w, r, i, p); err != nil {
			return err
		}
	}
	return nil
}

// printResult prints what one policy did: by command, by peer, and what differs from the verdicts
// recorded and from those of the first policy:
//
//	policy     routes.toml  sha256 1fbdb280…
//	guest      1201 calls in 310µs; faults: none
//
//	COMMAND       PDUS  COPIES  SENT    VERDICT
//	CID_MSG_DATA  1200  37200   9.3 MB  broadcast-except-sender
func printResult(w io.Writer, r *replay.Report, i int, p *replay.Result) error {
	fmt.Fprintf(w, "\npolicy     %s  sha256 %s\n", p.Policy, p.SHA256)
	fmt.Fprintf(w, "guest      %s in %v; faults: %s\n", quantity(p.Calls, "call"), p.Time.Round(time.Microsecond), faults(p))
	rows := [][]string{{"COMMAND", "PDUS", "COPIES", "SENT", "VERDICT"}}
	for _, c := range p.Commands {
		rows = append(rows, commandRows(c)...)
	}
	fmt.Fprintln(w)
	if err := columns(w, rows); err != nil {
		return err
	}
	rows = [][]string{{"PEER", "PDUS", "COPIES", "SENT"}}
	for _, peer := range p.Peers {
		rows = append(rows, []string{strconv.FormatUint(peer.Session, 10), number(peer.PDUs), number(peer.Copies), size(peer.Bytes)})
	}
	fmt.Fprintln(w)
	if err := columns(w, rows); err != nil {
		return err
	}
	fromRecorded := func(c *replay.Command) replay.Changes { return c.FromRecorded }
	if err := printChanges(w, "RECORDED", "nothing since it was recorded", p, fromRecorded); err != nil || i == 0 {
		return err
	}
	first := r.Policies[0].Policy
	fromFirst := func(c *replay.Command) replay.Changes { return c.FromFirst }
	return printChanges(w, "WITH "+first, "nothing against "+first, p, fromFirst)
}

// commandRows returns the row of one command, with a row below for each detail. Of a command with
// several verdicts, the first row has the sums:
//
//	CID_MSG_DATA  1200  37200  9.3 MB  by verdict:
//	              1000                 broadcast-except-sender
//	              200                  drop
func commandRows(c *replay.Command) (rows [][]string) {
	// PDUs without the part of the capture that decides have no copies here. Numbers that lack some
	// PDUs end in +?, and a ? stands for those that lack all.
	copies, sent := number(c.Copies), size(c.Sent)
	if unknown := c.Undecided.Sum() + c.Unrouted.Sum(); unknown == c.PDUs {
		copies, sent = "?", "?"
	} else if unknown > 0 {
		copies, sent = copies+"+?", sent+"+?"
	}
	below := func(n uint64, text string) {
		if len(rows) == 0 {
			rows = append(rows, []string{c.Name, number(c.PDUs), copies, sent, text})
			return
		}
		rows = append(rows, []string{"", number(n), "", "", text})
	}
	if len(c.Verdicts) > 1 {
		below(c.PDUs, "by verdict:")
	}
	for _, v := range c.Verdicts.Texts() {
		below(c.Verdicts[v], withFieldNames(v, c.ID))
	}
	for _, why := range c.Undecided.Texts() {
		below(c.Undecided[why], "verdict not known: "+why)
	}
	for _, why := range c.Unrouted.Texts() {
		below(c.Unrouted[why], "copies not known: "+why)
	}
	for _, why := range c.Dropped.Texts() {
		below(c.Dropped[why], "dropped: "+why)
	}
	if c.Redacted > 0 {
		below(c.Redacted, "judged with redacted values in the body")
	}
	return rows
}

// printChanges prints the PDUs whose verdict differs from an earlier one, by command and pair of
// verdicts. before heads the column of that one, and nothing is what is printed if none differ.
func printChanges(w io.Writer, before, nothing string, p *replay.Result, of func(*replay.Command) replay.Changes) error {
	rows := [][]string{{"CHANGED", "PDUS", before, "NOW"}}
	for _, c := range p.Commands {
		for _, change := range of(c) {
			rows = append(rows, []string{c.Name, number(change.PDUs), withFieldNames(change.Before, c.ID), withFieldNames(change.After, c.ID)})
		}
	}
	if len(rows) == 1 {
		_, err := fmt.Fprintf(w, "\nCHANGED  %s\n", nothing)
		return err
	}
	fmt.Fprintln(w)
	return columns(w, rows)
}

// withFieldNames returns the verdict of a report with the fields of a unicast by name: a verdict has
// only their numbers, which mean something else in each command.
func withFieldNames(verdict string, c pdu.CommandID) string {
	// A verdict after a fault is the fallback and the fault: "drop, log by trap".
	text, fault, failed := strings.Cut(verdict, " by ")
	v, problem := policy.ParseVerdict(text)
	if problem != nil {
		return verdict
	}
	text = review.Decide(v, c).Text()
	if failed {
		text += " by " + fault
	}
	return text
}

// faults lists the kinds of faults with their counts: "2 fuel, 1 trap", or "none".
func faults(p *replay.Result) string {
	var texts []string
	for _, kind := range slices.Sorted(maps.Keys(p.Faults)) {
		texts = append(texts, fmt.Sprintf("%d %s", p.Faults[kind], kind))
	}
	return cmp.Or(strings.Join(texts, ", "), "none")
}
