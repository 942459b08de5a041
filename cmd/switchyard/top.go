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

// A look is what top is asked for.
type look struct {
	top.Options
	sort       string
	once, json bool
	token      string
}

// onScreen is how many peers are asked for on a terminal, of whatever size.
const onScreen = 200

// topCommand shows how the running Switchyard stands.
func topCommand(o *options, stdout io.Writer) *cobra.Command {
	var l look
	c := &cobra.Command{
		Use:   "top",
		Short: "Show tenants, commands and peers of the running Switchyard, by rate and lag",
		Long: "Show tenants, commands and peers of the running Switchyard, by rate and lag, again and again.\n\n" +
			"It asks the one that serves with this configuration, at admin.socket or admin.address. IN and\n" +
			"OUT are PDUs from and to peers; rates are over the interval. Keys: r sorts by rate, l by lag,\n" +
			"n by name, and q quits. NO_COLOR in the environment does without colours.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := l.check(); err != nil {
				return err
			}
			return l.run(c.Context(), o, stdout)
		},
	}
	f := c.Flags()
	f.DurationVar(&l.Interval, "interval", 2*time.Second, "time between two looks, and what rates are over; at least 1s")
	f.StringArrayVar(&l.Tenants, "tenant", nil, "`name` of a tenant to show; may be repeated (default all)")
	f.StringVar(&l.sort, "sort", string(top.ByRate), "what comes first: rate, lag or name")
	f.IntVar(&l.Limit, "limit", 20, "with --once: rows of each table at most, and peers in JSON")
	f.BoolVar(&l.once, "once", false, "print tables once, after one interval, and exit")
	f.BoolVar(&l.json, "json", false, "with --once: print JSON")
	tokenFlag(c, &l.token)
	return c
}

// check finds what is wrong with the command line before anybody is asked.
func (l *look) check() error {
	l.Sort = top.Sort(l.sort)
	switch {
	case !slices.Contains(top.Sorts, l.Sort):
		return usageError{fmt.Errorf("--sort %s: write rate, lag or name", l.sort)}
	case l.Interval < time.Second || l.Interval > time.Hour:
		return usageError{fmt.Errorf("--interval %v: write a time from 1s to 1h", l.Interval)}
	case l.Limit < 1 || l.Limit > 10000:
		return usageError{fmt.Errorf("--limit %d: write a number from 1 to 10000", l.Limit)}
	case l.json && !l.once:
		return usageError{errors.New("--json is for one look; add --once")}
	}
	return nil
}

func (l *look) run(ctx context.Context, o *options, stdout io.Writer) error {
	screen, isFile := stdout.(*os.File)
	if !l.once && (!isFile || !terminal.Is(screen) || o.variable("TERM") == "dumb") {
		return usageError{errors.New("standard output is no terminal to draw on; add --once to print tables")}
	}
	client, err := o.connect(l.token)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if l.once {
		return l.print(ctx, client, stdout)
	}
	l.Limit = onScreen
	err = top.Live(ctx, client, l.Options, func() (top.Screen, error) {
		s, err := terminal.Open(os.Stdin, screen, o.variable("NO_COLOR") == "")
		return s, err
	})
	return lookEnds(err)
}

func (l *look) print(ctx context.Context, client *client.Client, stdout io.Writer) error {
	s, err := top.Once(ctx, client, l.Options)
	if err != nil {
		return lookEnds(err)
	}
	if l.json {
		return printJSON(stdout, s)
	}
	return s.Print(stdout, l.Limit)
}

// lookEnds gives what a look ended with its exit code.
func lookEnds(err error) error {
	if err == nil || errors.Is(err, top.ErrInterrupted) {
		return err
	}
	return asked(err)
}
