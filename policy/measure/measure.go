// Package measure finds out what a policy's decisions cost, on the engine that
// serves. It is the one place below policy that reads the clock, and prints nothing.
package measure

import (
	"context"
	"fmt"
	"slices"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

// Effort is how thoroughly to measure. Each cost is the median of some rounds, each
// of at least some time.
type Effort struct {
	Rounds int
	Time   time.Duration
}

// A Cost is what one kind of question costs. The names in JSON stay.
type Cost struct {
	Question string  `json:"question"` // as in Costs
	Command  string  `json:"command"`  // that it was about
	Body     int     `json:"body"`     // bytes, of those that are handed to the guest
	Nanos    float64 `json:"ns"`       // per decision: the median, the least and the most of the rounds
	Least    float64 `json:"ns_least"`
	Most     float64 `json:"ns_most"`
	Fuel     uint64  `json:"fuel"`            // that the guest uses; 0 if it is not asked
	Fault    string  `json:"fault,omitempty"` // the question is not decided, but costs a failure of this kind
}

// The questions that are measured.
const (
	Remembered  = "remembered"   // a verdict by ids, as for nearly every PDU
	Classify    = "classify"     // the same, asking the guest
	Inspect     = "inspect"      // a header
	InspectBody = "inspect_body" // a body
)

// bodies are the sizes of bodies that are inspected, in bytes.
var bodies = []int{16, 256, 4096}

// Costs measures every kind of question that a policy is asked: Inspect and
// InspectBody only if there is a command for which classify says so.
func Costs(p *wasm.Policy, effort Effort) []Cost {
	constant, header, body := samples(p)
	var costs []Cost
	if constant != nil {
		g := policy.NewGeneration("", "", borrowed{p})
		defer g.Release()
		whole := pdu.Append(nil, constant.Service, constant.ID, 0, nil)
		c := Cost{Question: Remembered, Command: constant.Name}
		c.time(effort, func() error { _, _ = g.Judge(whole, 1, 0); return nil })
		costs = append(costs, c)
	}
	costs = append(costs, classify(p, effort))
	if header != nil {
		costs = append(costs, inspect(p, Inspect, *header, 0, effort))
	}
	if body != nil {
		for _, size := range bodies {
			costs = append(costs, inspect(p, InspectBody, *body, size, effort))
		}
	}
	return costs
}

// samples returns a command for each way in which the policy decides, or nil. One
// that is passed on stands for the constant ones rather than one that is dropped.
func samples(p *wasm.Policy) (constant, header, body *pdu.Command) {
	for i := range pdu.Commands {
		c := &pdu.Commands[i]
		v, err := p.Classify(c.Service, c.ID)
		switch {
		case err != nil:
		case v.Has(abi.InspectBodyOf):
			body = first(body, c)
		case v.Has(abi.InspectHeader):
			header = first(header, c)
		case constant == nil || v.Action() != policy.Drop:
			constant = c
		}
	}
	return constant, header, body
}

func first(have, c *pdu.Command) *pdu.Command {
	if have != nil {
		return have
	}
	return c
}

// classify asks about all commands in turn.
func classify(p *wasm.Policy, effort Effort) Cost {
	c := Cost{Question: Classify, Command: "all in turn"}
	for _, k := range pdu.Commands {
		c.Fuel = max(c.Fuel, p.ExplainClassify(k.Service, k.ID).Fuel)
	}
	i := 0
	c.time(effort, func() error {
		if i++; i == len(pdu.Commands) {
			i = 0
		}
		_, err := p.Classify(pdu.Commands[i].Service, pdu.Commands[i].ID)
		return err
	})
	return c
}

// inspect asks about a PDU of the command with a body of that size.
func inspect(p *wasm.Policy, question string, command pdu.Command, size int, effort Effort) Cost {
	c := Cost{Question: question, Command: command.Name, Body: size}
	byIDs, err := p.Classify(command.Service, command.ID)
	if err != nil {
		c.Fault = kindOf(err)
		return c
	}
	whole := pdu.Append(nil, command.Service, command.ID, 0, sample(command, size))
	q := policy.Question{Header: whole[:pdu.HeaderLen], Body: whole[pdu.HeaderLen:], Session: 1}
	c.Fuel = p.ExplainInspect(byIDs, q).Fuel
	c.time(effort, func() error {
		_, err := p.Inspect(byIDs, q)
		return err
	})
	return c
}

// time measures how long ask takes. The number of calls of a round grows until it
// takes the time it should.
func (c *Cost) time(effort Effort, ask func() error) {
	calls := 1
	for calls < 1<<40 {
		took, err := round(calls, ask)
		if err != nil {
			c.Fault = kindOf(err)
		}
		if took >= effort.Time {
			break
		}
		calls = max(2*calls, int(float64(calls)*min(100, 1.1*float64(effort.Time)/float64(took+1))))
	}
	var nanos []float64
	for range effort.Rounds {
		took, _ := round(calls, ask)
		nanos = append(nanos, float64(took.Nanoseconds())/float64(calls))
	}
	slices.Sort(nanos)
	c.Nanos, c.Least, c.Most = nanos[len(nanos)/2], nanos[0], nanos[len(nanos)-1]
}

func round(calls int, ask func() error) (took time.Duration, failed error) {
	began := time.Now()
	for range calls {
		if err := ask(); err != nil {
			failed = err
		}
	}
	return time.Since(began), failed
}

func kindOf(err error) string {
	if fault, ok := err.(*policy.Fault); ok {
		return string(fault.Kind)
	}
	return string(policy.FaultTrap)
}

// A Loading is what it takes to bring a policy into force. The names in JSON stay.
type Loading struct {
	Nanos  float64 `json:"ns"`     // the median time of a load, through all gates, by an engine that has not seen the module before
	Memory uint64  `json:"memory"` // linear memory of one instance, in bytes
	Module int     `json:"module"` // bytes
}

// loadTime is how long to go on loading for another round.
const loadTime = 3 * time.Second

// Load measures loading. The error is a *wasm.GateError.
func Load(name string, module, config []byte, limits wasm.Limits, effort Effort) (Loading, error) {
	l := Loading{Module: len(module)}
	var nanos []float64
	for began := time.Now(); len(nanos) < max(1, effort.Rounds) && time.Since(began) < loadTime; {
		e := wasm.NewEngine(limits, nil)
		start := time.Now()
		p, err := e.Load(context.Background(), name, module, config)
		took := time.Since(start)
		if err != nil {
			e.Close()
			return l, err
		}
		l.Memory = p.ExplainClassify(pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT).Memory
		if err := p.Close(); err != nil {
			return l, fmt.Errorf("measure loading: %w", err)
		}
		if err := e.Close(); err != nil {
			return l, fmt.Errorf("measure loading: %w", err)
		}
		nanos = append(nanos, float64(took.Nanoseconds()))
	}
	slices.Sort(nanos)
	l.Nanos = nanos[len(nanos)/2]
	return l, nil
}

// A borrowed policy is not closed with the generation that it is made.
type borrowed struct{ policy.Policy }

func (borrowed) Close() error { return nil }
