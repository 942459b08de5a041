package release

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
)

func TestSteps(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Release)
		want   string
	}{
		"in shadow":        {func(*Release) {}, "[shadow 0] stage 0.01 stage 0.1 stage 0.5 bake 1"},
		"in a stage":       {func(r *Release) { r.enter(Stage, 0.1) }, "shadow 0 stage 0.01 [stage 0.1] stage 0.5 bake 1"},
		"without shadow":   {func(r *Release) { r.Plan.Shadow = false; r.enter(Bake, 1) }, "stage 0.01 stage 0.1 stage 0.5 [bake 1]"},
		"presence":         {func(r *Release) { r.Plan.AtOnce = true }, "[shadow 0] bake 1"},
		"neutral":          {func(r *Release) { r.Plan.Neutral = true }, "[shadow 0]"},
		"other stages":     {func(r *Release) { r.enter(Stage, 0.1); r.Plan.Stages = []float64{0.05, 0.2} }, "shadow 0 stage 0.05 [stage 0.1] stage 0.2 bake 1"},
		"a smaller share":  {func(r *Release) { r.enter(Stage, 0.5); r.Plan.Stages = []float64{0.2} }, "shadow 0 stage 0.2 [stage 0.5] bake 1"},
		"shadow taken out": {func(r *Release) { r.Plan.Shadow = false }, "[shadow 0] stage 0.01 stage 0.1 stage 0.5 bake 1"},
		"over":             {func(r *Release) { r.end(RolledBack, "") }, "shadow 0 stage 0.01 stage 0.1 stage 0.5 bake 1"},
	} {
		r := New(plan())
		c.change(r)
		var words []string
		steps, present := r.Steps()
		for i, s := range steps {
			text := fmt.Sprintf("%s %g", s.State, s.Share)
			if i == present {
				text = "[" + text + "]"
			}
			words = append(words, text)
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestWants(t *testing.T) {
	r := New(plan())
	if held, sample := r.Wants(); held != 5*time.Second || sample != 100 {
		t.Errorf("shadow wants %v and %d PDUs", held, sample)
	}
	r.enter(Bake, 1)
	if held, sample := r.Wants(); held != 10*time.Second || sample != 0 {
		t.Errorf("bake wants %v and %d PDUs", held, sample)
	}
	r.Plan.Manual = true
	if held, sample := r.Wants(); held != 0 || sample != 0 {
		t.Errorf("by hand, bake wants %v and %d PDUs", held, sample)
	}
}

func TestUses(t *testing.T) {
	const chat, read = pdu.CommandID(0x301), pdu.CommandID(0x304)
	p := plan()
	p.Accept = map[pdu.CommandID]bool{read: true}
	for name, c := range map[string]struct {
		counts policy.Weighed
		want   string
	}{
		"nothing": {policy.Weighed{}, ""},
		"rates": {policy.Weighed{Commands: []policy.CommandWeights{{Command: chat, Weights: policy.Weights{PDUs: 4000, Faults: 2, Undelivered: 1}}, {Command: 0x305, Weights: policy.Weights{PDUs: 6000}}}},
			"faults 0.0002/0=1 undelivered 0.00025/0.001=0.25"}, // of the one command, which is worse than all together
		"accepted": {policy.Weighed{Commands: []policy.CommandWeights{{Command: read, Weights: policy.Weights{PDUs: 10, Closes: 9, Undelivered: 9, Faults: 0}}}}, ""},
		"more":     {weights(policy.Weights{PDUs: 500, Copies: [2]policy.Copies{{PDUs: 100, Bytes: 1000}, {PDUs: 110, Bytes: 500}}}), "copies 0.1/0.25=0.4 bytes -0.5/0.25=0"},
		"of none":  {weights(policy.Weights{PDUs: 500, Copies: [2]policy.Copies{{}, {PDUs: 3}}}), "copies 2/0.25=8"},
		"fuel":     {weights(policy.Weights{PDUs: 50, Inspected: [2]uint64{50, 50}, Fuel: [2]uint64{500, 2500}}), "fuel 50/100=0.5"},
		"high":     {weights(policy.Weights{PDUs: 200, Inspected: [2]uint64{0, 200}, Fuel: [2]uint64{0, 2000}, HighFuel: 1}), "fuel 10/100=0.5"},
	} {
		var words []string
		for i, u := range p.Uses(c.counts) {
			if u.Budget != BudgetNames[i] {
				t.Errorf("budget %d is %s, want %s", i, u.Budget, BudgetNames[i])
			}
			if u.Used != 0 || u.Ratio != 0 {
				words = append(words, fmt.Sprintf("%s %.3g/%g=%.3g", u.Budget, u.Used, u.Allowed, u.Ratio))
			}
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The evidence is that by which a release ends: with one command from 3 on, and with ten from 4 on.
func TestEvidence(t *testing.T) {
	p := plan()
	p.Budget.Faults, p.Budget.Closes = 0, 1
	for _, c := range []struct {
		undelivered, pdus uint64
		least, most       float64
	}{{0, 0, 0, 0}, {0, 10_000, -9, 0}, {1, 1000, -2, 1}, {7, 1000, 2, 3}, {8, 1000, 3, 4}, {30, 30, 70, 90}} {
		w := policy.Weights{PDUs: c.pdus, Undelivered: c.undelivered, Faults: 1, Closes: 1}
		e := p.Evidence(weights(w))
		if e[2] < c.least || e[2] > c.most || e[0] != 0 || e[1] != 0 {
			t.Errorf("%d of %d: evidence %v, want %v to %v", c.undelivered, c.pdus, e, c.least, c.most)
		}
		if over := exceeds(c.undelivered, c.pdus, p.Budget.Undelivered, 1); over != (e[2] >= 3) {
			t.Errorf("%d of %d: evidence %v, exceeded %v", c.undelivered, c.pdus, e[2], over)
		}
	}
}
