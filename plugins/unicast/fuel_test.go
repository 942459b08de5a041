package unicast

import (
	"context"
	"testing"

	"switchyard/pdu"
	"switchyard/plugins/teamtalk"
	"switchyard/policy"
	"switchyard/policy/wasm"
)

// TestFuelOfShippedPolicies holds that no decision of a shipped policy takes a tenth of the
// default fuel, also about the largest body, made of nothing but small fields.
func TestFuelOfShippedPolicies(t *testing.T) {
	limits := wasm.DefaultLimits()
	e := wasm.NewEngine(limits, nil)
	t.Cleanup(func() { _ = e.Close() })
	for name, module := range map[string][]byte{"unicast": Module, "teamtalk": teamtalk.Module} {
		p, err := e.LoadOwn(context.Background(), name, module, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for _, c := range pdu.Commands {
			for _, fill := range []byte{0, 1, 8, 0x7f, 0x80, 0xff} {
				body := make([]byte, limits.BodyBytes)
				for i := range body {
					body[i] = fill
				}
				whole := pdu.Append(nil, c.Service, c.ID, 1, body)
				x := p.Explain(policy.Question{Header: whole[:pdu.HeaderLen], Body: whole[pdu.HeaderLen:], Session: 1})
				used := x.ByIDs.Fuel
				if x.Inspection != nil {
					used = max(used, x.Inspection.Fuel)
				}
				if x.Fault != nil || used > limits.Fuel/10 {
					t.Errorf("%s, %v, body of %#x: %d units, %v", name, c.ID, fill, used, x.Fault)
				}
			}
		}
	}
}
