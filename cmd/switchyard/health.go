package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
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
			"It asks the one that serves with this configuration, at admin.address. With --address no\n" +
			"configuration is read, so that a fault in it does not pass for one of the server.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			at := address
			if at == "" {
				configuration, _, err := o.load()
				if err != nil {
					return err
				}
				at = configuration.Admin.Address
			}
			path := "/livez"
			if ready {
				path = "/readyz"
			}
			return askHealth(c.Context(), at, path, stdout)
		},
	}
	c.Flags().StringVar(&address, "address", "", "`address` to ask, instead of the configuration's admin.address")
	c.Flags().BoolVar(&ready, "ready", false, "ask whether peers are to be sent to it: not when it drains")
	return c
}

// askHealth prints the answer. Whatever is not a plain yes within healthTime is an
// unavailableError.
func askHealth(ctx context.Context, address, path string, stdout io.Writer) error {
	if address == "" {
		return unavailableError{errors.New("health: admin.address is empty in this configuration, so nobody can be asked; set it, and restart the server")}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return unavailableError{fmt.Errorf("health: %w; write --address 127.0.0.1:8280", err)}
	}
	// No proxy and no other place: the answer is to be this server's.
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return unavailableError{fmt.Errorf("health: %w; does switchyard serve there?", err)}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return unavailableError{fmt.Errorf("health: read the answer of %s: %w", address, err)}
	}
	answer := strings.TrimSpace(string(text))
	if response.StatusCode != http.StatusOK {
		return unavailableError{fmt.Errorf("health: %s%s answers %s: %s", address, path, response.Status, answer)}
	}
	_, err = fmt.Fprintln(stdout, answer)
	return err
}
