//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"switchyard/cmd/yardbench/load"
)

// The tables of a comparison. Each cell is a median over the rounds, since single runs on a machine
// that does other things as well differ by more than servers do.

// A sheet is a table in Markdown.
type sheet struct {
	b strings.Builder
}

func (s *sheet) head(columns ...string) {
	s.row(columns...)
	s.b.WriteString("|" + strings.Repeat(" --- |", len(columns)) + "\n")
}

func (s *sheet) row(cells ...string) {
	s.b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// tables returns all results as Markdown.
func (c *comparison) tables(where environment) string {
	var s sheet
	fmt.Fprintf(&s.b, "\n%s, by `%s`. %s.\n\n", where.date, where.command, where.machine)
	fmt.Fprintf(&s.b, "Medians of %d interleaved rounds, each of %v and with freshly started servers. The rest of the machine used %s.\n\n", c.rounds, c.duration, c.others())
	for _, server := range c.contenders {
		fmt.Fprintf(&s.b, "- %s: %s\n", server.name, server.version)
	}
	if c.stages || len(c.hubs) > 0 {
		fmt.Fprintln(&s.b)
		if c.stages {
			c.stageTable(&s, c.scenarios)
		} else {
			c.clusterTable(&s, c.scenarios)
		}
		c.faults(&s)
		return s.b.String() + "\n"
	}
	for _, t := range []struct {
		kind, title string
		write       func(*sheet, []scenario)
	}{
		{saturated, "As much as possible", c.saturatedTable},
		{moderate, "At a moderate rate", c.moderateTable},
		{stall, "While some do not read", c.stallTable},
		{churn, "While some come and go", c.churnTable},
		{encrypted, "When all connections are TLS", c.tlsTable},
	} {
		var of []scenario
		for _, sc := range c.scenarios {
			if sc.kind == t.kind {
				of = append(of, sc)
			}
		}
		if len(of) > 0 {
			fmt.Fprintf(&s.b, "\n### %s\n\n", t.title)
			t.write(&s, of)
		}
	}
	c.faults(&s)
	return s.b.String() + "\n"
}

// of returns the results of a contender in a scenario.
func (c *comparison) of(sc scenario, server contender) []load.Result {
	var found []load.Result
	for _, o := range c.runs {
		if o.Scenario == sc.name && o.Server == server.name {
			found = append(found, o.Result)
		}
	}
	return found
}

// median returns the median of one figure of the results.
func median(results []load.Result, of func(*load.Result) float64) float64 {
	if len(results) == 0 {
		return 0
	}
	values := make([]float64, len(results))
	for i := range results {
		values[i] = of(&results[i])
	}
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

// The figures of a result.
func delivered(r *load.Result) float64  { return r.Delivered }
func perMillion(r *load.Result) float64 { return r.Server.PerMillion }
func cores(r *load.Result) float64      { return r.Server.Cores }
func resident(r *load.Result) float64   { return float64(r.Server.Resident) }
func ownCores(r *load.Result) float64   { return r.OwnCPU / r.Seconds }
func otherCores(r *load.Result) float64 { return r.OtherCPU / r.Seconds }
func p50(r *load.Result) float64        { return r.Latency.P50 }
func p90(r *load.Result) float64        { return r.Latency.P90 }
func p99(r *load.Result) float64        { return r.Latency.P99 }
func p999(r *load.Result) float64       { return r.Latency.P999 }
func longest(r *load.Result) float64    { return r.Latency.Max }

// against returns the ratios of the first contender's medians to another's: 2.00 for deliveries means
// twice as many, 0.50 for CPU time half as much.
func (c *comparison) against(sc scenario, other contender, what ...func(*load.Result) float64) string {
	if other.name == c.contenders[0].name {
		return ""
	}
	var ratios []string
	for _, of := range what {
		theirs := median(c.of(sc, other), of)
		if theirs == 0 {
			ratios = append(ratios, "–")
			continue
		}
		ratios = append(ratios, number(median(c.of(sc, c.contenders[0]), of)/theirs))
	}
	return strings.Join(ratios, " · ")
}

// order returns whether all receivers saw the messages in one order. One run with several is enough
// for "several": a hub promises an order or does not.
func order(results []load.Result) string {
	for _, worst := range []load.Order{load.ManyOrders, load.NoOrder} {
		if slices.ContainsFunc(results, func(r load.Result) bool { return r.Order == worst }) {
			return map[load.Order]string{load.ManyOrders: "several", load.NoOrder: "–"}[worst]
		}
	}
	return "one"
}

// number formats a number with three significant digits: 0.0412, 0.512, 5.12, 51.2, 512.
func number(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 0.1:
		return fmt.Sprintf("%.4f", x)
	case x < 1:
		return fmt.Sprintf("%.3f", x)
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	case x < 100:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

// others says how much of the machine other processes used. Where that is much, the figures are worth
// little, and the reader should know.
func (c *comparison) others() string {
	var all []load.Result
	most := 0.0
	for _, o := range c.runs {
		all = append(all, o.Result)
		most = max(most, otherCores(&o.Result))
	}
	return fmt.Sprintf("%s cores at the median run and %s at most", number(median(all, otherCores)), number(most))
}

// faults lists the runs with faults.
func (c *comparison) faults(s *sheet) {
	n := 0
	for _, o := range c.runs {
		if !o.Result.Sound() {
			n++
			fmt.Fprintf(&s.b, "\n- **Fault:** %s, %s, round %d: %v; %d connections closed", o.Scenario, o.Server, o.Round, o.Result.Faults, len(o.Result.Ended))
		}
	}
	if n == 0 {
		fmt.Fprintf(&s.b, "\nAll %d runs were checked: nothing was lost, repeated, reordered or damaged, and nothing came back to its sender", len(c.runs))
	}
	s.b.WriteString(".\n")
}
