// Command switchyard is a routing hub for TeamTalk's msg_servers: it takes the place of the
// route_server, and its routing table is a WebAssembly policy that can be exchanged while traffic
// flows.
//
// This package is the command line: flags, output and exit codes. What a command does is mostly in a
// package of its own; the server is in cmd/switchyard/server.
//
//	main.go           run, the tree of commands, serve and version
//	options.go        what all commands have in common: which configuration
//	arguments.go      wrong words and flags; complete.go: what a shell suggests
//	output.go         tables and JSON; exit.go: errors and exit codes
//	admin_client.go   which server a command asks; context.go: servers with names
//
// The other files are named after the command that they are about. operate.go has reload, drain and
// log-level; tenants.go has audit as well. Below policy, those in policy_release.go,
// policy_history.go and policy_verbs.go ask a running server, and the others need none.
//
// A command is a function that returns a *cobra.Command. Its flags are variables, or the fields of a
// struct whose method run is the command. What can be checked is checked before anything is asked or
// changed.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/server"
	"switchyard/cmd/switchyard/trial"
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
	out := &output{w: stdout}
	root := rootCommand(env, out, stderr)
	if len(args) == 0 || args[0] != cobra.ShellCompRequestCmd && args[0] != cobra.ShellCompNoDescRequestCmd {
		refuseRepeats(root)
	}
	root.SetArgs(args)
	c, err := root.ExecuteC()
	if err == nil {
		err = out.fault()
	}
	if err != nil {
		printError(stderr, err, wantsJSON(c, args))
	}
	return exitCode(err)
}

// rootCommand returns the command line: serve is what is done if nothing is named. Tests and the
// manual make one of their own, so it keeps nothing outside of it.
func rootCommand(env []string, stdout, stderr io.Writer) *cobra.Command {
	o := &options{env: env}
	serve, version := serveCommand(o, stderr), versionCommand(stdout)
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
	root.SetFlagErrorFunc(flagError)
	root.Flags().BoolVar(&printVersion, "version", false, "print the version, as 'switchyard version' does")
	flags := root.PersistentFlags()
	flags.StringVar(&o.config, "config", "", "configuration `file` (default $SWITCHYARD_CONFIG, else config.toml if it is there)")
	flags.StringArrayVar(&o.set, "set", nil, "set one value of the configuration: `KEY=VALUE`, as in peer.timeout=40s; may be repeated, the last value of a key counts")
	flags.StringVar(&o.listen, "listen", "", "`address` of the first listener")
	flags.StringVar(&o.policy, "policy", "", "`policy` of the first listener's tenant: a shipped one by name, file:PATH or an address")
	root.RegisterFlagCompletionFunc("set", o.completeSet)
	root.RegisterFlagCompletionFunc("policy", completePolicies)
	root.AddCommand(serve, checkCommand(o, stdout, stderr), version, policyCommand(o, stdout, stderr), captureCommand(o, stdout, stderr), replayCommand(o, stdout, stderr))
	root.AddCommand(upgradeCommand(o, stdout), topCommand(o, stdout), clusterCommand(o, stdout), tapCommand(o, stdout, stderr), healthCommand(o, stdout))
	root.AddCommand(reloadCommand(o, stdout), drainCommand(o, stdout), logLevelCommand(o, stdout), peersCommand(o, stdout), tenantsCommand(o, stdout), auditCommand(o, stdout), contextCommand(o, stdout))
	root.AddCommand(demoCommand(stdout, stderr), sendCommand(o, stdout, stderr), wiresharkCommand(o, stdout), msgserverCommand(o, stdout), certCommand(stdout, stderr), schemaCommand(o, stdout), manualCommand())
	// These two look at all commands, so they come last.
	refuseUnknownTopics(root)
	refuseEmptyArguments(root)
	return root
}

// serveCommand serves until a signal. Its exit codes are those of a service: 0 if everything was
// written, 1 if not, 69 if an address cannot be listened on, 78 if starting again would not help.
func serveCommand(o *options, stderr io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the peers until told to stop (the default)",
		Args:  noArguments,
		RunE:  func(*cobra.Command, []string) error { return server.Serve(o.load, trial.New(), o.env, stderr) },
	}
}

// versionCommand prints the version.
func versionCommand(stdout io.Writer) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			return show(stdout, asJSON, server.ProgramVersion(), func(w io.Writer, v server.Version) error {
				_, err := io.WriteString(w, v.String())
				return err
			})
		},
	}
	jsonFlag(c, &asJSON, "print JSON")
	return c
}
