//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/yardbench/load"
	"switchyard/cmd/yardbench/process"
)

// A comparison runs each scenario with each contender in turn, once a round. A contender
// is started afresh for each run, so that no run inherits memory or warm caches of another:
//
//	round 1   scenario 1: switchyard, nats, other   scenario 2: switchyard, nats, other   …
//	round 2   scenario 1: nats, other, switchyard   scenario 2: nats, other, switchyard   …
//
// Hub and generator share the machine. What that costs the hubs is equal for all, so the ratios in
// the tables mean more than the figures.
type comparison struct {
	rounds    int
	duration  time.Duration
	quick     bool
	workloads string
	only      string
	nats      bool
	stages    bool
	hubs      []int
	servers   []string
	out       string
	raw       string

	contenders []contender
	trusted    *tls.Config // for clients of contenders that speak TLS
	scenarios  []scenario
	runs       []outcome
	progress   io.Writer
}

// An outcome is the result of one run. --json writes all of them, so that figures can be computed
// later that no table has.
type outcome struct {
	Scenario string      `json:"scenario"`
	Server   string      `json:"server"`
	Round    int         `json:"round"`
	Result   load.Result `json:"result"`
}

// compareCommand measures servers side by side. One run follows another, so that no server has
// the machine with another one.
func compareCommand(stdout, stderr io.Writer) *cobra.Command {
	c := comparison{progress: stderr}
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Measure Switchyard beside other servers, and write a table",
		Long: "Build Switchyard and nats-server, run the workloads against each of them in turn, and\n" +
			"write the medians of several rounds to a document, between the lines\n" + beginMarker + " and " + endMarker + ".",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.run(cmd.Context(), cmd.Flags().Changed("out"), stdout)
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.rounds, "rounds", 5, "`number` of rounds, of which the medians count")
	f.DurationVar(&c.duration, "duration", 2*time.Second, "`time` of measuring in each run")
	f.BoolVar(&c.quick, "quick", false, "one round of short runs, to see that everything works; prints the table unless --out is given")
	f.StringVar(&c.workloads, "workloads", "W1,W2,W3,W4,W5,W6", "`workloads` to run")
	f.StringVar(&c.only, "only", "", "kind of `scenario` to run: saturated, moderate, stall, churn or tls; all if empty")
	f.BoolVar(&c.nats, "nats", true, "run nats-server too")
	f.BoolVar(&c.stages, "stages", false, "compare Switchyard with itself while a policy is released; prints the table unless --out is given")
	f.IntSliceVar(&c.hubs, "hubs", nil, "compare a lone hub with clusters of so many `hubs`, such as 1,2,3; prints the table unless --out is given")
	f.StringArrayVar(&c.servers, "server", nil, "run a further server that speaks PDUs: `NAME=COMMAND`, with {address} where it takes its address; may be repeated")
	f.StringVar(&c.out, "out", filepath.Join("docs", "benchmarks.md"), "`file` to write the table to; - prints it")
	f.StringVar(&c.raw, "json", "", "`file` to write the results of all runs to")
	return cmd
}

// check returns a fault of the flags.
func (c *comparison) check() error {
	steady := c.only == "" || c.only == saturated || c.only == moderate
	switch {
	case c.rounds < 1 || c.rounds > 1000 || c.duration < 10*time.Millisecond || c.duration > time.Hour:
		return usageError{errors.New("--rounds goes from 1 to 1000, --duration from 10ms to 1h")}
	case c.stages && (len(c.servers) > 0 || !steady):
		return usageError{errors.New("--stages compares Switchyard with itself, saturated and moderate; leave --server and other kinds out")}
	case len(c.hubs) > 0 && (c.stages || !steady || slices.Min(c.hubs) < 1 || slices.Max(c.hubs) > maxHubs):
		return usageError{fmt.Errorf("--hubs compares clusters of 1 to %d hubs, saturated and moderate; leave --stages and other kinds out", maxHubs)}
	}
	return nil
}

// run measures everything and writes the table. chosen says that the command line names the
// output; otherwise short and special runs do not replace the table of the document.
func (c *comparison) run(ctx context.Context, chosen bool, stdout io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	found, err := findWorkloads(c.workloads)
	if err != nil {
		return err
	}
	if c.quick {
		c.rounds, c.duration = 1, 200*time.Millisecond
	}
	if (c.quick || c.stages || len(c.hubs) > 0) && !chosen {
		c.out = "-"
	}
	offered := scenariosOf(found)
	if len(c.hubs) > 0 {
		offered = clusterScenarios()
	}
	if c.scenarios, err = chooseScenarios(offered, c.only); err != nil {
		return err
	}
	if c.stages {
		c.scenarios = slices.DeleteFunc(c.scenarios, func(s scenario) bool { return s.kind != saturated && s.kind != moderate })
	}
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "yardbench")
	if err != nil {
		return fmt.Errorf("make a folder for the servers: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := c.build(ctx, root, dir); err != nil {
		return err
	}
	if err := c.measure(ctx, dir); err != nil {
		return err
	}
	return c.write(ctx, root, stdout)
}

// build makes the contenders. Switchyard is the first, and all ratios are against it. Everything is
// built before the first run, because a compiler would disturb it.
func (c *comparison) build(ctx context.Context, root, dir string) error {
	fmt.Fprintln(c.progress, "building the servers")
	id, err := newIdentity(dir)
	if err != nil {
		return err
	}
	c.trusted = id.trusted()
	s, err := buildSwitchyard(ctx, root, dir, id)
	if err != nil {
		return err
	}
	if c.stages {
		c.contenders = stageContenders(s)
		return nil
	}
	c.contenders = append(c.contenders, s)
	if len(c.hubs) > 0 {
		if c.contenders, err = clusterContenders(ctx, root, dir, s, c.hubs); err != nil {
			return err
		}
	} else if c.nats {
		n, err := buildNATS(ctx, root, dir, id)
		if err != nil {
			return err
		}
		c.contenders = append(c.contenders, n)
	}
	for _, text := range c.servers {
		o, err := otherContender(text)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(c.contenders, func(other contender) bool { return other.name == o.name }) {
			return usageError{fmt.Errorf("there are two servers %q; give --server another name", o.name)}
		}
		c.contenders = append(c.contenders, o)
	}
	return nil
}

// measure does all runs. The other load of the machine changes from minute to minute, so
// contenders take turns within each scenario, and each round begins with another one.
func (c *comparison) measure(ctx context.Context, dir string) error {
	for round := range c.rounds {
		for _, s := range c.scenarios {
			for i := range c.contenders {
				server := c.contenders[(i+round)%len(c.contenders)]
				// How this server would speak TLS is not known.
				if s.tls && server.tls == nil {
					continue
				}
				res, err := c.one(ctx, dir, server, s)
				if err != nil {
					return fmt.Errorf("%s, %s, round %d: %w", s.name, server.name, round+1, err)
				}
				c.runs = append(c.runs, outcome{s.name, server.name, round + 1, res})
				fmt.Fprintf(c.progress, "%d/%d %-24s %-12s %s\n", round+1, c.rounds, s.name, server.name, inShort(&res))
			}
		}
	}
	return nil
}

// inShort describes a result in one line, for whoever waits for the comparison.
func inShort(r *load.Result) string {
	text := fmt.Sprintf("%9.0f/s %8.3f s/M  p99 %.0f µs", r.Delivered, r.Server.PerMillion, r.Latency.P99)
	if !r.Sound() {
		text += fmt.Sprintf("  FAULTS: %v %v", r.Faults, r.Ended)
	}
	return text
}

// one does one run. A server that has ended by itself makes it an error, whatever was measured
// before.
func (c *comparison) one(ctx context.Context, dir string, server contender, s scenario) (load.Result, error) {
	plan, command := s.plan(c.duration), server.command
	if s.tls {
		plan.TLS, command = c.trusted, slices.Concat(command, server.tls)
	}
	running, dir, err := server.start(ctx, dir, command)
	if err != nil {
		return load.Result{}, err
	}
	running.fill(&plan)
	plan.Protocol = server.protocol
	res, err := load.Run(ctx, plan)
	if err == nil && server.staging != nil {
		err = server.staging.check(ctx, dir, command[0])
	}
	if gone := running.stop(); gone != nil {
		err = errors.Join(gone, err)
	}
	return res, err
}

// start starts the contender with its command. It returns the folder in which it runs.
func (c *contender) start(ctx context.Context, dir string, command []string) (*group, string, error) {
	if c.cluster != nil {
		all, err := c.cluster.start(ctx, dir, command)
		return all, dir, err
	}
	one, err := (*process.Server)(nil), error(nil)
	if c.staging != nil {
		one, dir, err = c.staging.start(ctx, dir, command)
	} else {
		one, err = process.Start(ctx, dir, command)
	}
	return &group{hubs: []*process.Server{one}}, dir, err
}

// write writes the results and the table. Runs with faults are in the table as well, marked as such;
// the exit code then says that there are some.
func (c *comparison) write(ctx context.Context, root string, stdout io.Writer) error {
	if c.raw != "" {
		text, err := json.MarshalIndent(c.runs, "", "  ")
		if err != nil {
			return fmt.Errorf("write results: %w", err)
		}
		if err := os.WriteFile(c.raw, append(text, '\n'), 0o644); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	table := c.tables(describe(ctx, root))
	if c.out == "-" {
		if _, err := io.WriteString(stdout, table); err != nil {
			return err
		}
	} else if err := insert(absolute(root, c.out), table); err != nil {
		return err
	}
	for _, o := range c.runs {
		if !o.Result.Sound() {
			return errFaults
		}
	}
	return nil
}

// absolute returns a file's path; a relative name starts at the repository's root, as the command
// runs in the folder of its own module.
func absolute(root, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(root, name)
}
