package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/client"
	"switchyard/policy/suggest"
	"switchyard/proxy/admin/api"
)

// These commands ask the running server for one thing each. Their JSON is the server's answer as it
// is, so that a script can use the command or the API.

// reloadCommand makes the server read its files again. It waits until the last policy is loaded. The
// report is printed also if something was refused; the error then says what, and its exit code is 78.
func reloadCommand(o *options, stdout io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the running Switchyard read its configuration, policies and certificates again",
		Long: "Have the running Switchyard read its configuration, policies and certificates again, wait until\n" +
			"all are loaded, and print what became of each. What is refused changes nothing.\n\n" +
			"It exits with 0 if nothing was refused, and else with 78.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := ask(o, c, serverError, func(ctx context.Context, conn *client.Client) (*api.Reload, error) { return conn.Reload(ctx) })
			if err != nil {
				return err
			}
			// What was put in force is printed also if something else was refused.
			if err := show(stdout, asJSON, r, printReload); err != nil || r.OK {
				return err
			}
			return refusedError{errors.New(r.Error)}
		},
	}
	o.serverFlags(c, true)
	jsonFlag(c, &asJSON, "print JSON, as /api/v1/reload answers")
	return c
}

// printReload prints a row for each part of the configuration: what became of it, and what has
// changed, needs a restart, or is wrong:
//
//	configuration                               changed    log.level
//	certificate of listener 127.0.0.1:8200      plain
//	policy of tenant default                    unchanged  teamtalk 1fbdb280
func printReload(w io.Writer, r *api.Reload) error {
	row := func(what, result, note, err string) []string {
		if err != "" {
			note = err
		}
		return []string{what, result, note}
	}
	note := strings.Join(r.Configuration.Changed, ", ")
	if len(r.Configuration.Restart) > 0 {
		note = strings.TrimPrefix(note+"; after a restart: "+strings.Join(r.Configuration.Restart, ", "), "; ")
	}
	rows := [][]string{row("configuration", r.Configuration.Result, note, r.Configuration.Error)}
	for _, l := range r.Listeners {
		rows = append(rows, row("certificate of listener "+l.Listener, l.Result, "", l.Error))
	}
	for _, t := range r.Tenants {
		rows = append(rows, row("policy of tenant "+t.Tenant, t.Result, shortSHA256(t.Policy), t.Error))
		if t.AuditError != "" {
			rows = append(rows, []string{"audit of tenant " + t.Tenant, api.Refused, t.AuditError})
		}
	}
	return columns(w, rows)
}

// shortSHA256 formats a policy with the first digits of its checksum.
func shortSHA256(p api.Policy) string {
	return strings.TrimSpace(p.Name + " " + p.SHA256[:min(8, len(p.SHA256))])
}

// drainCommand stops the server. It returns when the server has begun to drain, since a drain may
// last as long as drain.timeout; who has to wait watches the process.
func drainCommand(o *options, stdout io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "drain",
		Short: "Stop the running Switchyard, which writes what is due to its peers first",
		Long: "Stop the running Switchyard, as SIGTERM does: it accepts no more peers, writes what is due, closes\n" +
			"the connections, and exits. This command does not wait for that. Under systemd the server stays\n" +
			"down; msg_servers connect again when it is back.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			server := ""
			d, err := ask(o, c, serverError, func(ctx context.Context, conn *client.Client) (*api.Drain, error) {
				server = conn.Server()
				return conn.Drain(ctx)
			})
			if err != nil {
				return err
			}
			return show(stdout, asJSON, d, func(w io.Writer, d *api.Drain) error {
				_, err := fmt.Fprintf(w, "%s drains; what is not written within %v is discarded\n", server, seconds(d.TimeoutSeconds))
				return err
			})
		},
	}
	o.serverFlags(c, true)
	jsonFlag(c, &asJSON, "print JSON, as /api/v1/drain answers")
	return c
}

var logLevels = []string{"debug", "info", "warn", "error"}

// logLevelCommand prints or sets the level from which the server logs. Only setting it needs the
// right to operate, so which token is read depends on the arguments.
func logLevelCommand(o *options, stdout io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "log-level [LEVEL]",
		Short: "Print the level from which the running Switchyard logs, or set it",
		Long: "Print the level from which the running Switchyard logs, or set it to debug, info, warn or error.\n" +
			"It returns to log.level at a restart, and when that key changes. To set it needs the right to\n" +
			"operate: admin.socket, or the token in admin.operate_token_file.",
		Args:              optional("LEVEL"),
		ValidArgsFunction: firstArgument(words(logLevels...)),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && !slices.Contains(logLevels, args[0]) {
				return usageError{fmt.Errorf("%q is not a level; %s", args[0], suggest.Hint(args[0], logLevels, "write debug, info, warn or error"))}
			}
			o.chosen.operate = len(args) == 1
			level, err := ask(o, c, serverError, func(ctx context.Context, conn *client.Client) (*api.LogLevel, error) {
				if len(args) == 1 {
					return conn.SetLogLevel(ctx, args[0])
				}
				return conn.LogLevel(ctx)
			})
			if err != nil {
				return err
			}
			return show(stdout, asJSON, level, printLevel)
		},
	}
	o.serverFlags(c, true)
	jsonFlag(c, &asJSON, "print JSON, as /api/v1/log-level answers")
	return c
}

// printLevel prints a level, and log.level if that is another one.
func printLevel(w io.Writer, level *api.LogLevel) error {
	note := ""
	if level.Configured != level.Level {
		note = " (log.level is " + level.Configured + ")"
	}
	_, err := fmt.Fprintf(w, "%s%s\n", level.Level, note)
	return err
}
