//go:build linux

// Command yardbench measures hubs under load: it plays all connections of a hub, checks every byte
// that the hub relays, and reports the throughput, latency, CPU time and memory of the hub. Its
// command compare runs Switchyard beside others and writes docs/benchmarks.md; soak runs Switchyard
// for long beside hostile tenants.
//
//	play.go       run, slow, churn: one load for a hub that runs already
//	compare.go    the contenders of contender.go, stage.go or cluster.go under the loads of scenario.go
//	table.go      what compare writes; tables.go has a table for each kind of scenario
//	soak.go       soak; soak_files.go saves policies meanwhile, soak_samples.go watches memory
//
//	package load          plays a plan and measures; check checks what arrives, message makes it
//	package process       starts servers, and reads their CPU time and memory
//	package hostile       peers that misbehave
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

// Exit codes.
const (
	exitSound  = 0  // the hub made no fault
	exitFaults = 1  // the hub made faults
	exitUsage  = 64 // the command line is wrong
	exitFailed = 70 // the hub could not be measured
)

// A usageError is a wrong command line.
type usageError struct{ error }

// errFaults is the error of a run that found faults, which have been printed.
var errFaults = errors.New("the hub did not deliver what it should")

// errGrew is the error of a soak after which the hub used more than before.
var errGrew = errors.New("the hub uses more and more")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := command(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(stderr, "yardbench: %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	var usage usageError
	switch {
	case err == nil:
		return exitSound
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errFaults), errors.Is(err, errGrew):
		return exitFaults
	}
	return exitFailed
}

// command returns the command line.
func command(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "yardbench",
		Short:         "Load hubs, check what they deliver, and measure what that takes",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, c.CommandPath())}
	})
	root.AddCommand(runCommand(stdout), slowCommand(stdout), churnCommand(stdout), soakCommand(stdout), compareCommand(stdout, stderr))
	return root
}
