package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/policy/provenance"
	"switchyard/policy/release/history"
	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/config"
)

// What was in force, as the history has it. The entries come from the running server, or with
// --verify from the files, which are then read without trusting that server: a chain of lines, each
// of which has the sum of the one before, and receipts that may be signed.

// historyOptions are the flags of policy history.
type historyOptions struct {
	releaseClient
	verify, asJSON bool
	limit          int
	keys           []string
}

// policyHistory prints who changed which policy, and verifies the history's files. With --verify its
// exit code is 65 if a line does not fit, so that a cron job notices it.
func policyHistory(o *options, stdout, _ io.Writer) *cobra.Command {
	h := &historyOptions{releaseClient: releaseClient{options: o}}
	c := &cobra.Command{
		Use:   "history",
		Short: "Print which policies were in force, who changed them, and why",
		Long: "Print which policies were in force, who changed them, and why, the latest first. It asks the\n" +
			"running server for the last entries.\n\n" +
			"With --verify it reads the files in the folder releases.state instead, needs no server, prints\n" +
			"all entries, and exits with 65 and the first line that does not fit if anything was changed,\n" +
			"removed or inserted. With --key, every receipt and the end must be signed by that key.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if h.verify {
				return h.verifyFiles(stdout)
			}
			if len(h.keys) > 0 {
				return usageError{errors.New("--key is for --verify; write both, or neither")}
			}
			some, err := ask(o, c, serverError, func(ctx context.Context, conn *client.Client) (*api.ReleaseHistory, error) {
				return conn.ReleaseHistory(ctx, h.tenant, h.limit)
			})
			if err != nil {
				return err
			}
			return show(stdout, h.asJSON, some, func(w io.Writer, some *api.ReleaseHistory) error { return printHistory(w, some.Entries) })
		},
	}
	h.flags(c, false)
	c.Flags().BoolVar(&h.verify, "verify", false, "verify the files of the history, without a server")
	jsonFlag(c, &h.asJSON, "print JSON, as /api/v1/releases/history answers")
	c.Flags().IntVar(&h.limit, "limit", 50, "print at most this `NUMBER` of entries, up to 500; with --verify all are printed")
	c.Flags().StringArrayVar(&h.keys, "key", nil, "`FILE` with the public key of releases.key; may be repeated")
	return c
}

// A verifiedHistory is what policy history --verify prints as JSON. Its names do not change.
type verifiedHistory struct {
	Sound   bool               `json:"sound"`
	Fault   string             `json:"fault"` // the first line that does not fit; empty if all do
	Number  uint64             `json:"last"`  // of the last entry that fits
	Head    string             `json:"head"`  // SHA-256 of its line
	Signed  bool               `json:"signed"`
	Folder  string             `json:"folder"`
	Files   []string           `json:"files"` // in the folder, the oldest first
	Notes   []string           `json:"notes"`
	Entries []api.HistoryEntry `json:"entries"` // the latest first
}

// verifyFiles verifies the files of the configuration's history. It only reads.
func (h *historyOptions) verifyFiles(stdout io.Writer) error {
	c, _, err := h.load()
	if err != nil {
		return err
	}
	folder, err := historyFolder(c)
	if err != nil {
		return err
	}
	keys, err := provenance.ReadKeys(h.keys...)
	if err != nil {
		return dataError{err}
	}
	v := verifiedHistory{Folder: folder, Notes: []string{}, Entries: []api.HistoryEntry{}}
	report, err := history.Verify(folder, keys, func(e *history.Entry) {
		// Every entry is verified, as the entries of all tenants are one chain.
		if h.tenant == "" || e.Tenant == h.tenant {
			v.Entries = append(v.Entries, admin.EntryOf(e))
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		return dataError{fmt.Errorf("%s has no history; name the configuration of the server that you mean by --config, or its folder by --set releases.state=FOLDER (a server of another user has another folder)", folder)}
	}
	if err != nil {
		return dataError{err}
	}
	slices.Reverse(v.Entries)
	v.Sound, v.Number, v.Head, v.Signed, v.Files = report.Fault == nil, report.Number, report.Sum, report.Signed, report.Files
	v.Notes = append(v.Notes, report.Notes...)
	if report.Fault != nil {
		v.Fault = report.Fault.Error()
	}
	// The entries before the fault are valid, so they are printed as well.
	if err := show(stdout, h.asJSON, v, printVerified); err != nil {
		return err
	}
	if report.Fault != nil {
		return dataError{fmt.Errorf("the history in %s is damaged: %w", folder, report.Fault)}
	}
	return nil
}

// printVerified prints the entries, and below them where they are and how far they are valid:
//
//	folder: /var/lib/switchyard/releases
//	sound: entry 12 is the last, head 1fbdb280a74545ac, signed
func printVerified(w io.Writer, v verifiedHistory) error {
	if err := printHistory(w, v.Entries); err != nil {
		return err
	}
	rows := [][]string{{"folder: " + v.Folder}}
	for _, note := range v.Notes {
		rows = append(rows, []string{"note: " + note})
	}
	if v.Sound {
		signed := "not signed"
		if v.Signed {
			signed = "signed"
		}
		rows = append(rows, []string{fmt.Sprintf("sound: entry %d is the last, head %.16s, %s", v.Number, v.Head, signed)})
	}
	return columns(w, rows)
}

// historyFolder returns the folder of the history.
func historyFolder(c *config.Config) (string, error) {
	folder, err := c.HistoryFolder()
	if err == nil && folder == "" {
		err = errors.New("the history is kept in memory alone; name its folder by --set releases.state=FOLDER")
	}
	if err != nil {
		return "", usageError{fmt.Errorf("releases.state: %w", err)}
	}
	return folder, nil
}

// printHistory prints a row for each entry. A policy is printed as its version and the first digits
// of its checksum; the JSON has the whole checksum:
//
//	N  TIME                  TENANT   KIND         FROM         TO           WHO               REASON
//	3  2026-11-30T08:10:00Z  default  rolled-back  v7 5be2a1c4  v6 1fbdb280  budgets and time  faults: …
func printHistory(w io.Writer, entries []api.HistoryEntry) error {
	rows := [][]string{{"N", "TIME", "TENANT", "KIND", "FROM", "TO", "WHO", "REASON"}}
	of := func(p *api.ReleasedPolicy) string {
		if p == nil {
			return "-"
		}
		return shortPolicy(*p)
	}
	for _, e := range entries {
		rows = append(rows, []string{fmt.Sprint(e.Number), e.Time.UTC().Format(time.RFC3339), cmp.Or(e.Tenant, "-"), e.Kind, of(e.From), of(e.To), whoOf(e.Who), e.Reason})
	}
	return columns(w, rows)
}

// whoOf describes who caused an entry.
func whoOf(w api.ReleaseWho) string {
	text := cmp.Or(w.By, "-")
	if w.Owner != "" {
		text += " of user " + w.Owner
	}
	for _, signer := range w.Signers {
		text += ", signed by " + signer
	}
	return text
}

// policyReceipt prints one receipt. With --json it prints what the history has: if that is signed,
// the envelope, so that other programs can verify it.
func policyReceipt(o *options, stdout, _ io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "receipt RELEASE",
		Short: "Print the receipt of a release",
		Long: "Print the receipt of a release: what was in force before and after, who caused it, and the\n" +
			"counts of the tenant at that moment.\n\n" +
			"RELEASE is the number of the entry with which it began, as 'policy history' prints it under N\n" +
			"and 'policy status' under RELEASE. All tenants of the server share these numbers. A release\n" +
			"has its receipt when it has ended.",
		Args: exactly("RELEASE"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 63)
			if err != nil || id == 0 {
				return usageError{fmt.Errorf("%q is not the number of a release; 'switchyard policy history' prints them", args[0])}
			}
			receipt, err := ask(o, c, serverError, func(ctx context.Context, conn *client.Client) (*api.ReleaseReceipt, error) {
				return conn.Receipt(ctx, id)
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(stdout, receipt.Receipt)
			}
			return printReceipt(stdout, receipt)
		},
	}
	o.serverFlags(c, false)
	jsonFlag(c, &asJSON, "print the receipt as it is in the history: an in-toto statement, or its DSSE envelope")
	return c
}

// printReceipt prints the statement of a receipt. Everything but the signers comes from the
// statement itself, since that is what was signed.
func printReceipt(w io.Writer, r *api.ReleaseReceipt) error {
	var s history.Statement
	if err := json.Unmarshal(r.Statement, &s); err != nil {
		return unavailableError{fmt.Errorf("the receipt is not a statement that this program knows: %w", err)}
	}
	p := s.Predicate
	rows := [][]string{{"release", fmt.Sprint(p.Release)}, {"tenant", p.Tenant}, {"result", string(p.Result)}, {"time", p.Time.UTC().Format(time.RFC3339)},
		{"from", longPolicy(p.From)}, {"to", longPolicy(p.To)}}
	if p.Held != nil {
		rows = append(rows, []string{"held back", longPolicy(p.Held)})
	}
	rows = append(rows, []string{"who", whoOf(api.ReleaseWho{By: p.Who.By, Owner: p.Who.Owner, Signers: p.Who.Signers})})
	if p.Reason != "" {
		rows = append(rows, []string{"reason", p.Reason})
	}
	if p.Before != "" {
		rows = append(rows, []string{"before", p.Before})
	}
	rows = append(rows, []string{"after", p.After})
	if n := p.Sums; n != nil {
		rows = append(rows, []string{"PDUs", fmt.Sprintf("received %d = accepted %d + dropped %d", n.Received, n.Accepted, n.Dropped) + underway(n.Underway)},
			[]string{"copies", fmt.Sprintf("due %d = delivered %d + pending %d + discarded %d", n.Due, n.Delivered, n.Pending, n.Discarded)},
			[]string{"lost", fmt.Sprint(n.Lost)})
	}
	if n := p.Judged; n != nil {
		rows = append(rows, []string{"judged", fmt.Sprintf("received %d = refused %d + unstaged %d + alike %d + by stable %d + by candidate %d%s; lost %d",
			n.Received, n.Refused, n.Unstaged, n.Alike, n.ByStable, n.ByCandidate, underway(n.Underway), n.Lost)})
	}
	// The steps of a release show how much the candidate was tried before it was obeyed by all.
	for _, s := range p.Steps {
		rows = append(rows, []string{"step", stepOf(&s)})
	}
	if len(p.Budgets) > 0 {
		var uses []api.BudgetUse
		for _, b := range p.Budgets {
			uses = append(uses, api.BudgetUse{Budget: b.Budget, Used: b.Used, Allowed: b.Allowed})
		}
		rows = append(rows, []string{"budget", budgetsOf(uses)})
	}
	for _, s := range p.Signals {
		rows = append(rows, []string{"signal", fmt.Sprintf("%s: %d, and %d in as long a time before", s.Name, s.During, s.Before)})
	}
	if len(p.Unseen) > 0 {
		rows = append(rows, []string{"unseen", strings.Join(p.Unseen, ", ")})
	}
	return columns(w, append(rows, []string{"signers", cmp.Or(strings.Join(r.Signers, ", "), "none")}))
}

// underway is the last summand of what was received, which only a cluster has.
func underway(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" + under way %d", n)
}

// stepOf describes a step of a release: by whom its PDUs were decided, and in how many of them the
// two policies differed, and how.
func stepOf(s *history.Step) string {
	var differ, faults, closes, undelivered uint64
	for _, c := range s.Commands {
		differ, faults, closes, undelivered = differ+c.Differ, faults+c.Faults, closes+c.Closes, undelivered+c.Undelivered
	}
	return fmt.Sprintf("%s %.4g %%: by stable %d, by candidate %d, differ %d, faults %d, closes %d, undelivered %d",
		s.State, 100*s.Effective, s.ByStable, s.ByCandidate, differ, faults, closes, undelivered)
}

// longPolicy formats a policy with its whole checksum, for the records of a release.
func longPolicy(p *history.Policy) string {
	if p == nil {
		return "none"
	}
	text := p.Name + ", sha256 " + p.SHA256
	if p.Revision != "" {
		text += ", revision " + p.Revision
	}
	if p.Version > 0 {
		text += fmt.Sprintf(", version %d", p.Version)
	}
	return text
}
