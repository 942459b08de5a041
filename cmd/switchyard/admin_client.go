package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
)

// tokenFlag adds the flag for the token of the admin interface.
func tokenFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "token-file", "", "`FILE` with the token, if the server requires one (default $"+client.TokenVariable+", else admin.read_token_file)")
}

// operateTokenFlag adds the flag for a token that may operate the server.
func operateTokenFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "token-file", "", "`FILE` with the token, if admin.socket is not used (default $"+client.TokenVariable+", else admin.operate_token_file)")
}

// connect returns a client of the server that runs with this configuration.
func (o *options) connect(tokenFile string) (*client.Client, error) {
	c, _, err := o.load()
	if err != nil {
		return nil, err
	}
	if tokenFile == "" {
		tokenFile = o.variable(client.TokenVariable)
	}
	if tokenFile == "" {
		tokenFile = c.File(c.Admin.ReadTokenFile)
	}
	client, err := client.Connect(client.Target{Socket: c.File(c.Admin.Socket), Address: c.Admin.Address, TokenFile: tokenFile})
	return client, serverError(err)
}

// variable returns the value of an environment variable, the last one if it is set twice.
func (o *options) variable(name string) (value string) {
	for _, entry := range o.env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// serverError wraps an error of package client in the type that has its exit code: the
// command line is wrong, or the server is unavailable.
func serverError(err error) error {
	_, refused := errors.AsType[*client.Refusal](err)
	switch {
	case err == nil:
		return nil
	case refused:
		return usageError{err}
	default:
		return unavailableError{err}
	}
}
