package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/policy/sanitize"
)

// healthTime is how long a healthy server may take to answer.
const healthTime = 5 * time.Second

// healthCommand is the health check of container engines and orchestrators, where there is no shell.
// Whatever keeps it from an answer within healthTime is exit code 69, since engines only tell zero
// from others, and people read the message.
func healthCommand(o *options, stdout io.Writer) *cobra.Command {
	var address string
	var ready, asJSON bool
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask the running Switchyard whether it is alive, and exit 0 or 69",
		Long: "Ask the running Switchyard whether it is alive, and exit 0 or 69.\n\n" +
			"It asks the one that serves with this configuration: by admin.socket if it answers there,\n" +
			"else at admin.address. With --address no configuration is read, so that a fault in it does\n" +
			"not look like one of the server.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			target := client.Target{Address: address}
			if err := checkAddress(address); err != nil && address != "" {
				return usageError{fmt.Errorf("--address: %w; write host:port, such as 127.0.0.1:8280", err)}
			}
			if address == "" {
				var err error
				if target, err = o.serverTarget(); err != nil {
					return err
				}
				target.TokenFile = "" // neither path needs a token, so none is read
			}
			path := "/livez"
			if ready {
				path = "/readyz"
			}
			answer, err := askHealth(c.Context(), target, path, healthTime)
			if err != nil {
				return unavailableError{fmt.Errorf("health: %w", err)}
			}
			if asJSON {
				return printJSON(stdout, healthAnswer{Healthy: true, Answer: answer})
			}
			_, err = fmt.Fprintln(stdout, sanitize.Lines(answer))
			return err
		},
	}
	c.Flags().StringVar(&address, "address", "", "`address` to ask, instead of the configuration's admin.socket and admin.address")
	c.Flags().BoolVar(&ready, "ready", false, "ask whether it takes new peers, which it does not while it drains")
	o.serverFlags(c, false)
	jsonFlag(c, &asJSON, "print JSON")
	return c
}

// A healthAnswer is what health prints as JSON about a healthy server. Its names do not change.
type healthAnswer struct {
	Healthy bool   `json:"healthy"`
	Answer  string `json:"answer"` // of the server
}

// askHealth returns the answer at a path, for which no token is needed. Any answer but 200 within
// that time is an error. /livez says whether PDUs move through the logs of all tenants, /readyz
// whether the server takes new peers.
func askHealth(ctx context.Context, target client.Target, path string, within time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	client, err := client.Connect(target)
	if err != nil {
		return "", err
	}
	defer client.Close()
	body, err := client.Open(ctx, path, nil)
	if err != nil {
		return "", err
	}
	defer body.Close()
	// Whatever answers at the address need not be Switchyard, and may send without end.
	text, err := io.ReadAll(io.LimitReader(body, 4<<10))
	if err != nil {
		return "", fmt.Errorf("read the answer of %s: %w", client.Server(), err)
	}
	return strings.TrimSpace(string(text)), nil
}
