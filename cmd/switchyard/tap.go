package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client/tap"
	commands "switchyard/policy/command"
)

// A listening is what tap is asked for.
type listening struct {
	tap.Options
	commands, users, sessions []string
	token                     string
}

// tapCommand prints what peers say.
func tapCommand(o *options, stdout, stderr io.Writer) *cobra.Command {
	var l listening
	c := &cobra.Command{
		Use:   "tap",
		Short: "Print what peers of the running Switchyard say, one line for each PDU, live",
		Long: "Print what peers of the running Switchyard say, one line for each PDU, live.\n\n" +
			"It asks the one that serves with this configuration, at admin.socket or admin.address. A line\n" +
			"has the time, tenant, session, command, length with the header, sequence number, and the\n" +
			"policy's verdict. The hub never waits for a tap: what was too much is missed, and a line says\n" +
			"how many that were. To keep PDUs whole, see 'switchyard capture'.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			for name, words := range map[string][]string{"command": l.commands, "user": l.users, "session": l.sessions} {
				if c.Flags().Changed(name) && len(words) == 0 { // such as a variable that is not set
					return usageError{fmt.Errorf("--%s names none, and would leave none out; name one, or do without it", name)}
				}
			}
			if err := l.check(); err != nil {
				return err
			}
			return l.run(c.Context(), o, stdout, stderr)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&l.Tenants, "tenant", nil, "`name` of a tenant; may be repeated (default all)")
	f.StringSliceVar(&l.commands, "command", nil, "these `commands` alone, by name, as 0x0301, or as a range 0x0700-0x07ff")
	f.StringSliceVar(&l.users, "user", nil, "PDUs alone whose body names one of these `users`, by number")
	f.StringSliceVar(&l.sessions, "session", nil, "what these `sessions` say alone, by number")
	f.BoolVar(&l.Bodies, "bodies", false, "print bodies, too: what users write is among them")
	f.BoolVar(&l.JSON, "json", false, "print lines of JSON")
	f.Uint64Var(&l.Count, "count", 0, "end after so many PDUs (default no limit)")
	f.DurationVar(&l.Time, "for", 0, "end after this time (default no limit)")
	tokenFlag(c, &l.token)
	return c
}

// check finds what is wrong with the command line before anybody is asked.
func (l *listening) check() error {
	for _, word := range l.commands {
		r, problems := commands.Parse(word)
		for _, p := range problems {
			return usageError{fmt.Errorf("--command: %s; %s", p.What, p.Remedy)}
		}
		l.Commands = append(l.Commands, r)
	}
	users, err := numbers("--user", l.users, math.MaxUint32)
	if err != nil {
		return err
	}
	for _, user := range users {
		l.Users = append(l.Users, uint32(user))
	}
	if l.Sessions, err = numbers("--session", l.sessions, math.MaxUint64); err != nil {
		return err
	}
	if l.Time < 0 {
		return usageError{fmt.Errorf("--for %v is negative", l.Time)}
	}
	return nil
}

// mostNumbers is how many users or sessions can be named, as the server's question has
// to have room for them.
const mostNumbers = 200

func numbers(flag string, words []string, most uint64) (all []uint64, err error) {
	if len(words) > mostNumbers {
		return nil, usageError{fmt.Errorf("%s names %d; at most %d can be named", flag, len(words), mostNumbers)}
	}
	for _, word := range words {
		n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 64)
		if err != nil || n > most {
			return nil, usageError{fmt.Errorf("%s %q: write a whole number from 0 to %d", flag, word, most)}
		}
		all = append(all, n)
	}
	return all, nil
}

func (l *listening) run(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	client, err := o.connect(l.token)
	if err != nil {
		return err
	}
	defer client.Close()
	// Who reads may go: that is an error of writing then, and not the end by a signal.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one ends at once, whatever stdout waits for
	err = tap.Run(ctx, client, l.Options, stdout, stderr)
	if _, unwritten := errors.AsType[*tap.WriteError](err); unwritten || errors.Is(err, tap.ErrInterrupted) {
		return err
	}
	return asked(err)
}
