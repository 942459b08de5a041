package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/server"
	"switchyard/policy/sanitize"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// Exit codes.
const (
	exitStopped     = 0  // drained and stopped; or the command succeeded
	exitForced      = 1  // stopped before everything was written, or failed while running
	exitTrouble     = 2  // policy diff: the policies cannot be compared
	exitUsage       = 64 // the command line is wrong
	exitData        = 65 // a file of the command line is not what it should be
	exitUnavailable = 69 // an address cannot be listened on
	exitInternal    = 70 // a fault of Switchyard's own, or of the program that was to replace it
	exitNotYet      = 75 // what was waited for has not happened yet, or the server is busy
	exitConfig      = 78 // the configuration or a policy is refused
)

// The type of an error determines the exit code. The code that knows what an error means to the caller
// of the command gives it its type, once; mostly the command itself does.

// A usageError is a wrong command line. Nothing was done.
type usageError struct{ error }

// An unavailableError is something that a command needs and cannot reach: a server that
// does not answer, or a toolchain that is not installed.
type unavailableError struct{ error }

// A dataError is invalid input, such as a file of cases or a capture.
type dataError struct{ error }

func (e dataError) Unwrap() error { return e.error }

// A troubleError means that policy diff could not compare.
type troubleError struct{ error }

func (e troubleError) Unwrap() error { return e.error }

// A notYetError is something that has not happened in the time that the command line allows.
type notYetError struct{ error }

// A failedUpgradeError is a new program that could not take over.
type failedUpgradeError struct{ error }

// A refusedError is something that is refused and is neither a configuration nor a policy of this
// command: a part of a server's reload, or a msgserver.conf.
type refusedError struct{ error }

// errSilent is the error of a command that has already printed why its exit code is not 0: a test has
// failed, or policies differ. Its code is 1, and nothing is printed for it.
var errSilent = errors.New("")

// exitCode returns the exit code for an error, by its type. The codes from 64 on are those of
// sysexits.h. The order matters: an error of the command line may wrap one of the configuration.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitStopped
	case is[usageError](err):
		return exitUsage
	case is[troubleError](err):
		return exitTrouble
	case is[dataError](err):
		return exitData
	case is[unavailableError](err), is[server.UnavailableError](err):
		return exitUnavailable
	case is[notYetError](err):
		return exitNotYet
	case is[failedUpgradeError](err):
		return exitInternal
	case is[config.Faults](err), is[*wasm.GateError](err), is[server.InvalidError](err), is[refusedError](err):
		return exitConfig
	default:
		return exitForced
	}
}

// is reports whether err, or an error that it wraps, has the type E.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
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
		printErrorLines(stderr, err)
	}()
	select {
	case <-printed:
	case <-time.After(printTime):
	}
}

// printErrorLines prints an error for people. A line that quotes a very long value loses its middle.
func printErrorLines(stderr io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "switchyard: %s\n", sanitize.Shorten(strings.TrimSuffix(line, "\n")))
	}
}

// A jsonError is what a command with --json prints on standard error if it fails. Its names do not
// change.
type jsonError struct {
	Error    string `json:"error"`
	ExitCode int    `json:"exit_code"`
}

// wantsJSON reports whether the command line asks for JSON. The flags may have a fault themselves, so
// that --json is looked for among the arguments if it was not read.
func wantsJSON(c *cobra.Command, args []string) bool {
	f := c.Flags().Lookup("json")
	if f == nil || f.Value.Type() != "bool" {
		return false
	}
	return f.Value.String() == "true" || !f.Changed && slices.Contains(args, "--json")
}

// printJSONError prints the error as an object.
func printJSONError(stderr io.Writer, err error) {
	if strings.TrimSpace(err.Error()) == "" { // it has printed why already
		return
	}
	printJSON(stderr, jsonError{Error: strings.TrimSpace(err.Error()), ExitCode: exitCode(err)})
}
