package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
)

// tokenFlag is for commands that ask the running server.
func tokenFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "token-file", "", "`FILE` with the token, if the server wants one (default $"+client.TokenVariable+", else admin.read_token_file)")
}

// connect finds the server that serves with this configuration.
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
	return client, asked(err)
}

// variable returns the value of an environment variable; of one that is there twice, the
// last.
func (o *options) variable(name string) (value string) {
	for _, entry := range o.env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// asked gives what asking the server came to its exit code: another command line may be
// answered, or nobody is there who could.
func asked(err error) error {
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
