// Package measure measures what a policy's decisions cost, on the engine that serves
// traffic. It prints nothing.
package measure

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

// Effort says how thoroughly to measure: each cost is the median of Rounds, and each round
// takes at least Time.
type Effort struct {
	Rounds int
	Time   time.Duration
}

// A Cost is the cost of one kind of call. The names in JSON do not change.
type Cost struct {
	Question string  `json:"question"` // as in Costs
	Command  string  `json:"command"`  // of the PDU
	Body     int     `json:"body"`     // its bytes, if the guest receives it
	Nanos    float64 `json:"ns"`       // per decision: the median, the least and the most of the rounds
	Least    float64 `json:"ns_least"`
	Most     float64 `json:"ns_most"`
	Fuel     uint64  `json:"fuel"`            // that the guest uses; 0 if it is not called
	Fault    string  `json:"fault,omitempty"` // the kind of fault, if the call fails
}

// The kinds of calls that are measured.
const (
	Remembered  = "remembered"   // a verdict by ids, as for nearly every PDU
	Alike       = "alike"        // the same during a release of a policy that agrees on it
	Compared    = "compared"     // the same during a release of a policy that has another verdict by ids
	Classify    = "classify"     // the same, by a call of the guest
	Inspect     = "inspect"      // a header
	InspectBody = "inspect_body" // a body
)

// bodies are the sizes of bodies that are inspected, in bytes.
var bodies = []int{16, 256, 4096}

// Costs measures every kind of call of a policy. It measures Inspect and InspectBody only if
// classify asks for that inspection for some command.
func Costs(p *wasm.Policy, effort Effort) []Cost {
	constant, header, body := samples(p)
	var costs []Cost
	if constant != nil {
		costs = append(costs, remembered(p, *constant, effort)...)
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

// samples returns a command for each way in which the policy decides, or nil. For constant
// verdicts it prefers a command that is not dropped.
func samples(p *wasm.Policy) (constant, header, body *pdu.Command) {
	for i := range pdu.Commands {
		c := &pdu.Commands[i]
		v, err := p.Classify(c.Service, c.ID)
		switch {
		case err != nil:
		case v.Has(abi.InspectBodyOf):
			body = cmp.Or(body, c)
		case v.Has(abi.InspectHeader):
			header = cmp.Or(header, c)
		case constant == nil || v.Action() != policy.Drop:
			constant = c
		}
	}
	return constant, header, body
}

// remembered measures a decision that the memo knows, without a release and during one, in turn. For
// Alike both sides of the stage are the same generation, for Compared the other one is a policy that
// always differs, so that each decision takes the long way. The generations are never released, as that
// would close p, which is the caller's.
func remembered(p *wasm.Policy, command pdu.Command, effort Effort) []Cost {
	g, other := policy.NewGeneration("", "", p), policy.NewGeneration("", "", otherwise{p})
	alike := policy.NewStage(&policy.Split{Stable: g, Candidate: g}, 0.5, nil)
	compared := policy.NewStage(&policy.Split{Stable: g, Candidate: other}, 0.5, nil)
	whole := pdu.Append(nil, command.Service, command.ID, 0, nil)
	costs := make([]Cost, 3)
	var calls []func() error
	for i, g := range []*policy.Generation{g, alike, compared} {
		costs[i] = Cost{Question: []string{Remembered, Alike, Compared}[i], Command: command.Name}
		c := new(policy.Comparison)
		calls = append(calls, func() error {
			b := g.Begin(1, 0, nil)
			b.Compare(c, 1)
			b.Judge(whole)
			b.Release()
			return nil
		})
	}
	timeInTurn(effort, costs, calls)
	return costs
}

// classify measures classify for all commands in turn.
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

// inspect measures an inspection of a PDU of the command with a body of that size.
func inspect(p *wasm.Policy, question string, command pdu.Command, size int, effort Effort) Cost {
	c := Cost{Question: question, Command: command.Name, Body: size}
	byIDs, err := p.Classify(command.Service, command.ID)
	if err != nil {
		c.Fault = string(policy.FaultOf(err).Kind)
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

// time measures how long call takes.
func (c *Cost) time(effort Effort, call func() error) {
	one := []Cost{*c}
	timeInTurn(effort, one, []func() error{call})
	*c = one[0]
}

// timeInTurn measures how long each call takes. It increases the number of calls in a round until a
// round takes long enough: for a call of 50 ns and rounds of 50 ms, 1 call, then 100, 10,000 and a
// million. Then come the rounds that count. Their median is robust against other processes; the
// least and the most show how quiet the machine was. A round of each call follows one of the call
// before, so that all have the machine at the same speed.
func timeInTurn(effort Effort, costs []Cost, calls []func() error) {
	times, nanos := make([]int, len(calls)), make([][]float64, len(calls))
	for i, call := range calls {
		var fault error
		if times[i], fault = enough(effort, call); fault != nil {
			costs[i].Fault = string(policy.FaultOf(fault).Kind)
		}
	}
	for range effort.Rounds {
		for i, call := range calls {
			took, _ := round(times[i], call)
			nanos[i] = append(nanos[i], float64(took.Nanoseconds())/float64(times[i]))
		}
	}
	for i, n := range nanos {
		slices.Sort(n)
		costs[i].Nanos, costs[i].Least, costs[i].Most = n[len(n)/2], n[0], n[len(n)-1]
	}
}

// enough returns how many calls a round needs to take long enough, and the last error of a call.
func enough(effort Effort, call func() error) (calls int, failed error) {
	for calls = 1; calls < 1<<40; {
		took, err := round(calls, call)
		if err != nil {
			failed = err
		}
		if took >= effort.Time {
			break
		}
		calls = max(2*calls, int(float64(calls)*min(100, 1.1*float64(effort.Time)/float64(took+1))))
	}
	return calls, failed
}

// round makes that many calls, and returns the last error.
func round(calls int, call func() error) (took time.Duration, failed error) {
	began := time.Now()
	for range calls {
		if err := call(); err != nil {
			failed = err
		}
	}
	return time.Since(began), failed
}

// A Loading is the cost of loading a policy. The names in JSON do not change.
type Loading struct {
	Nanos  float64 `json:"ns"`     // the median time of a load, through all gates, by an engine that has not seen the module before
	Memory uint64  `json:"memory"` // linear memory of one instance, in bytes
	Module int     `json:"module"` // bytes
}

// loadTime is the time after which no further round of loading begins: a large module in Go takes
// half a second.
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

// An otherwise is a policy that drops what the other one does not, and consumes what it drops.
type otherwise struct{ *wasm.Policy }

func (o otherwise) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	if v, err := o.Policy.Classify(s, c); err == nil && v.Action() == policy.Drop {
		return abi.Consume, nil
	}
	return abi.Drop, nil
}
