package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/proxy/admin/api"
)

// upgradeCommand puts another program in the place of the running one. The server does it, and
// answers when it is over; the old process answers, even if the new one serves already. The scripts
// of packages decide by the exit code:
//
//	0    done, or with --check possible
//	70   the new program cannot take over; the old one keeps serving
//	75   the server is busy; ask again
//	64   the server refuses the request, such as one for a program by a client without the socket
//	69   no server answers
//	78   the configuration that says which server to ask has a fault
func upgradeCommand(o *options, stdout io.Writer) *cobra.Command {
	var request api.UpgradeRequest
	var asJSON bool
	c := &cobra.Command{
		Use:   "upgrade",
		Short: "Replace the running program with another one, and keep its plain TCP connections",
		Long: "Replace the running program with the file at the path by which it was started, or at that of\n" +
			"--program. Plain TCP connections stay open, after a pause of a fraction of a second. TLS\n" +
			"connections are closed when everything that is due to them is written.\n\n" +
			"The new program loads the configuration and all policies first. If it cannot take over, the\n" +
			"running one keeps serving, and this command exits with 70. It exits with 75 if the running program\n" +
			"is busy, as while it loads a policy. Not possible in a container, whose first process must stay.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if request.Program != "" {
				path, err := filepath.Abs(request.Program)
				if err != nil {
					return usageError{fmt.Errorf("--program: %w", err)}
				}
				request.Program = path
			}
			u, err := ask(o, c, upgradeError, func(ctx context.Context, conn *client.Client) (*api.Upgrade, error) {
				return conn.Upgrade(ctx, request)
			})
			if err != nil {
				return err
			}
			if asJSON {
				return cmp.Or(printJSON(stdout, u), printUpgrade(io.Discard, u))
			}
			return printUpgrade(stdout, u)
		},
	}
	c.Flags().StringVar(&request.Program, "program", "", "`PATH` of the new program (default the path by which the running one was started); needs admin.socket")
	c.Flags().BoolVar(&request.Check, "check", false, "only ask the new program whether it could take over")
	o.serverFlags(c, true)
	jsonFlag(c, &asJSON, "print JSON, as /api/v1/upgrade answers")
	return c
}

// upgradeError returns the error of a request that the server did not carry out. One that it is too
// busy for may succeed later.
func upgradeError(err error) error {
	if refusal, ok := errors.AsType[*client.Refusal](err); ok && refusal.Status == http.StatusConflict {
		return notYetError{refusal}
	}
	return serverError(err)
}

// printUpgrade prints what has happened, or returns why nothing has.
func printUpgrade(w io.Writer, u *api.Upgrade) error {
	switch u.Result {
	case api.UpgradeDone:
		frozen := seconds(u.FrozenSeconds).Round(time.Millisecond)
		return columns(w, [][]string{
			{"upgraded", fmt.Sprintf("from %s to %s, process %d", u.From, u.To, u.PID)},
			{"sessions", fmt.Sprintf("%d moved, %d drained, %d closed", u.Moved, u.Drained, u.Closed)},
			{"paused", frozen.String()},
		})
	case api.UpgradeChecked:
		return columns(w, [][]string{{"checked", fmt.Sprintf("%s can take over from %s", u.To, u.From)}})
	default:
		return failedUpgradeError{fmt.Errorf("%s could not take over, and the running program keeps serving: %s: %s", cmp.Or(u.Program, "the new program"), u.Step, u.Error)}
	}
}
