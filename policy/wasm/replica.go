package wasm

import (
	"context"

	"github.com/tetratelabs/wazero"
)

// A replica is a copy of the policy in its own runtime, whose log is discarded. The policy
// itself is not called, because thousands of random questions would change the state of its
// instance before its first PDU.
type replica struct {
	policy *Policy
	in     *instance // nil after a fault
}

func (l *loader) replica(ctx context.Context, config wazero.RuntimeConfig, module []byte) (*replica, error) {
	c := compileModule(config, module)
	p := &Policy{name: l.policy.name, limits: l.policy.limits, config: l.policy.config, groups: l.policy.groups, runtime: c.runtime, compiled: c.module, rates: l.policy.rates}
	p.lines.init(p.name, func(string, int, string) {})
	t := &replica{policy: p}
	if c.err != nil {
		return t, c.refusal()
	}
	return t, hostFunctions(ctx, p.runtime, p.compiled, &p.lines)
}

// start replaces the instance by a fresh one.
func (t *replica) start() (err error) {
	if t.in != nil {
		t.in.close()
		t.in = nil
	}
	in, err := t.policy.instantiate(nil)
	if err != nil {
		return err
	}
	t.in = in
	return in.prepare(t.policy)
}
