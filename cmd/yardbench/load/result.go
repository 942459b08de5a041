//go:build linux

package load

import (
	"fmt"
	"time"

	"switchyard/cmd/yardbench/check"
	"switchyard/cmd/yardbench/histogram"
	"switchyard/cmd/yardbench/process"
)

// A Result is the result of a run. Rates and CPU times are those of the measured span,
// faults those of the whole run.
type Result struct {
	Seconds   float64 `json:"seconds"`   // measured
	Published float64 `json:"published"` // messages per second
	Delivered float64 `json:"delivered"` // messages per second, to all receivers together
	Checked   uint64  `json:"checked"`   // deliveries

	Latency Latency `json:"latency"` // from when a message was due until a receiver had read it
	Late    Latency `json:"late"`    // how late messages with a rate were sent; included in the latency

	Server   *Usage  `json:"server,omitempty"`  // nil: not measured; the hubs of a cluster together
	BusCPU   float64 `json:"bus_cpu,omitempty"` // seconds, of the bus of a cluster
	OwnCPU   float64 `json:"own_cpu"`           // seconds, of this process
	OtherCPU float64 `json:"other_cpu"`         // seconds, of the rest of the machine

	Faults check.Faults `json:"faults"`
	Ended  []string     `json:"ended,omitempty"` // connections that the hub closed, with the reason
	Order  Order        `json:"order"`

	Stall *StallResult `json:"stall,omitempty"`
	Short *ShortResult `json:"short,omitempty"`
}

// Sound reports whether the hub made no fault.
func (r *Result) Sound() bool {
	ok := !r.Faults.Any() && len(r.Ended) == 0
	if s := r.Short; s != nil && !s.Reset {
		ok = ok && s.Delivered == s.Due && s.Refused == 0 && s.Unanswered == 0
	}
	return ok
}

// Usage holds the resources that a server used.
type Usage struct {
	CPU        float64 `json:"cpu"`         // seconds
	PerMillion float64 `json:"per_million"` // seconds of CPU time per million deliveries
	Cores      float64 `json:"cores"`       // CPU time by time
	Resident   int64   `json:"resident"`    // bytes of memory at the end of the measured span
	Peak       int64   `json:"peak"`        // bytes of memory since it was started
}

// Latency is a distribution of durations, in microseconds.
type Latency struct {
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99_9"`
	Max   float64 `json:"max"`
	Count uint64  `json:"count"`
}

// latencyOf returns the quantiles of a histogram, in microseconds.
func latencyOf(h *histogram.Histogram) Latency {
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	return Latency{P50: us(h.Quantile(0.5)), P90: us(h.Quantile(0.9)), P99: us(h.Quantile(0.99)), P999: us(h.Quantile(0.999)), Max: us(h.Max()), Count: h.Count()}
}

// Order says whether all receivers saw the messages of all senders in one order; see
// check.SameOrder.
type Order string

const (
	OneOrder   Order = "one"
	ManyOrders Order = "many"
	NoOrder    Order = "unknown" // no two could be compared, or there were faults
)

// A StallResult shows how connections that do not read affect the others.
type StallResult struct {
	Connections int     `json:"connections"`
	Kept        int     `json:"kept"`      // not closed by the hub by the end
	Delivered   uint64  `json:"delivered"` // to the stalled connections
	Before      Latency `json:"before"`    // of the others, before they stalled
	During      Latency `json:"during"`
	After       Latency `json:"after"`
	Spans       []Span  `json:"spans"`
}

// A ShortResult is about short connections.
type ShortResult struct {
	Reset      bool   `json:"reset"`
	Opened     int    `json:"opened"`
	Refused    int    `json:"refused"`    // could not be opened
	Unanswered int    `json:"unanswered"` // ended here, but not closed by the hub
	Due        uint64 `json:"due"`        // deliveries of their messages
	Delivered  uint64 `json:"delivered"`
}

// result combines the findings of the loops. Counts of the measured span are differences of two
// marks, taken at the same times by each loop; faults are those of the whole run, also of warm-up and
// drain.
func (r *run) result(loops []*loop) (Result, error) {
	var res Result
	var all, late histogram.Histogram
	var receivers []*check.Receiver
	sent := make([]uint32, len(r.sent))
	for i := range sent {
		sent[i] = r.sent[i].Load()
	}
	for _, l := range loops {
		if len(l.marks) != 2 {
			return res, fmt.Errorf("the run ended before it was measured")
		}
		from, to := &l.marks[0], &l.marks[1]
		seconds := float64(to.at-from.at) / 1e9
		res.Published += float64(to.published-from.published) / seconds
		res.Delivered += float64(to.delivered-from.delivered) / seconds
		if r.plan.Stall.Connections > 0 {
			l.stall.collect(l) // messages that arrived after the end
		}
		all.Merge(&l.rec.Latency)
		late.Merge(&l.late)
		res.Ended = append(res.Ended, l.ended...)
		for _, c := range l.long {
			res.Checked += c.receiver.Delivered
			res.Faults.Add(c.receiver.Faults)
			if r.stalls(c.number) && (c.pause || c.state == closed) {
				continue // it may have missed something
			}
			res.Faults.Lost += c.receiver.Missing(sent)
			receivers = append(receivers, c.receiver)
		}
	}
	first := loops[0]
	if p := &r.plan; p.Stall.Connections > 0 {
		res.Stall = first.stall.result(&all)
	}
	if p := &r.plan; p.Short.Rate > 0 {
		s := &first.short
		res.Short = &ShortResult{Reset: p.Short.Reset, Opened: s.opened, Refused: s.refused, Unanswered: s.unanswered, Due: s.due(first), Delivered: s.delivered(first)}
	}
	res.Latency, res.Late = latencyOf(&all), latencyOf(&late)
	res.Order = orderOf(receivers, res.Faults)
	res.usage(&first.marks[0], &first.marks[1], len(r.plan.PIDs) > 0)
	return res, nil
}

// usage fills in the resources used between two marks.
func (res *Result) usage(from, to *mark, server bool) {
	res.Seconds = float64(to.at-from.at) / 1e9
	cpu := to.server - from.server
	res.OwnCPU = (to.own - from.own).Seconds()
	bus := to.bus - from.bus
	res.BusCPU = bus.Seconds()
	res.OtherCPU = max((to.machine - from.machine - (to.own - from.own) - cpu - bus).Seconds(), 0)
	if !server {
		return
	}
	res.Server = &Usage{CPU: cpu.Seconds(), Cores: cpu.Seconds() / res.Seconds, Resident: to.memory.Resident, Peak: to.memory.Peak}
	if n := res.Delivered * res.Seconds; n > 0 {
		res.Server.PerMillion = cpu.Seconds() / n * 1e6
	}
}

// orderOf compares the orders that receivers saw. After a fault the order is unknown.
func orderOf(receivers []*check.Receiver, faults check.Faults) Order {
	switch same, known := check.SameOrder(receivers); {
	case !known || faults.Any():
		return NoOrder
	case same:
		return OneOrder
	}
	return ManyOrders
}

// result returns the result of the stall. It adds the latencies of the other connections
// to all.
func (s *stalling) result(all *histogram.Histogram) *StallResult {
	res := &StallResult{Connections: len(s.conns), Spans: s.spans}
	if len(s.spans) > 0 {
		res.Kept = s.spans[len(s.spans)-1].Kept
	}
	for i, to := range []*Latency{&res.Before, &res.During, &res.After} {
		*to = latencyOf(&s.phases[i])
		all.Merge(&s.phases[i])
	}
	for _, c := range s.conns {
		res.Delivered += c.receiver.Delivered
	}
	return res
}

// ownCPU returns the CPU time of this process and of the machine.
func ownCPU() (own, machine time.Duration, err error) {
	if own, err = process.OwnCPU(); err != nil {
		return 0, 0, err
	}
	machine, err = process.MachineCPU()
	return own, machine, err
}
