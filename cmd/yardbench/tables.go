//go:build linux

package main

import (
	"fmt"

	"switchyard/cmd/yardbench/load"
)

// The tables, one for each kind of scenario.

// saturatedTable has runs in which the senders send as fast as the server takes it: what counts
// is how much that is, and what it costs.
func (c *comparison) saturatedTable(s *sheet, of []scenario) {
	first := c.contenders[0].name
	s.head("", "server", "million deliveries/s", "CPU s per million", "cores", "generator's cores", "resident MiB", "order", first+" against it: deliveries · CPU")
	for _, sc := range of {
		for i, server := range c.contenders {
			r := c.of(sc, server)
			s.row(once(i, sc.label), server.name, number(median(r, delivered)/1e6), number(median(r, perMillion)), number(median(r, cores)),
				number(median(r, ownCores)), number(median(r, resident)/(1<<20)), order(r), c.against(sc, server, delivered, perMillion))
		}
	}
}

// moderateTable has runs at a rate that all servers manage: what counts is latency, and the cost.
func (c *comparison) moderateTable(s *sheet, of []scenario) {
	first := c.contenders[0].name
	s.head("", "server", "CPU s per million", "cores", "p50 µs", "p90", "p99", "p99.9", "max", "order", first+" against it: CPU · p50 · p99")
	for _, sc := range of {
		for i, server := range c.contenders {
			r := c.of(sc, server)
			s.row(once(i, sc.label), server.name, number(median(r, perMillion)), number(median(r, cores)),
				number(median(r, p50)), number(median(r, p90)), number(median(r, p99)), number(median(r, p999)), number(median(r, longest)),
				order(r), c.against(sc, server, perMillion, p50, p99))
		}
	}
}

// stallTable has runs in which some connections stop reading: what counts is how little the
// others notice, and how much memory the server takes meanwhile.
func (c *comparison) stallTable(s *sheet, of []scenario) {
	s.head("", "server", "others' p50 · p99 µs before", "during", "after", "longest", "resident MiB before", "at most", "of the stalled kept", "delivered to them")
	for _, sc := range of {
		for i, server := range c.contenders {
			r := c.of(sc, server)
			during := func(of func(*load.StallResult) load.Latency) string {
				if n := median(r, func(r *load.Result) float64 { return float64(of(r.Stall).Count) }); n == 0 {
					return "–"
				}
				return number(median(r, func(r *load.Result) float64 { return of(r.Stall).P50 })) + " · " +
					number(median(r, func(r *load.Result) float64 { return of(r.Stall).P99 }))
			}
			s.row(once(i, sc.label), server.name,
				during(func(s *load.StallResult) load.Latency { return s.Before }),
				during(func(s *load.StallResult) load.Latency { return s.During }),
				during(func(s *load.StallResult) load.Latency { return s.After }),
				number(median(r, longest)),
				number(median(r, residentBefore)/(1<<20)), number(median(r, residentMost)/(1<<20)),
				fmt.Sprintf("%.0f of %.0f", median(r, kept), median(r, stalled)), fmt.Sprintf("%.0f", median(r, toStalled)))
		}
	}
}

func kept(r *load.Result) float64      { return float64(r.Stall.Kept) }
func stalled(r *load.Result) float64   { return float64(r.Stall.Connections) }
func toStalled(r *load.Result) float64 { return float64(r.Stall.Delivered) }

// residentBefore returns the server's memory before connections stalled.
func residentBefore(r *load.Result) float64 {
	n := int64(0)
	for _, span := range r.Stall.Spans {
		if span.Stalling {
			break
		}
		n = span.Resident
	}
	return float64(n)
}

// residentMost returns the most memory that the server had in any span.
func residentMost(r *load.Result) float64 {
	n := int64(0)
	for _, span := range r.Stall.Spans {
		n = max(n, span.Resident)
	}
	return float64(n)
}

// churnTable has runs in which short connections come and go beside steady ones. The first of
// them is without short ones, to compare with.
func (c *comparison) churnTable(s *sheet, of []scenario) {
	s.head("", "server", "steady p50 µs", "p99", "p99.9", "cores", "short ones' messages delivered", "not closed by the server")
	for _, sc := range of {
		for i, server := range c.contenders {
			r := c.of(sc, server)
			short, open := "–", "–"
			if sc.plan(c.duration).Short.Rate > 0 {
				short = fmt.Sprintf("%.2f %%", 100*median(r, shortDelivered))
				open = fmt.Sprintf("%.0f", median(r, unanswered))
			}
			s.row(once(i, sc.label), server.name, number(median(r, p50)), number(median(r, p99)), number(median(r, p999)), number(median(r, cores)), short, open)
		}
	}
}

// tlsTable has saturated and moderate runs in one table, since there are few.
func (c *comparison) tlsTable(s *sheet, of []scenario) {
	s.head("", "server", "million deliveries/s", "CPU s per million", "cores", "generator's cores", "p50 µs", "p99", "order", c.contenders[0].name+" against it: deliveries · CPU · p50 · p99")
	for _, sc := range of {
		for i, server := range c.contenders {
			if r := c.of(sc, server); len(r) > 0 {
				s.row(once(i, sc.label), server.name, number(median(r, delivered)/1e6), number(median(r, perMillion)), number(median(r, cores)),
					number(median(r, ownCores)), number(median(r, p50)), number(median(r, p99)), order(r), c.against(sc, server, delivered, perMillion, p50, p99))
			}
		}
	}
}

// shortDelivered returns the share of the short connections' messages that arrived.
func shortDelivered(r *load.Result) float64 {
	return float64(r.Short.Delivered) / max(float64(r.Short.Due), 1)
}

func unanswered(r *load.Result) float64 { return float64(r.Short.Unanswered) }

// once returns the text in the first of some rows.
func once(i int, text string) string {
	if i > 0 {
		return ""
	}
	return text
}
