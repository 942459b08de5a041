package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/proxy/admin/api"
)

// Commands about the policies that a running server has in force, and had. This file asks how far
// things are; policy_verbs.go changes them.

// A releaseClient has the flags of a command that asks the running server about policies.
type releaseClient struct {
	*options
	tenant string
}

// flags adds the flags. operate: the command needs the right to operate.
func (r *releaseClient) flags(c *cobra.Command, operate bool) {
	of := "all"
	if operate {
		of = "the only one"
	}
	c.Flags().StringVar(&r.tenant, "tenant", "", "`NAME` of the tenant (default "+of+")")
	c.RegisterFlagCompletionFunc("tenant", r.completeTenants)
	r.serverFlags(c, operate)
}

// tenants returns the tenants that the flag names.
func (r *releaseClient) tenants() []string {
	if r.tenant == "" {
		return nil
	}
	return []string{r.tenant}
}

// policyStatus prints which policies are in force. With --wait it is the last step of a script that
// has saved or pushed a policy: 0 says that the policy is in force, 1 that it will not be, 75 that it
// is not known yet.
func policyStatus(o *options, stdout, _ io.Writer) *cobra.Command {
	r := &releaseClient{options: o}
	var asJSON, wait bool
	var sum string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "status",
		Short: "Print which policies the running server has in force, or wait for one",
		Long: "Print which policies the running server has in force, which were before, and which are held\n" +
			"back because they were rolled back.\n\n" +
			"With --wait it waits for the policy of --sha256, and exits with 0 when that is in force, with 1\n" +
			"when it was rolled back or refused or its release was withdrawn or superseded, and with 75\n" +
			"after --timeout.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if wait != (sum != "") {
				return usageError{errors.New("write --wait and --sha256 together")}
			}
			if sum = strings.ToLower(sum); len(sum) > hex.EncodedLen(sha256.Size) || strings.Trim(sum, "0123456789abcdef") != "" {
				return usageError{fmt.Errorf("--sha256 %.80q: write the SHA-256 of the policy's file, or its first hex digits", sum)}
			}
			if timeout < 0 {
				return usageError{fmt.Errorf("--timeout %v is negative", timeout)}
			}
			if wait {
				return r.wait(c.Context(), sum, timeout)
			}
			all, err := ask(o, c, serverError, func(ctx context.Context, conn *client.Client) (*api.Releases, error) {
				return conn.Releases(ctx, r.tenants())
			})
			if err != nil {
				return err
			}
			return show(stdout, asJSON, all, printReleases)
		},
	}
	r.flags(c, false)
	jsonFlag(c, &asJSON, "print JSON, as /api/v1/releases answers")
	c.Flags().BoolVar(&wait, "wait", false, "wait until the policy of --sha256 is in force or refused")
	c.Flags().StringVar(&sum, "sha256", "", "`SHA256` of the policy's file to wait for, or its first digits")
	c.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait")
	return c
}

// waitTime is the time between two looks at the server.
const waitTime = 200 * time.Millisecond

// wait waits until the policy is in force for the tenant. It asks again and again, because a release
// may outlast any connection. A server that does not answer, as while it is restarted, ends the wait
// with exit code 69.
func (r *releaseClient) wait(ctx context.Context, sum string, timeout time.Duration) error {
	conn, err := r.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	end := time.After(timeout)
	// A policy whose release has ended without putting it in force will not come. While a process that
	// has just started loads the candidate, the last release that ended is an earlier one.
	var release uint64 // of the policy; 0 if it was not seen in one
	for {
		all, err := conn.Releases(ctx, r.tenants())
		if err != nil {
			return serverError(err)
		}
		if len(all.Releases) != 1 {
			return usageError{errors.New("there are several tenants; name one by --tenant")}
		}
		one := &all.Releases[0]
		if done, err := awaited(one, sum); done || err != nil {
			return err
		}
		switch {
		case one.Stage != nil && strings.HasPrefix(one.Stage.Candidate.SHA256, sum):
			release = one.Release
		case release != 0 && one.Release >= release:
			return fmt.Errorf("the release of policy %s was withdrawn or superseded; see 'switchyard policy history'", sum)
		}
		select {
		case <-time.After(waitTime):
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return notYetError{fmt.Errorf("policy %s is not in force after %v", sum, timeout)}
		}
	}
}

// awaited reports whether the policy is in force. The error says that it will not be, so that a
// script does not wait for --timeout when the result is known. A refusal counts only if the policy is
// not in force: it may be about a file that was saved later. What is known, in this order:
//
//	held back              it was rolled back, and is not tried again by itself
//	the tenant was killed  nothing comes into force until revive
//	in force               yes
//	refused                no
//	else                   not yet
func awaited(r *api.Release, sum string) (bool, error) {
	fits := func(p api.ReleasedPolicy) bool { return strings.HasPrefix(p.SHA256, sum) }
	switch {
	case slices.ContainsFunc(r.Held, fits):
		return false, fmt.Errorf("policy %s was rolled back; let it in with 'switchyard policy retry'", sum)
	case r.Killed:
		return false, errors.New("the tenant's policy was killed; end that with 'switchyard policy revive'")
	case r.InForce != nil && fits(*r.InForce):
		return true, nil
	case r.Refused != "":
		return false, fmt.Errorf("refused: %s", r.Refused)
	}
	return false, nil
}

// printReleases prints a row for each tenant, and below them how far its release is and how the
// history is kept. BEFORE and HELD BACK are lists.
func printReleases(w io.Writer, all *api.Releases) error {
	rows := [][]string{{"TENANT", "MODE", "RELEASE", "IN FORCE", "BEFORE", "HELD BACK", "STATE"}}
	for _, r := range all.Releases {
		inForce := "unknown"
		if r.InForce != nil {
			inForce = shortPolicy(*r.InForce)
		}
		state := "as configured"
		switch {
		case r.Killed:
			inForce, state = "teamtalk", "killed; "+inForce+" is back after revive"
		case r.Stage != nil:
			state = stageOf(r.Stage)
		case r.Drift == "lost":
			state = "in force without a release, as the previous policy was lost"
		case r.Drift != "":
			state = "not as configured: " + r.Drift
		case r.Refused != "":
			state = "refused: " + r.Refused
		}
		rows = append(rows, []string{r.Tenant, r.Mode, fmt.Sprint(r.Release), inForce, shortPolicies(r.Previous), shortPolicies(r.Held), state})
	}
	if err := columns(w, rows); err != nil {
		return err
	}
	for _, r := range all.Releases {
		if r.Stage != nil {
			if err := printStage(w, &r); err != nil {
				return err
			}
		}
		if r.OutdatedPeers > 0 {
			fmt.Fprintf(w, "peers    tenant %s: %s\n", r.Tenant, outdatedPeers(&r))
		}
	}
	h := all.History
	entries := "entries"
	if h.Entries == 1 {
		entries = "entry"
	}
	fmt.Fprintf(w, "history  %d %s, head %.16s\n", h.Entries, entries, h.Head)
	if !h.Intact {
		fmt.Fprintln(w, "history  damaged; see 'switchyard policy history --verify'")
	}
	if h.Error != "" {
		return columns(w, [][]string{{fmt.Sprintf("history  %d entries are not written: %s", h.Unsaved, h.Error)}})
	}
	return nil
}

// outdatedPeers describes the peers that have to reconnect.
func outdatedPeers(r *api.Release) string {
	if r.Reconnecting {
		return fmt.Sprintf("%d peers have yet to be closed, one per second, so that they reconnect", r.OutdatedPeers)
	}
	return fmt.Sprintf("%d peers announced their users to a policy that handled presence otherwise; let them reconnect with 'switchyard policy rollback --reconnect'", r.OutdatedPeers)
}

// stageOf describes how far a release is: "candidate v6 1fbdb280 at 10 % for 48s".
func stageOf(s *api.ReleaseStage) string {
	text := fmt.Sprintf("candidate %s in %s", shortPolicy(s.Candidate), s.State)
	if s.State == "stage" {
		text = fmt.Sprintf("candidate %s at %.4g %%", shortPolicy(s.Candidate), 100*s.Effective)
	}
	if s.Paused {
		return strings.TrimSuffix(text+", paused: "+s.Reason, ": ") // an operator need not give one
	}
	return fmt.Sprintf("%s for %v", text, seconds(s.HeldSeconds).Round(time.Second))
}

// printStage prints what a release has shown so far:
//
//	release  7 of tenant default
//	weighed  1200 PDUs in this stage; 9000 in all, 0 not compared
//	obeyed   7100 PDUs alike, 1710 as the stable policy, 190 as the candidate
//	worse    faults 0, closes 0, undelivered 2
//	change   copies +3.1 %, bytes +2.9 %
//	affects  CID_MSG_DATA
//	unseen   none
//	budget   undelivered 0.02 of 0.1 %, copies +3.1 of +25 %
//	next     10 % after 4m12s and 120 more weighed PDUs
func printStage(w io.Writer, r *api.Release) error {
	s, c := r.Stage, &r.Stage.Counts
	change := func(pair [2]uint64) string {
		if pair[0] == 0 {
			return fmt.Sprintf("%d instead of 0", pair[1])
		}
		return fmt.Sprintf("%+.1f %%", 100*(float64(pair[1])/float64(pair[0])-1))
	}
	list := func(commands []string) string { return cmp.Or(strings.Join(commands, ", "), "none") }
	rows := [][]string{
		{"release", fmt.Sprintf("%d of tenant %s", r.Release, r.Tenant)},
		{"weighed", fmt.Sprintf("%d PDUs in this stage; %d in all, %d not compared", s.Weighed, c.PDUs-c.Unweighed, c.Unweighed)},
		{"obeyed", fmt.Sprintf("%d PDUs alike, %d as the stable policy, %d as the candidate", s.Alike, s.ByStable, s.ByCandidate)},
	}
	if untried := untriedOf(s); untried != "" {
		rows = append(rows, []string{"untried", untried})
	}
	rows = append(rows, [][]string{
		{"worse", fmt.Sprintf("faults %d, closes %d, undelivered %d", c.Faults, c.Closes, c.Undelivered)},
		{"change", fmt.Sprintf("copies %s, bytes %s", change(c.Copies), change(c.Bytes))},
		{"affects", list(s.Commands)},
		{"unseen", list(s.Unseen)},
		{"budget", budgetsOf(s.Budgets)},
		{"next", nextOf(s, r.Mode)},
	}...)
	return columns(w, rows)
}

// untriedOf says why the candidate is obeyed about no PDU although the stage has a share, and what helps;
// it returns "" if the candidate is obeyed, or no affected PDU has come.
func untriedOf(s *api.ReleaseStage) string {
	if s.State != "stage" || s.ByCandidate > 0 || s.NextUnitAt == 0 {
		return ""
	}
	return fmt.Sprintf("no user or peer that sent an affected PDU is in the share of %.4g %%; the first one is above %.4g %%: wait for others, or write 'switchyard policy promote'", 100*s.Effective, 100*s.NextUnitAt)
}

// budgetsOf describes what a candidate uses of its budgets: "undelivered 0.02 of 0.1 %, copies +3.1 of
// +25 %, fuel 130 of 480 units".
func budgetsOf(all []api.BudgetUse) string {
	var texts []string
	for _, b := range all {
		format := "%s %.3g of %.3g %%"
		used, allowed := 100*b.Used, 100*b.Allowed
		switch b.Budget {
		case "copies", "bytes":
			format = "%s %+.3g of %+.3g %%"
		case "fuel":
			format, used, allowed = "%s %.0f of %.0f units", b.Used, b.Allowed
		}
		if max(used, allowed) >= 1000 { // in digits, not as 1e+03
			format = strings.ReplaceAll(format, ".3g", ".0f")
		}
		texts = append(texts, fmt.Sprintf(format, b.Budget, used, allowed))
	}
	return strings.Join(texts, ", ")
}

// nextOf describes what comes after the present step, and when: "10 % after 4m12s and 120 more
// weighed PDUs", "bake after 'switchyard policy resume'". A step is over when it has been held for
// its time and has enough PDUs, unless somebody has to say so.
func nextOf(s *api.ReleaseStage, mode string) string {
	next := "done"
	if s.Step+1 < len(s.Steps) {
		if step := s.Steps[s.Step+1]; step.State == "stage" {
			next = fmt.Sprintf("%.4g %%", 100*step.Share)
		} else {
			next = step.State
		}
	}
	var wants []string
	if left := s.HoldSeconds - s.HeldSeconds; left > 0 {
		wants = append(wants, fmt.Sprint(seconds(left).Round(time.Second)))
	}
	if s.Weighed < s.Sample {
		wants = append(wants, fmt.Sprintf("%d more weighed PDUs", s.Sample-s.Weighed))
	}
	if next == "bake" && s.State == "stage" && s.ByCandidate == 0 && s.Sample > 0 {
		wants = append(wants, "a PDU that is obeyed as the candidate")
	}
	switch {
	case s.Paused:
		return next + " after 'switchyard policy resume'"
	case mode == "manual":
		return next + " after 'switchyard policy promote'"
	case wants == nil:
		return next + " now"
	}
	return next + " after " + strings.Join(wants, " and ")
}

// shortPolicy formats a policy as v6 1fbdb280.
func shortPolicy(p api.ReleasedPolicy) string {
	text := fmt.Sprintf("%.8s", p.SHA256)
	if p.Version > 0 {
		text = fmt.Sprintf("v%d %s", p.Version, text)
	}
	return text
}

// shortPolicies lists the first few policies and counts the rest.
func shortPolicies(all []api.ReleasedPolicy) string {
	const most = 3
	var texts []string
	for _, p := range all[:min(len(all), most)] {
		texts = append(texts, shortPolicy(p))
	}
	if more := len(all) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return cmp.Or(strings.Join(texts, ", "), "-")
}
