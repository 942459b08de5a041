//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"

	"switchyard/cmd/yardbench/load"
)

// print prints a result for people, a line for each thing:
//
//	published   2000/s for 2.0 s
//	delivered   62000/s
//	latency     p50 180  p90 260  p99 410  p99.9 900  max 2100 µs
//	server      0.512 s CPU per million deliveries, 0.03 cores, 18.2 MiB, at most 18.4 MiB
//	checked     155000 deliveries: no fault; order: one
func print(w io.Writer, r *load.Result) error {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s "+format+"\n", append([]any{name}, args...)...)
	}
	row("published", "%.0f/s for %.1f s", r.Published, r.Seconds)
	row("delivered", "%.0f/s", r.Delivered)
	row("latency", "%s", latency(r.Latency))
	if r.Late.Count > 0 {
		row("sent late", "%s", latency(r.Late))
	}
	if s := r.Server; s != nil {
		row("server", "%.3f s CPU per million deliveries, %.2f cores, %s, at most %s", s.PerMillion, s.Cores, mebibytes(s.Resident), mebibytes(s.Peak))
	}
	row("yardbench", "%.3f s CPU per million deliveries, %.2f cores; the rest of the machine %.2f", r.OwnCPU/max(r.Delivered*r.Seconds, 1)*1e6, r.OwnCPU/r.Seconds, r.OtherCPU/r.Seconds)
	if s := r.Stall; s != nil {
		for _, span := range s.Spans {
			what := "all read"
			if span.Stalling {
				what = fmt.Sprintf("%d stall", s.Connections)
			}
			row(fmt.Sprintf("at %5.1f s", span.From.Seconds()), "%s, %d kept, server %s, the others %s", what, span.Kept, mebibytes(span.Resident), latency(span.Latency))
		}
		row("before", "%s", latency(s.Before))
		row("during", "%s", latency(s.During))
		row("after", "%s", latency(s.After))
		row("stalled", "%d of %d kept, %d messages delivered to them", s.Kept, s.Connections, s.Delivered)
	}
	if s := r.Short; s != nil {
		row("short", "%d opened, %d refused, %d not closed by the hub; %d of %d messages delivered (%.2f %%)",
			s.Opened, s.Refused, s.Unanswered, s.Delivered, s.Due, 100*float64(s.Delivered)/max(float64(s.Due), 1))
	}
	row("checked", "%d deliveries: %v; order: %s", r.Checked, r.Faults, r.Order)
	for _, e := range r.Ended {
		row("ended", "%s", e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func latency(l load.Latency) string {
	return fmt.Sprintf("p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f µs", l.P50, l.P90, l.P99, l.P999, l.Max)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
