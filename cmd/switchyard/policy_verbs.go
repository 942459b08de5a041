package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/proxy/admin/api"
)

// The verbs that change a tenant's policy. They are alike but for their texts and a few flags, so
// they are a table:
//
//	promote, pause, resume   the release that is under way
//	rollback                 ends it, or goes back to an earlier policy
//	retry                    lets in what was rolled back
//	kill, revive             the shipped policy in an emergency, and the end of that

// A releaseVerb is a command that changes a tenant's policy. done begins the sentence about what is
// in force afterwards; it is empty if that did not change at once.
type releaseVerb struct {
	name, short, long string
	to                bool // it goes to another policy, so it has the flags --to and --reconnect
	done              string
}

var releaseVerbs = []releaseVerb{
	{"promote", "Move a release to its next stage, now",
		"Move a release to its next stage, now: from shadow to the first stage, from the last one to bake,\n" +
			"where all obey the candidate, and from there to done. Its budgets still apply.", false, ""},
	{"pause", "Pause a release: its share stays", "Pause a release: its share stays, and the time of its stage stops. Its budgets still apply.", false, ""},
	{"resume", "Resume a release that is paused", "", false, ""},
	{"rollback", "End a release, or put the policy that was in force before in force again",
		"End the release that is under way: the policy in force is obeyed again. Without one, put the\n" +
			"policy that was in force before in force again. Either happens at once.\n\n" +
			"The present one is skipped from then on, also after a restart, until its content changes or\n" +
			"'policy retry'. The configuration is not changed: until it names what is in force, the metric\n" +
			"switchyard_release_drift is 1. A signed version may be lower than the one in force.\n\n" +
			"With --reconnect, the tenant's peers are closed after that, one per second: they reconnect and\n" +
			"announce their users to the policy in force. If a policy was rolled back already, by itself\n" +
			"too, or killed, --reconnect goes back no further. 'policy status' says when it is needed.", true, "rolled back to"},
	{"retry", "Load what the configuration names, even if it was rolled back before", "", false, "in force is"},
	{"kill", "Put the shipped policy teamtalk in force until revive",
		"Put the shipped policy teamtalk, which routes as the original does, in force at once.\n\n" +
			"It stays in force, also after a restart and whatever the configuration names, until 'policy\n" +
			"revive'. The tenant's may settings apply to it.", false, ""},
	{"revive", "End a kill: what the configuration names is in force again", "", false, "in force is"},
}

// policyVerbs returns the commands that change a tenant's policy.
func policyVerbs(o *options, stdout io.Writer) (all []*cobra.Command) {
	for _, v := range releaseVerbs {
		all = append(all, v.command(o, stdout))
	}
	return all
}

// command returns the command of the verb. It prints what is in force afterwards, or how far the
// release is, because the server answers only when the change is made. Loading may take minutes on a
// busy machine; Ctrl-C ends the wait, and not what the server does.
func (v releaseVerb) command(o *options, stdout io.Writer) *cobra.Command {
	r := &releaseClient{options: o}
	var request api.ReleaseRequest
	var asJSON bool
	c := &cobra.Command{
		Use: v.name, Short: v.short, Long: v.long, Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			// An empty name stands for the only tenant; the server refuses it if there are several.
			request.Tenant = r.tenant
			result, err := ask(o, c, verbError, func(ctx context.Context, conn *client.Client) (*api.Release, error) {
				return conn.ChangeRelease(ctx, v.name, request)
			})
			if err != nil {
				return err
			}
			return show(stdout, asJSON, result, func(w io.Writer, r *api.Release) error {
				return columns(w, [][]string{{fmt.Sprintf("tenant %s: %s", r.Tenant, v.result(r))}})
			})
		},
	}
	r.flags(c, true)
	jsonFlag(c, &asJSON, "print JSON, as /api/v1/releases/"+v.name+" answers")
	c.Flags().StringVar(&request.Reason, "reason", "", "`TEXT` for the history")
	c.Flags().Uint64Var(&request.Release, "release", 0, "fail unless this `NUMBER` of 'policy status' is the present release")
	if v.name == "promote" {
		c.Flags().BoolVar(&request.All, "all", false, "pass all stages: to bake, and from there to done")
	}
	if v.to {
		c.Flags().BoolVar(&request.Reconnect, "reconnect", false, "close the peers one after the other, so that they reconnect and announce their users again")
		c.Flags().StringVar(&request.To, "to", "", "the policy to go back to: a `SHA256`, its first digits, or a signed version (default the previous policy)")
		c.RegisterFlagCompletionFunc("to", o.completeEarlier)
	}
	return c
}

// result describes the state of a tenant's policy after the verb was carried out: "rolled back to v6
// 1fbdb280", or how far the release is.
func (v releaseVerb) result(result *api.Release) string {
	inForce := "unknown"
	if result.InForce != nil {
		inForce = shortPolicy(*result.InForce)
	}
	text := v.done + " " + inForce
	switch s := result.Stage; {
	case result.Killed: // also after 'rollback --reconnect'
		text = "killed; after revive, in force is " + inForce
	case s != nil:
		text = "release " + fmt.Sprint(result.Release) + ": " + stageOf(s)
	case v.done == "":
		text = "done; in force is " + inForce
	}
	if result.Reconnecting {
		text += "; " + outdatedPeers(result)
	}
	return text
}

// verbError returns the error of a request that the server did not carry out. That it does not fit
// what is in force, or that the policy does not load, is not a fault of the command line.
func verbError(err error) error {
	return stateError(err, http.StatusConflict, http.StatusUnprocessableEntity)
}
