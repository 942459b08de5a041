//go:build linux

package main

import (
	"fmt"
	"time"

	"switchyard/cmd/yardbench/load"
)

// A scenario is one kind of load for all contenders. Each run gets its own plan, because a
// run fills in addresses and processes.
type scenario struct {
	kind  string
	name  string
	label string // in tables
	tls   bool   // all connections are TLS; contenders without TLS do not take part
	// plan returns the plan for a given duration of a usual run.
	plan func(duration time.Duration) load.Plan
}

// Kinds of scenarios. Each has a table of its own.
const (
	saturated = "saturated" // as much as possible
	moderate  = "moderate"  // a fixed rate
	stall     = "stall"     // some do not read
	churn     = "churn"     // some come and go
	encrypted = "tls"       // all connections are TLS
)

// scenariosOf returns all scenarios, the workloads at saturation first. TLS takes part with one
// workload only, as its generator is another one whose costs differ (see load).
func scenariosOf(w []workload) []scenario {
	var all []scenario
	for _, kind := range []string{saturated, moderate} {
		for _, w := range w {
			all = append(all, workloadScenario(kind, w, kind))
		}
	}
	overTLS, _ := findWorkloads("W2")
	return append(all,
		stallScenario("2 of 32 stop reading", 2, 0),
		stallScenario("8 of 32 stop and resume", 8, 1),
		churnScenario("none come and go", 0, false),
		churnScenario("200/s end gracefully", 200, false),
		churnScenario("200/s end by reset", 200, true),
		workloadScenario(encrypted, overTLS[0], saturated),
		workloadScenario(encrypted, overTLS[0], moderate))
}

// workloadScenario is a workload at saturation, or at its moderate rate.
func workloadScenario(kind string, w workload, pace string) scenario {
	s := scenario{kind: kind, name: w.name + " " + pace, label: w.label(), tls: kind == encrypted}
	if pace == moderate {
		s.label += fmt.Sprintf(", %.0f/s", w.moderate)
	}
	if s.tls {
		s.name += " " + kind
	}
	s.plan = func(d time.Duration) load.Plan {
		p := w.plan(pace == saturated)
		p.Warmup, p.Duration = d/4, d
		return p
	}
	return s
}

// stallScenario makes connections stop reading after the duration of a usual run, for twice
// that duration, and then read again for resume times that.
func stallScenario(name string, connections int, resume time.Duration) scenario {
	return scenario{kind: stall, name: name, label: name, plan: func(d time.Duration) load.Plan {
		p := load.Plan{Connections: 32, Senders: 4, Size: 1000, Rate: 4000, Random: true, Warmup: d / 4, Duration: d * (3 + resume)}
		p.Stall = load.Stall{Connections: connections, After: d}
		if resume > 0 {
			p.Stall.For = 2 * d
		}
		return p
	}}
}

// churnScenario makes short connections come and go beside steady ones of a moderate rate. What
// counts is the latency of the steady ones.
func churnScenario(name string, rate float64, reset bool) scenario {
	return scenario{kind: churn, name: name, label: name, plan: func(d time.Duration) load.Plan {
		return load.Plan{Connections: 32, Senders: 4, Size: 200, Rate: 2000, Random: true, Warmup: d / 4, Duration: d,
			Short: load.Short{Rate: rate, Messages: 5, Reset: reset}}
	}}
}

// chooseScenarios returns the scenarios of a kind, or all if it is empty.
func chooseScenarios(offered []scenario, kind string) ([]scenario, error) {
	var chosen []scenario
	for _, s := range offered {
		if kind == "" || s.kind == kind {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, usageError{fmt.Errorf("there is no kind of scenario %q; write saturated, moderate, stall, churn or tls", kind)}
	}
	return chosen, nil
}
