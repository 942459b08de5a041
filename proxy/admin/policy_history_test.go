package admin

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin/api"
)

// failing is a policy that fails whenever it is asked about ids outside of its memo.
type failing struct{ consume }

func (failing) Classify(s pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	if c == 0xffff {
		return 0, &policy.Fault{Kind: policy.FaultTrap, Err: errors.New("trapped")}
	}
	return abi.Consume, nil
}

func TestPolicyHistory(t *testing.T) {
	var c PolicyHistory
	fail := func(g *policy.Generation, times int) {
		for range times {
			g.ResetBreaker()
			g.Judge(pdutest.Raw(0xffff, 0, nil), 1, 0)
		}
	}
	first := policy.NewGeneration("first", "1", failing{})
	c.InForce("acme", first, api.PolicyEvent{Routes: "all"})
	fail(first, 2)
	gate := &wasm.GateError{Gate: wasm.GateMagic, Policy: "x", Err: errors.New("no"), Remedy: "yes"}
	c.Refused("acme", "file:x", "2", gate)
	c.Refused("acme", "file:x", "3", errors.New(strings.Repeat("long ", keptError)))
	second := policy.NewGeneration("second", "4", failing{})
	c.InForce("acme", second, api.PolicyEvent{})
	fail(first, 1) // with what it had begun
	fail(second, 4)

	third := policy.NewGeneration("second", "5", consume{})
	c.InForce("other", third, api.PolicyEvent{})
	c.InForce("other", third, api.PolicyEvent{})
	c.InForce("other", third, api.PolicyEvent{})
	kept := 0
	for _, e := range c.tenants["other"].events {
		if e.generation != nil {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("%d generations are kept in memory, want the one in force and the one before", kept)
	}

	h := c.History("acme")
	var got []string
	for _, e := range h {
		got = append(got, fmt.Sprintf("%d %s %s %s %v", e.ID, e.State, e.Name, e.Gate, e.Faults))
	}
	want := "4 in-force second  map[trap:4]; 3 refused file:x  map[]; 2 refused file:x magic map[]; 1 retired first  map[trap:3]"
	if text := strings.Join(got, "; "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if h[0].Until != nil || h[3].Until == nil || !h[3].Until.Equal(h[0].Since) || len(h[1].Error) > keptError+4 {
		t.Errorf("got %+v", h)
	}
	for i := range 2 * keptPolicies {
		c.Refused("acme", "file:x", "", errors.New(fmt.Sprint(i)))
	}
	h = c.History("acme")
	if len(h) != keptPolicies || h[keptPolicies-1].Name != "second" || h[keptPolicies-1].State != api.InForce {
		t.Errorf("%d are remembered, the oldest is %+v; want that what is in force stays", len(h), h[len(h)-1])
	}
	reloads, faults := c.Counts("acme")
	if reloads.Swapped != 2 || reloads.Refused != 2+2*keptPolicies || faults[policy.FaultTrap] != 7 {
		t.Errorf("counts %+v, %v", reloads, faults)
	}
	c.InForce("acme", policy.NewGeneration("third", "5", consume{}), api.PolicyEvent{})
	if _, faults := c.Counts("acme"); faults[policy.FaultTrap] != 7 {
		t.Errorf("faults %v, want that none is forgotten", faults)
	}
	c.Removed("acme")
	if h := c.History("acme"); len(h) != 0 {
		t.Errorf("remembered of a tenant that is gone: %+v", h)
	}
}

// A request about a removed tenant does not add it to the history again.
func TestCountsOfRemovedTenant(t *testing.T) {
	var c PolicyHistory
	c.Refused("acme", "no", "", errors.New("no"))
	c.Removed("acme")
	reloads, faults := c.Counts("acme")
	if reloads != (Reloads{}) || len(faults) != 0 || len(c.tenants) != 0 {
		t.Errorf("%+v, %v, and %d are remembered", reloads, faults, len(c.tenants))
	}
}
