package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/cmd/switchyard/client/terminal"
	"switchyard/cmd/switchyard/client/top"
)

// top is for a terminal (package client/top, on client/terminal), or with --once for scripts. This
// file chooses between the two before anything is asked.

// topOptions are the flags of top.
type topOptions struct {
	top.Options
	sort       string
	once, json bool
}

// screenLimit is how many peers top requests when it draws on a terminal: more than fit on any. They
// are requested in the order of the rows, so those that are shown are the first ones of all.
const screenLimit = 200

// topCommand shows the state of the running Switchyard.
func topCommand(o *options, stdout io.Writer) *cobra.Command {
	var t topOptions
	c := &cobra.Command{
		Use:   "top",
		Short: "Show tenants, commands and peers of the running Switchyard, by rate and lag",
		Long: "Show tenants, commands and peers of the running Switchyard, by rate and lag, and refresh.\n\n" +
			"It asks the server that runs with this configuration, at admin.socket or admin.address. IN and\n" +
			"OUT are PDUs from and to peers; rates are averages over the interval. Keys: r sorts by rate,\n" +
			"l by lag, n by name, and q quits. NO_COLOR in the environment turns colours off.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := t.check(); err != nil {
				return err
			}
			return t.run(c.Context(), o, stdout)
		},
	}
	f := c.Flags()
	f.DurationVar(&t.Interval, "interval", 2*time.Second, "time between two samples, over which rates are averaged; at least 1s")
	f.StringArrayVar(&t.Tenants, "tenant", nil, "`name` of a tenant to show; may be repeated (default all)")
	f.StringVar(&t.sort, "sort", string(top.ByRate), "`order` of the rows: rate, lag or name")
	f.IntVar(&t.Limit, "limit", 20, "with --once: at most this `number` of rows in each table, and of peers in JSON")
	f.BoolVar(&t.once, "once", false, "print tables once, after one interval, and exit")
	jsonFlag(c, &t.json, "with --once: print JSON")
	o.serverFlags(c, false)
	c.RegisterFlagCompletionFunc("sort", words("rate", "lag", "name"))
	c.RegisterFlagCompletionFunc("tenant", o.completeTenants)
	return c
}

// check finds errors in the command line before anything is requested.
func (t *topOptions) check() error {
	t.Sort = top.Sort(t.sort)
	switch {
	case !slices.Contains(top.Sorts, t.Sort):
		return usageError{fmt.Errorf("--sort %s: write rate, lag or name", t.sort)}
	case t.Interval < time.Second || t.Interval > time.Hour:
		return usageError{fmt.Errorf("--interval %v: write a time from 1s to 1h", t.Interval)}
	case t.Limit < 1 || t.Limit > 10000:
		return usageError{fmt.Errorf("--limit %d: write a number from 1 to 10000", t.Limit)}
	case t.json && !t.once:
		return usageError{errors.New("--json prints one report; add --once")}
	}
	return nil
}

// run draws until the user quits, or prints once. Whether stdout is a terminal is checked before the
// server is asked, so that a script with a wrong command line fails without one.
func (t *topOptions) run(ctx context.Context, o *options, stdout io.Writer) error {
	screen, isFile := screen(stdout)
	if !t.once && (!isFile || !terminal.Is(screen) || o.variable("TERM") == "dumb") {
		return usageError{errors.New("standard output is not a terminal to draw on; add --once to print tables")}
	}
	client, err := o.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if t.once {
		return t.print(ctx, client, stdout)
	}
	// --limit is for --once: on a terminal, the window decides.
	t.Limit = screenLimit
	err = top.Live(ctx, client, t.Options, func() (top.Screen, error) {
		s, err := terminal.Open(os.Stdin, screen, o.variable("NO_COLOR") == "")
		return s, err
	})
	return topError(err)
}

// print takes two samples and prints their difference. It takes as long as --interval, because rates
// of one sample would be the server's averages.
func (t *topOptions) print(ctx context.Context, client *client.Client, stdout io.Writer) error {
	s, err := top.Once(ctx, client, t.Options)
	if err != nil {
		return topError(err)
	}
	if t.json {
		return printJSON(stdout, s)
	}
	return s.Print(stdout, t.Limit)
}

// topError wraps the error of top in the type that has its exit code: 1 after an interrupt, as
// nothing is wrong with the server then.
func topError(err error) error {
	if err == nil || errors.Is(err, top.ErrInterrupted) {
		return err
	}
	return serverError(err)
}
