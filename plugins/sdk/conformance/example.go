package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

// CheckExample checks that a module decides as the example lists. The engine must have
// the default limits. The results are one for all ids under the first configuration, one for each
// configuration, and one for those that must be refused.
func CheckExample(engine *wasm.Engine, e *Example, module []byte) []Result {
	a := &asker{engine: engine, module: module, name: e.Name}
	first, err := a.load(e.Loads[0].Configs[0])
	if err != nil {
		return []Result{{Check: e.Name, Err: err}}
	}
	// While this policy is open, the engine does not compile the module again.
	defer func() { _ = first.Close() }()

	results := []Result{{Check: e.Name, Err: e.Loads[0].classify(first), Note: fmt.Sprintf("%d pairs of ids", len(services)<<16)}}
	for _, l := range e.Loads {
		for _, config := range l.Configs {
			results = append(results, a.check(&l, config))
		}
	}
	if len(e.Refuses) > 0 {
		results = append(results, Result{Check: e.Name, Err: a.refuses(e.Refuses), Note: fmt.Sprintf("refuses %d configurations", len(e.Refuses))})
	}
	return results
}

// An asker loads one module under several configurations.
type asker struct {
	engine *wasm.Engine
	module []byte
	name   string // of the example
}

func (a *asker) load(config string) (*wasm.Policy, error) {
	return a.engine.Load(context.Background(), a.name, a.module, []byte(config))
}

// classify asks about every command id under each of services.
func (l *Load) classify(p *wasm.Policy) error {
	var all problems
	for _, s := range services {
		for id := range 1 << 16 {
			all.addErr(l.classifyOne(p, ids{s, pdu.CommandID(id)}))
		}
	}
	return all.err()
}

// classifyOne asks about one pair of ids. The service never matters in the examples.
func (l *Load) classifyOne(p *wasm.Policy, i ids) error {
	want, listed := l.Classify[i.command]
	if !listed {
		want = l.Else
	}
	if got, err := p.Classify(i.service, i.command); err != nil || got != want {
		a := ask{ids: i}
		return fmt.Errorf("%v: got %s, want %v", a, describe(a.of(p)), want)
	}
	return nil
}

// check loads the module twice and asks both policies the questions of l: a fresh instance must
// decide as the first one did.
func (a *asker) check(l *Load, config string) Result {
	r := Result{Check: a.name, Note: fmt.Sprintf("%d headers and %d bodies", len(l.Inspect), len(l.InspectBody))}
	if config != "" {
		r.Note = "configured by " + strings.Join(strings.Fields(config), " ") + ": " + r.Note
	}
	for range 2 {
		p, err := a.load(config)
		if err != nil {
			r.Err = err
			return r
		}
		r.Err = l.ask(p)
		_ = p.Close()
		if r.Err != nil {
			return r
		}
	}
	return r
}

// ask asks about all commands of the protocol, then the questions.
func (l *Load) ask(p *wasm.Policy) error {
	var all problems
	for _, c := range pdu.Commands {
		all.addErr(l.classifyOne(p, ids{c.Service, c.ID}))
	}
	for _, q := range l.Inspect {
		all.addErr(q.ask(p, abi.InspectHeader))
	}
	for _, q := range l.InspectBody {
		all.addErr(q.ask(p, abi.InspectBodyOf))
	}
	return all.err()
}

// refuses checks that configure refuses each configuration with 1, and not by a trap, which is refused
// at the same gate.
func (a *asker) refuses(configs []string) error {
	var all problems
	for _, config := range configs {
		p, err := a.load(config)
		if err == nil {
			_ = p.Close()
			all.add("configuration %s: accepted, want it refused", config)
			continue
		}
		if gate, ok := errors.AsType[*wasm.GateError](err); !ok || gate.Gate != wasm.GateConfigure || !strings.HasSuffix(gate.Err.Error(), "with 1") {
			all.add("configuration %s: %v; want configure to return 1", config, err)
		}
	}
	return all.err()
}

// ask asks twice: with the rest of the header zero, then with all its bits set. Peers may send any value
// there, so a policy must not depend on them.
func (q Question) ask(p *wasm.Policy, byIDs policy.Verdict) error {
	for _, rest := range []byte{0, 0xff} {
		a := ask{byIDs: byIDs, Question: q.filled(rest)}
		if got := a.of(p); got.Fault != nil || got.Verdict != q.Want {
			return fmt.Errorf("%s: got %s, want %v; asked with %v", q.Name, describe(got), q.Want, a)
		}
	}
	return nil
}
