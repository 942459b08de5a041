package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/policy/sanitize"
)

// healthTime is how long a healthy server may take to answer.
const healthTime = 5 * time.Second

// healthCommand asks a running Switchyard how it is, for those who must know without
// a shell: container engines and orchestrators.
func healthCommand(o *options, stdout io.Writer) *cobra.Command {
	var address string
	var ready bool
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask the running Switchyard whether it is alive, and exit 0 or 69",
		Long: "Ask the running Switchyard whether it is alive, and exit 0 or 69.\n\n" +
			"It asks the one that serves with this configuration: by admin.socket if somebody answers there,\n" +
			"else at admin.address. With --address no configuration is read, so that a fault in it does not\n" +
			"pass for one of the server.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			at := client.Target{Address: address}
			if _, _, err := net.SplitHostPort(address); err != nil && address != "" {
				return usageError{fmt.Errorf("--address: %w; write host:port, such as 127.0.0.1:8280", err)}
			}
			if address == "" {
				configuration, _, err := o.load()
				if err != nil {
					return err
				}
				admin := configuration.Admin
				at = client.Target{Socket: configuration.File(admin.Socket), Address: admin.Address}
			}
			path := "/livez"
			if ready {
				path = "/readyz"
			}
			answer, err := askHealth(c.Context(), at, path)
			if err != nil {
				return unavailableError{fmt.Errorf("health: %w", err)}
			}
			_, err = fmt.Fprintln(stdout, sanitize.Lines(answer))
			return err
		},
	}
	c.Flags().StringVar(&address, "address", "", "`address` to ask, instead of the configuration's admin.socket and admin.address")
	c.Flags().BoolVar(&ready, "ready", false, "ask whether peers are to be sent to it: not when it drains")
	return c
}

// askHealth returns the answer. Whatever is not a plain yes within healthTime is an error.
// No token is wanted for the question.
func askHealth(ctx context.Context, at client.Target, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	client, err := client.Connect(at)
	if err != nil {
		return "", err
	}
	defer client.Close()
	body, err := client.Open(ctx, path, nil)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, 4<<10))
	if err != nil {
		return "", fmt.Errorf("read the answer of %s: %w", client.Server(), err)
	}
	return strings.TrimSpace(string(text)), nil
}
