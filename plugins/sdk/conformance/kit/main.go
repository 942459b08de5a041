// Command kit checks a policy in WebAssembly: whether it keeps to the policy ABI
// and, if it is built from one of the examples, whether it decides as the others do. It
// is for authors of policies, or of an SDK, in a language that has no SDK here.
//
// It prints a line per check, and what is wrong below a check that failed:
//
//	FAIL  classify
//	      classify(0x0000, 0x7777): policy fault (abi): verdict 0x0000000000100000 sets reserved bits
//	PASS  inspect       asked for 1 commands
//	...
//	9 checks, 1 failed
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/plugins/sdk/conformance"
	"switchyard/policy/wasm"
)

// The exit codes beside 0. Only exitFailed is about the policy, so that a build that runs kit
// can tell a bad policy from a wrong path. 64 and 65 are those of sysexits.h.
const (
	exitFailed = 1
	exitUsage  = 64
	exitData   = 65 // a file that cannot be read, or an example that there is not
)

var (
	errFailed = errors.New("a check failed")
	errData   = errors.New("bad input")
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var example, config string
	cmd := &cobra.Command{
		Use:           "kit P.wasm",
		Short:         "Check a policy against the policy ABI",
		Args:          cobra.ExactArgs(1),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(_ *cobra.Command, args []string) error {
			return check(args[0], example, config, stdout, stderr)
		},
	}
	cmd.Flags().StringVar(&example, "example", "", "ask the questions of an example, too: "+strings.Join(conformance.Names(), ", "))
	cmd.Flags().StringVar(&config, "config-json", "", "the policy's configuration: a file, or JSON beginning with {")
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.Execute()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
		return exitFailed
	case errors.Is(err, errData):
		fmt.Fprintln(stderr, "kit:", err)
		return exitData
	}
	fmt.Fprintln(stderr, "kit:", err)
	return exitUsage
}

// check checks the policy in the file path. Its configuration is config or else, with an
// example, the first one that the example is asked with. The example's questions are not asked
// of a policy that does not load, the first of the checks: each would fail for the same reason.
func check(path, example, config string, stdout, stderr io.Writer) error {
	module, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w: %w", errData, err)
	}
	subject := conformance.Subject{Module: module, Log: func(_ string, _ int, text string) { fmt.Fprintln(stderr, "the guest logs:", text) }}
	var e *conformance.Example
	if example != "" {
		if e, err = conformance.Read(example); err != nil {
			return fmt.Errorf("%w: %w", errData, err)
		}
		subject.Config = []byte(e.Loads[0].Configs[0])
	}
	if config != "" {
		if subject.Config, err = readConfig(config); err != nil {
			return fmt.Errorf("%w: %w", errData, err)
		}
	}
	results := conformance.Check(subject)
	if e != nil && results[0].Err == nil {
		engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
		defer func() { _ = engine.Close() }()
		results = append(results, conformance.CheckExample(engine, e, module)...)
	}
	return report(results, stdout)
}

func readConfig(config string) ([]byte, error) {
	if strings.HasPrefix(config, "{") {
		return []byte(config), nil
	}
	return os.ReadFile(config)
}

// report prints a line per check, with the problems of a failed check below it.
func report(results []conformance.Result, stdout io.Writer) error {
	failed := 0
	for _, r := range results {
		if r.Err == nil {
			fmt.Fprintf(stdout, "PASS  %-13s %s\n", r.Check, r.Note)
			continue
		}
		failed++
		fmt.Fprintf(stdout, "FAIL  %s\n", r.Check)
		for line := range strings.Lines(strings.Join([]string{r.Err.Error(), remedy(r.Err), r.Note}, "\n")) {
			if line != "\n" {
				fmt.Fprintf(stdout, "      %s\n", strings.TrimSuffix(line, "\n"))
			}
		}
	}
	fmt.Fprintf(stdout, "%d checks, %d failed\n", len(results), failed)
	if failed > 0 {
		return errFailed
	}
	return nil
}

// remedy names the document that describes the gate that refused a policy.
func remedy(err error) string {
	if gate, ok := errors.AsType[*wasm.GateError](err); ok {
		return fmt.Sprintf("docs/abi.md describes the %s gate", gate.Gate)
	}
	return ""
}
