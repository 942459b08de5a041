// Command yardbus is a server of the bus over which the hubs of a Switchyard cluster agree on
// an order: a nats-server with the settings that they need. It is a process and a module of
// its own, so that the hub contains no server, a hub that restarts costs the bus no leader,
// and a server that is updated costs the hub no connection.
//
// A bus has three servers, on three machines, so that any one of them may fail:
//
//	go -C cmd/yardbus run . --name a --store /var/lib/yardbus --listen 10.1.0.1:4222 \
//	    --peer-listen 10.1.0.1:6222 --peers 10.1.0.2:6222,10.1.0.3:6222 \
//	    --certificate server.pem --key server.key --ca ca.pem --accounts accounts.conf
//
// All streams are in memory. The folder of --store keeps the server's identity and the list
// of streams, and each server needs one of its own. 'yardbus account' makes an account and
// the credentials of the hubs. SIGTERM makes the server hand over what it leads before it
// stops; a second signal stops it at once. A plain nats-server with JetStream, of version 2.11
// or later, will do as well.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, which mean the same as those of switchyard.
const (
	exitStopped     = 0  // handed over and stopped
	exitForced      = 1  // stopped before it had handed over, or failed while running
	exitUsage       = 64 // the command line is wrong
	exitData        = 65 // a file of the command line is not what it should be
	exitUnavailable = 69 // an address cannot be listened on
	exitInternal    = 70 // a fault of the server
)

// A codedError has an exit code. Every error of this command is one but those of cobra, which are
// about the command line.
type codedError struct {
	code int
	error
}

func (e codedError) Unwrap() error { return e.error }

func usage(format string, args ...any) error {
	return codedError{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(os.Args[1:], signals, os.Stdout, os.Stderr))
}

// run runs the command and returns its exit code. The first signal asks the server to hand
// over and stop, the second to stop at once.
func run(args []string, signals <-chan os.Signal, stdout, stderr io.Writer) int {
	root := command(signals, stderr)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(context.Background())
	if err == nil {
		return exitStopped
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "yardbus: %s\n", strings.TrimSuffix(line, "\n"))
	}
	var coded codedError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitUsage // of cobra: an unknown command
}

// command returns the command line.
func command(signals <-chan os.Signal, stderr io.Writer) *cobra.Command {
	s := defaults()
	root := &cobra.Command{
		Use:           "yardbus --store FOLDER",
		Short:         "A server of the bus of a Switchyard cluster",
		Long:          "A server of the bus of a Switchyard cluster: a nats-server with JetStream in memory.\nThree servers name each other with --peers; a single one is enough for trying out.",
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(*cobra.Command, []string) error { return serve(s, signals, stderr) },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w; see '%s --help'", err, c.CommandPath())
	})
	f := root.Flags()
	f.StringVar(&s.name, "name", s.name, "`name` of this server, different in each")
	f.StringVar(&s.listen, "listen", s.listen, "`address` for hubs")
	f.StringVar(&s.store, "store", "", "`folder` of this server alone, for its identity and the list of streams")
	f.Var(&s.memory, "memory", "`size` of the memory for streams")
	f.StringVar(&s.cluster, "cluster", s.cluster, "`name` of the bus, the same in all of its servers")
	f.StringVar(&s.peerListen, "peer-listen", s.peerListen, "`address` for the other servers")
	f.StringSliceVar(&s.peers, "peers", nil, "`addresses` (--peer-listen) of the other servers; may contain this one's")
	f.StringVar(&s.certificate, "certificate", "", "PEM `file` of the TLS certificate of this server")
	f.StringVar(&s.key, "key", "", "PEM `file` of the private key of the certificate")
	f.StringVar(&s.ca, "ca", "", "PEM `file` of the CAs that vouch for the other servers, and for hubs that have a certificate")
	f.StringVar(&s.accounts, "accounts", "", "`file` with accounts, as 'yardbus account' or nsc writes it")
	f.StringVar(&s.monitor, "monitor", "", "`address` for HTTP monitoring, such as /healthz (default none)")
	root.AddCommand(accountCommand())
	return root
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("unexpected argument %q; see '%s --help'", args[0], c.CommandPath())
	}
	return nil
}
