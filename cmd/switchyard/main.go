// Command switchyard is a routing hub for TeamTalk's msg_servers: it takes the
// place of the route_server, and its routing table is a WebAssembly policy that can
// be exchanged while traffic flows.
//
// This package is the command line: flags, output and exit codes. The server is in package
// cmd/switchyard/server.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/server"
	"switchyard/cmd/switchyard/trial"
	"switchyard/policy/suggest"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// Exit codes.
const (
	exitStopped     = 0  // drained and stopped
	exitForced      = 1  // stopped before everything was written, or failed while running
	exitUsage       = 64 // the command line is wrong
	exitData        = 65 // a file of the command line is not what it should be
	exitUnavailable = 69 // an address cannot be listened on
	exitInternal    = 70 // a fault of Switchyard's own, or of the program that was to replace it
	exitNotYet      = 75 // what was waited for has not happened yet, or the server is busy
	exitConfig      = 78 // the configuration or a policy is refused
)

func main() {
	// The server starts its own program to load a policy for trial. A child reads neither flags nor
	// environment, so this comes before them.
	if trial.IsChild(os.Args) {
		os.Exit(trial.Child(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run runs the command and returns its exit code. Errors come back as values with a type that has
// an exit code, and are printed in one place; a panic is a fault of Switchyard's own, whose trace
// is wanted in the log.
func run(args, env []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(stderr, "switchyard: internal error: %v\n%s", p, debug.Stack())
			code = exitInternal
		}
	}()
	root := rootCommand(env, stdout, stderr)
	root.SetArgs(args)
	c, err := root.ExecuteC()
	if err != nil {
		printError(stderr, err, wantsJSON(c, args))
	}
	return exitCode(err)
}

// printTime is how long the process waits at its end until the error is printed.
const printTime = time.Second

// printError prints the error, as JSON if the command is to print that, unless nothing takes it: a
// server whose log is a full pipe has to end all the same.
func printError(stderr io.Writer, err error, asJSON bool) {
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		if asJSON {
			printJSONError(stderr, err)
			return
		}
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(stderr, "switchyard: %s\n", strings.TrimSuffix(line, "\n"))
		}
	}()
	select {
	case <-printed:
	case <-time.After(printTime):
	}
}

// A usageError is a wrong command line.
type usageError struct{ error }

// An unavailableError is something that a command needs and cannot reach: a server that
// does not answer, or a toolchain that is not installed.
type unavailableError struct{ error }

// exitCode returns the exit code for an error, by its type. The codes from 64 on are those of
// sysexits.h. The order matters: an error of the command line may wrap one of the configuration.
func exitCode(err error) int {
	var (
		usage       usageError
		trouble     troubleError
		data        dataError
		unavailable unavailableError
		notYet      notYetError
		failed      failedUpgradeError
		listen      server.UnavailableError
		invalid     server.InvalidError
		faults      config.Faults
		gate        *wasm.GateError
		fleet       fleetError
		refused     refusedError
	)
	switch {
	case err == nil:
		return exitStopped
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &trouble):
		return exitTrouble
	case errors.As(err, &data):
		return exitData
	case errors.As(err, &unavailable), errors.As(err, &listen):
		return exitUnavailable
	case errors.As(err, &notYet):
		return exitNotYet
	case errors.As(err, &failed):
		return exitInternal
	case errors.As(err, &faults), errors.As(err, &gate), errors.As(err, &invalid), errors.As(err, &fleet), errors.As(err, &refused):
		return exitConfig
	default:
		return exitForced
	}
}

// rootCommand returns the command line: serve is what is done if nothing is named.
func rootCommand(env []string, stdout, stderr io.Writer) *cobra.Command {
	o := &options{env: env}
	serve := &cobra.Command{
		Use:   "serve",
		Short: "Serve the peers until told to stop (the default)",
		Args:  noArguments,
		RunE:  func(*cobra.Command, []string) error { return server.Serve(o.load, trial.New(), env, stderr) },
	}
	var checkJSON, versionJSON bool
	check := &cobra.Command{
		Use:   "check",
		Short: "Report every fault of the configuration and its policies, and exit 0 or 78",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			if checkJSON {
				return checkAsJSON(o, stdout, stderr)
			}
			return server.Check(o.load, trial.New(), stdout, stderr)
		},
	}
	version := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			if versionJSON {
				return printJSON(stdout, server.ProgramVersion())
			}
			return server.PrintVersion(stdout)
		},
	}
	jsonFlag(check, &checkJSON, "print JSON, with the faults")
	jsonFlag(version, &versionJSON, "print JSON")
	printVersion := false
	root := &cobra.Command{
		Use:   "switchyard",
		Short: "A routing hub for TeamTalk's msg_servers whose rules can be changed while traffic flows",
		Args:  knownCommand,
		RunE: func(c *cobra.Command, args []string) error {
			if printVersion {
				return version.RunE(c, args)
			}
			return serve.RunE(c, args)
		},
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, c.CommandPath())}
	})
	root.Flags().BoolVar(&printVersion, "version", false, "print the version, as the command of that name does")
	flags := root.PersistentFlags()
	flags.StringVar(&o.config, "config", "", "configuration `file` (default $SWITCHYARD_CONFIG, else config.toml if it is there)")
	flags.StringArrayVar(&o.set, "set", nil, "replace one value of the configuration, as in peer.timeout=40s; may be repeated")
	flags.StringVar(&o.listen, "listen", "", "`address` of the first listener")
	flags.StringVar(&o.policy, "policy", "", "`policy` of the first listener's tenant: a shipped one by name, file:PATH or an address")
	root.RegisterFlagCompletionFunc("set", o.completeSet)
	root.RegisterFlagCompletionFunc("policy", completePolicies)
	root.AddCommand(serve, check, version, policyCommand(o, stdout, stderr), captureCommand(o, stdout, stderr), replayCommand(o, stdout, stderr))
	root.AddCommand(upgradeCommand(o, stdout), topCommand(o, stdout), clusterCommand(o, stdout), tapCommand(o, stdout, stderr), healthCommand(o, stdout))
	root.AddCommand(reloadCommand(o, stdout), drainCommand(o, stdout), logLevelCommand(o, stdout), peersCommand(o, stdout), tenantsCommand(o, stdout), auditCommand(o, stdout), contextCommand(o, stdout))
	root.AddCommand(demoCommand(stdout, stderr), sendCommand(o, stdout, stderr), wiresharkCommand(o, stdout), msgserverCommand(o, stdout), certCommand(stdout, stderr), schemaCommand(o, stdout), manualCommand())
	return root
}

// noArguments refuses words after a command that takes none, such as a flag without its hyphens.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument %q; see '%s --help'", c.Name(), args[0], c.CommandPath())}
	}
	return nil
}

// group makes c a command that does nothing itself, but has commands below it.
func group(c *cobra.Command) *cobra.Command {
	c.Args, c.SuggestionsMinimumDistance = knownCommand, 2
	c.RunE = func(c *cobra.Command, _ []string) error {
		return usageError{fmt.Errorf("%s what? See '%s --help'", c.Name(), c.CommandPath())}
	}
	return c
}

// knownCommand refuses words that are no command, with the nearest one that is.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	hint := ""
	if near := suggest.Word(args[0], names); near != "" {
		hint = fmt.Sprintf(", did you mean %q?", near)
	}
	return usageError{fmt.Errorf("unknown command %q%s; see '%s --help'", args[0], hint, c.CommandPath())}
}
