//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/yardbench/load"
	"switchyard/cmd/yardbench/message"
)

// traffic holds the flags of run, slow and churn. They fill in a load.Plan; slow and churn differ
// from run by the part of the plan that their own flags are about.
type traffic struct {
	plan     load.Plan
	protocol string
	workload string
	moderate bool
	ca       string
	json     bool
}

// flags adds the flags that these commands share.
func (t *traffic) flags(c *cobra.Command) {
	p, f := &t.plan, c.Flags()
	f.StringSliceVar(&p.Addresses, "address", []string{"127.0.0.1:8200"}, "`address` of the hub, or of each hub of a cluster, over which connections are spread")
	f.StringVar(&t.protocol, "protocol", "pdu", "`protocol` of the hub: pdu or nats")
	f.StringVar(&t.ca, "tls", "", "speak TLS with a hub whose certificate is one of the authorities in the PEM `file`")
	f.IntSliceVar(&p.PIDs, "pid", nil, "`number` of the hub's process, to measure its CPU time and memory; of each hub of a cluster")
	f.IntVar(&p.Connections, "connections", 32, "`number` of connections")
	f.IntVar(&p.Senders, "senders", 4, "`number` of them that send")
	f.IntVar(&p.Size, "size", 200, "`bytes` of a message, the header of its PDU included")
	f.Float64Var(&p.Rate, "rate", p.Rate, "`number` of messages per second of all senders together; 0 is as many as the windows let out")
	f.BoolVar(&p.Random, "random", p.Random, "with a rate, send at random instead of in equal steps")
	f.DurationVar(&p.Warmup, "warmup", 500*time.Millisecond, "`time` before measuring")
	f.DurationVar(&p.Duration, "duration", p.Duration, "`time` of measuring")
	f.IntVar(&p.Threads, "threads", 1, "`number` of threads that play the connections")
	f.BoolVar(&t.json, "json", false, "print the result as JSON")
}

// play plays the plan and prints the result. A fault of the hub is printed as a part of it, and is an
// error besides, so that a script notices it.
func (t *traffic) play(ctx context.Context, stdout io.Writer) error {
	var err error
	if t.plan.Protocol, err = message.ParseProtocol(t.protocol); err != nil {
		return usageError{err}
	}
	if t.ca != "" {
		if t.plan.TLS, err = authorities(t.ca); err != nil {
			return err
		}
	}
	res, err := load.Run(ctx, t.plan)
	if err != nil {
		return err
	}
	if t.json {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		err = e.Encode(res)
	} else {
		err = print(stdout, &res)
	}
	if err == nil && !res.Sound() {
		err = errFaults
	}
	return err
}

// authorities returns a TLS configuration that trusts the authorities in a file.
func authorities(name string) (*tls.Config, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, usageError{fmt.Errorf("read authorities: %w", err)}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, usageError{fmt.Errorf("%s has no certificate; write a PEM file", name)}
	}
	return &tls.Config{RootCAs: pool}, nil
}

// runCommand loads a hub steadily: with a rate, or as much as it takes.
func runCommand(stdout io.Writer) *cobra.Command {
	t := traffic{plan: load.Plan{Duration: 2 * time.Second}}
	c := &cobra.Command{
		Use:   "run",
		Short: "Load a hub steadily",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if t.workload != "" {
				if err := t.fill(); err != nil {
					return err
				}
			}
			return t.play(c.Context(), stdout)
		},
	}
	t.flags(c)
	c.Flags().IntVar(&t.plan.Window, "window", 256, "without a rate, `number` of a sender's messages that not all have received yet")
	c.Flags().IntVar(&t.plan.Batch, "batch", 16, "without a rate, `number` of messages that are sent at once")
	c.Flags().StringVar(&t.workload, "workload", "", "one of the `workloads` W1 to W6, instead of the flags for traffic")
	c.Flags().BoolVar(&t.moderate, "moderate", false, "with a workload, at its moderate rate")
	return c
}

// fill sets the traffic of a workload.
func (t *traffic) fill() error {
	found, err := findWorkloads(t.workload)
	if err != nil {
		return err
	}
	p, w := &t.plan, found[0].plan(!t.moderate)
	p.Connections, p.Senders, p.Size, p.Window, p.Batch, p.Rate, p.Random = w.Connections, w.Senders, w.Size, w.Window, w.Batch, w.Rate, w.Random
	return nil
}

// slowCommand loads a hub while some connections do not read: a run of the stall table, by
// itself.
func slowCommand(stdout io.Writer) *cobra.Command {
	t := traffic{plan: load.Plan{Duration: 10 * time.Second, Rate: 4000, Random: true}}
	c := &cobra.Command{
		Use:   "slow",
		Short: "Load a hub while some connections do not read",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return t.play(c.Context(), stdout) },
	}
	t.flags(c)
	c.Flags().IntVar(&t.plan.Stall.Connections, "stalled", 2, "`number` of connections that stop reading")
	c.Flags().DurationVar(&t.plan.Stall.After, "after", 2*time.Second, "`time` of measuring before they stop")
	c.Flags().DurationVar(&t.plan.Stall.For, "for", 0, "`time` for which they do not read; 0 is to the end")
	return c
}

// churnCommand loads a hub while connections come and go: a run of the churn table, by itself.
func churnCommand(stdout io.Writer) *cobra.Command {
	t := traffic{plan: load.Plan{Duration: 5 * time.Second, Rate: 2000, Random: true}}
	c := &cobra.Command{
		Use:   "churn",
		Short: "Load a hub while short-lived connections come and go",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return t.play(c.Context(), stdout) },
	}
	t.flags(c)
	c.Flags().Float64Var(&t.plan.Short.Rate, "short", 200, "`number` of short connections per second")
	c.Flags().IntVar(&t.plan.Short.Messages, "messages", 5, "`number` of messages that each sends")
	c.Flags().BoolVar(&t.plan.Short.Reset, "reset", false, "end them with a reset")
	return c
}

// noArgs refuses arguments: all that these commands take are flags.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%q is not understood; see '%s --help'", args[0], c.CommandPath())}
	}
	return nil
}
