package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/trial"
	"switchyard/plugins/source"
	"switchyard/policy/stablefile"
	"switchyard/policy/wasm"
)

// policyCommand holds the commands that inspect, test and make policies. None of those changes a
// server, except for the verbs of policy_verbs.go.
func policyCommand(o *options, stdout, stderr io.Writer) *cobra.Command {
	c := group(&cobra.Command{
		Use:   "policy",
		Short: "Show, compare, try, measure, make and sign policies, and bring earlier ones back",
		Long: "Show, compare, try, measure, make and sign policies, and bring earlier ones back.\n\n" +
			"A POLICY is a shipped one by name, or a file: a routing table (.toml) or a module (.wasm).",
	})
	for _, sub := range []func(*options, io.Writer, io.Writer) *cobra.Command{
		policyShow, policyDiff, policyTest, policyEval, policyBench, policyBuild, policyFmt, policyNew, policyKeygen, policySign, policyVerify, policyPush,
		policyStatus, policyHistory, policyReceipt,
	} {
		c.AddCommand(sub(o, stdout, stderr))
	}
	c.AddCommand(policyVerbs(o, stdout)...)
	for _, sub := range c.Commands() {
		// These take a POLICY as their first argument.
		switch sub.Name() {
		case "show", "diff", "test", "eval", "bench":
			sub.ValidArgsFunction = completePolicies
		}
	}
	return o.named(c)
}

// A loadedPolicy is a policy of the command line, loaded in the same engine as in serve and through
// the same gates: what is shown, tested or measured is what would be in force. The caller closes it.
type loadedPolicy struct {
	source.Module
	*wasm.Policy
	engine *wasm.Engine
	limits wasm.Limits
	config []byte // JSON, or nil
	lines  *guestLines
}

// loadPolicy finds and loads the policy that an argument names. The limits are the defaults, and not
// those of a configuration: these commands answer the same on every machine. Its errors have the
// types of exit codes: *wasm.GateError is 78, a configuration of the policy that cannot be read is
// 65.
func loadPolicy(o *options, arg, config string, stderr io.Writer) (*loadedPolicy, error) {
	g := &loadedPolicy{limits: wasm.DefaultLimits(), lines: &guestLines{stderr: stderr}}
	var err error
	if g.config, err = readConfig(config); err != nil {
		return nil, err
	}
	if g.Module, err = o.findPolicy(arg, stderr); err != nil {
		return nil, err
	}
	g.engine = newEngine(g.limits, g.lines.log, stderr)
	if g.Policy, err = g.Module.Load(context.Background(), g.engine, g.config); err != nil {
		g.engine.Close()
		return nil, err
	}
	return g, nil
}

// newEngine returns an engine that tries modules in a child process first. log gets what guests log.
func newEngine(limits wasm.Limits, log wasm.Logger, stderr io.Writer) *wasm.Engine {
	e := wasm.NewEngine(limits, log)
	e.TryFirst(trial.New(), func(err error) { fmt.Fprintf(stderr, "switchyard: warning: %v\n", err) })
	return e
}

// close frees the policy and its engine.
func (g *loadedPolicy) close() {
	_ = g.Policy.Close()
	_ = g.engine.Close()
}

// configFlag adds the flag for a policy's configuration.
func configFlag(c *cobra.Command, config *string) {
	c.Flags().StringVar(config, "config-json", "", "configuration of the policy: a JSON object as `JSON`, or the file that has it")
}

// maxConfig is the largest configuration of a policy that is read, in bytes.
const maxConfig = 1 << 20

// readConfig reads a policy's configuration from the argument itself or the file that it names. A
// file is read when it has been stable for 10 ms, as --watch reads it while editors save.
func readConfig(arg string) ([]byte, error) {
	if arg == "" {
		return nil, nil
	}
	text := []byte(arg)
	if !strings.HasPrefix(strings.TrimSpace(arg), "{") {
		var err error
		if text, err = stablefile.Read(arg, 10*time.Millisecond, maxConfig); err != nil {
			return nil, dataError{fmt.Errorf("configuration of the policy: %w; name a file, or write the object itself, as in '{\"word\": \"secret\"}'", err)}
		}
	}
	if err := stablefile.CheckMark(text); err != nil {
		return nil, dataError{fmt.Errorf("configuration of the policy: %s: %w", arg, err)}
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, dataError{fmt.Errorf("configuration of the policy: %.100s is not a JSON object: %w", arg, jsonFault(err))}
	}
	return bytes.TrimSpace(text), nil
}

// jsonFault returns err without the character that it quotes: a file of another kind may be a
// secret.
func jsonFault(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON from byte %d on", syntax.Offset)
	}
	return err
}
