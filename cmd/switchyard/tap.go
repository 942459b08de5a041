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

// tap shows traffic as it happens. Package client/tap reads and prints it; this file reads the flags,
// and sees to it that the command ends when its reader or its user is gone.

// tapOptions are the flags of tap.
type tapOptions struct {
	tap.Options
	commands, users, sessions []string
}

// tapCommand prints the PDUs that peers send, live.
func tapCommand(o *options, stdout, stderr io.Writer) *cobra.Command {
	var t tapOptions
	c := &cobra.Command{
		Use:   "tap",
		Short: "Print the PDUs that peers of the running Switchyard send, live",
		Long: "Print the PDUs that peers of the running Switchyard send, one line for each, live.\n\n" +
			"It asks the server that runs with this configuration, at admin.socket or admin.address. A line\n" +
			"has the time, tenant, session, command, length with the header, sequence number, and the\n" +
			"policy's verdict. The hub never waits for a tap: if it is too slow, PDUs are left out, and a\n" +
			"line says how many. To record PDUs whole, see 'switchyard capture'.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			for name, words := range map[string][]string{"command": t.commands, "user": t.users, "session": t.sessions} {
				if c.Flags().Changed(name) && len(words) == 0 { // such as an unset variable of the shell
					return usageError{fmt.Errorf("--%s names none, and would leave none out; name one, or do without it", name)}
				}
			}
			if err := t.check(); err != nil {
				return err
			}
			return t.run(c.Context(), o, stdout, stderr)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&t.Tenants, "tenant", nil, "`name` of a tenant; may be repeated (default all)")
	f.StringSliceVar(&t.commands, "command", nil, "only these `commands`, by name, as 0x0301, or as a range 0x0700-0x07ff")
	f.StringSliceVar(&t.users, "user", nil, "only PDUs whose body names one of these `users`, by number")
	f.StringSliceVar(&t.sessions, "session", nil, "only PDUs that these `sessions` send, by number")
	f.BoolVar(&t.Bodies, "bodies", false, "print bodies, too; they include what users write")
	jsonFlag(c, &t.JSON, "print lines of JSON")
	f.Uint64Var(&t.Count, "count", 0, "end after this `number` of PDUs (default no limit)")
	f.DurationVar(&t.Time, "for", 0, "end after this time (default no limit)")
	o.serverFlags(c, false)
	c.RegisterFlagCompletionFunc("command", o.completeCommands)
	c.RegisterFlagCompletionFunc("session", o.completePeers)
	c.RegisterFlagCompletionFunc("tenant", o.completeTenants)
	return o.named(c)
}

// check finds errors in the command line before anything is requested. Commands may be ranges, which
// the server does not know: package tap asks for each id, or for all and leaves out the others.
func (t *tapOptions) check() error {
	for _, word := range t.commands {
		r, problems := commands.Parse(word)
		for _, p := range problems {
			return usageError{fmt.Errorf("--command: %s; %s", p.What, p.Remedy)}
		}
		t.Commands = append(t.Commands, r)
	}
	users, err := numbers("--user", t.users, math.MaxUint32)
	if err != nil {
		return err
	}
	for _, user := range users {
		t.Users = append(t.Users, uint32(user))
	}
	if t.Sessions, err = numbers("--session", t.sessions, math.MaxUint64); err != nil {
		return err
	}
	if t.Time < 0 {
		return usageError{fmt.Errorf("--for %v is negative", t.Time)}
	}
	return nil
}

// maxNumbers is how many users or sessions can be named, so that the request to the server
// does not become too long.
const maxNumbers = 200

// numbers reads the numbers of a flag, each at most most.
func numbers(flag string, words []string, most uint64) (all []uint64, err error) {
	if len(words) > maxNumbers {
		return nil, usageError{fmt.Errorf("%s names %d; at most %d can be named", flag, len(words), maxNumbers)}
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

// run prints until a limit, a signal, or the end of the server or of stdout's reader. The first
// signal ends the tap, which then reports on stderr; the second one ends the process. A pipe such as
// 'switchyard tap | head' ends it without an error.
func (t *tapOptions) run(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	client, err := o.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	// If the reader of stdout goes away, writing fails, instead of a signal ending the process.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process, even if stdout blocks
	err = tap.Run(ctx, client, t.Options, stdout, stderr)
	if _, unwritten := errors.AsType[*tap.WriteError](err); unwritten || errors.Is(err, tap.ErrInterrupted) {
		return err
	}
	return serverError(err)
}
