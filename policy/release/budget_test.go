package release

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
)

// Each budget, at its border and beyond it.
func TestBudgets(t *testing.T) {
	high := policy.Weights{PDUs: 100, Inspected: [2]uint64{0, 100}, Fuel: [2]uint64{0, 100}, HighFuel: 1}
	higher := high
	higher.HighFuel = 2
	for name, c := range map[string]struct {
		w     policy.Weights
		ticks int
		want  string // "" for none
	}{
		"nothing":              {policy.Weights{}, 9, ""},
		"equal":                {policy.Weights{PDUs: 1e6, Copies: [2]policy.Copies{{PDUs: 1e6, Bytes: 1e9}, {PDUs: 1e6, Bytes: 1e9}}}, 9, ""},
		"a fault":              {policy.Weights{PDUs: 1e6, Faults: 1}, 1, "faults: 1 of 1000000 PDUs, and 0 % are allowed"},
		"faults of the stable": {policy.Weights{PDUs: 1e6, Failed: [2]uint64{1000, 1000}}, 9, ""},
		"a close":              {policy.Weights{PDUs: 1e6, Closes: 1}, 1, "closes: 1 of"},
		"few undelivered":      {policy.Weights{PDUs: 10_000, Undelivered: 12}, 9, ""},
		"many undelivered":     {policy.Weights{PDUs: 1000, Undelivered: 12}, 1, "undelivered: 12 of 1000 PDUs, and 0.1 % are allowed"},
		"one undelivered":      {policy.Weights{PDUs: 1, Undelivered: 1}, 9, ""},
		"three of three":       {policy.Weights{PDUs: 3, Undelivered: 3}, 1, "undelivered: 3 of 3"},
		"copies":               {policy.Weights{PDUs: 200, Copies: [2]policy.Copies{{PDUs: 1000}, {PDUs: 1251}}}, 3, "copies: 1251 instead of 1000, and +25 % is allowed"},
		"copies, two ticks":    {policy.Weights{PDUs: 200, Copies: [2]policy.Copies{{PDUs: 1000}, {PDUs: 1251}}}, 2, ""},
		"copies, few PDUs":     {policy.Weights{PDUs: 210, Unweighed: 11, Copies: [2]policy.Copies{{PDUs: 1000}, {PDUs: 9999}}}, 9, ""},
		"copies at the border": {policy.Weights{PDUs: 200, Copies: [2]policy.Copies{{PDUs: 1000}, {PDUs: 1250}}}, 9, ""},
		"fewer copies":         {policy.Weights{PDUs: 200, Copies: [2]policy.Copies{{PDUs: 1000}, {PDUs: 0}}}, 9, ""},
		"copies from nothing":  {policy.Weights{PDUs: 200, Copies: [2]policy.Copies{{}, {PDUs: 1}}}, 3, "copies: 1 instead of 0"},
		"bytes":                {policy.Weights{PDUs: 200, Copies: [2]policy.Copies{{Bytes: 1000}, {Bytes: 1251}}}, 3, "bytes: 1251 instead of 1000"},
		"cheap inspections":    {policy.Weights{PDUs: 100, Inspected: [2]uint64{0, 100}, Fuel: [2]uint64{0, 10_000}}, 9, ""},
		"costly inspections":   {policy.Weights{PDUs: 100, Inspected: [2]uint64{0, 100}, Fuel: [2]uint64{0, 10_001}}, 1, "fuel: 100 units for an inspection, where the stable policy uses 0"},
		"costly as before":     {policy.Weights{PDUs: 100, Inspected: [2]uint64{100, 100}, Fuel: [2]uint64{10_000, 40_000}}, 9, ""},
		"few inspections":      {policy.Weights{PDUs: 100, Inspected: [2]uint64{0, 49}, Fuel: [2]uint64{0, 49_000}}, 9, ""},
		"some with high fuel":  {high, 9, ""},
		"many with high fuel":  {higher, 1, "fuel: 2 of 100 inspections use more than half of the limit"},
	} {
		p := plan()
		p.Hold = time.Hour
		r := New(p)
		for range c.ticks {
			r.Tick(Tick{Elapsed: time.Second, Counts: weights(c.w)})
		}
		if got := r.Reason; (r.State == RolledBack) != (c.want != "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, %q; want %q", name, r.State, got, c.want)
		}
	}
}

// A breach by commands that the protocol does not have is reported under the name that counts have.
func TestBudgetOfUnknownCommands(t *testing.T) {
	c := weights(policy.Weights{PDUs: 100_000})
	c.Commands = append([]policy.CommandWeights{{Weights: policy.Weights{PDUs: 3, Undelivered: 3}}}, c.Commands...)
	r := New(plan())
	r.Tick(Tick{Counts: c})
	if want := "undelivered: 3 of 3 PDUs, and 0.1 % are allowed of unknown"; r.Reason != want {
		t.Errorf("%s: %q, want %q", r.State, r.Reason, want)
	}
}

// What is meant to change counts only for faults; a ratio must be exceeded in each of three ticks
// in a row.
func TestBudgetsOfAcceptedCommands(t *testing.T) {
	p := plan()
	p.Accept = map[pdu.CommandID]bool{pdu.CID_MSG_DATA: true}
	r := New(p)
	for range 9 {
		r.Tick(Tick{Counts: weights(policy.Weights{PDUs: 1000, Undelivered: 1000, Closes: 10, Copies: [2]policy.Copies{{PDUs: 1}, {PDUs: 9999}}})})
	}
	if r.State != Shadow {
		t.Errorf("%s: %s", r.State, r.Reason)
	}
	if r.Tick(Tick{Counts: weights(policy.Weights{PDUs: 1000, Faults: 1})}); r.State != RolledBack {
		t.Errorf("%s after a fault", r.State)
	}
	r = New(plan())
	for i := range 20 {
		after := uint64(2000)
		if i%3 == 2 {
			after = 1000
		}
		r.Tick(Tick{Counts: weights(policy.Weights{PDUs: 1000, Copies: [2]policy.Copies{{PDUs: 1000}, {PDUs: after}}})})
	}
	if r.State != Shadow {
		t.Errorf("%s although no three ticks in a row exceed the ratio", r.State)
	}
}

// binomial draws how many of n PDUs are bad, for small rates.
func binomial(random *rand.Rand, n int, rate float64) (bad uint64) {
	for at := random.ExpFloat64() / rate; at < float64(n); at += random.ExpFloat64() / rate {
		bad++
	}
	return bad
}

// Of 1,000 releases whose candidate is exactly at its budget, at most five are rolled back, though
// each is looked at 200 times; a multiple of it is found soon.
func TestFalseAlarms(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const rate, perTick = 0.001, 300
	run := func(times float64) (rolledBack bool, bad uint64) {
		p := plan()
		p.Hold = time.Hour
		r := New(p)
		w := policy.Weights{}
		for range 200 {
			w.PDUs += perTick
			w.Undelivered += binomial(random, perTick, times*rate)
			if r.Tick(Tick{Elapsed: time.Second, Counts: weights(w)}); r.State == RolledBack {
				return true, w.Undelivered
			}
		}
		return false, w.Undelivered
	}
	alarms := 0
	for range 1000 {
		if rolledBack, _ := run(1); rolledBack {
			alarms++
		}
	}
	if alarms > 5 {
		t.Errorf("%d of 1000 releases at their budget are rolled back", alarms)
	}
	found, most := 0, uint64(0)
	for range 100 {
		if rolledBack, bad := run(10); rolledBack {
			found++
			most = max(most, bad)
		}
	}
	if found < 100 || most > 30 {
		t.Errorf("of 100 releases at ten times their budget %d are rolled back, after %d bad PDUs at most", found, most)
	}
	for _, rate := range []float64{1e-6, 0.001, 0.3, 0.5, 0.9, 0.95, 0.97, 0.999} { // borders of the mixture
		if e := logEvidence(0, 1000, rate); !(e < 0) {
			t.Errorf("budget %g: evidence %g from nothing", rate, e)
		}
		if exceeds(uint64(1000*rate), 1000, rate, 1) {
			t.Errorf("budget %g: exceeded by what it allows", rate)
		}
	}
	if exceeds(999, 1000, 1, 1) || exceeds(1000, 1000, 1, 1) {
		t.Error("a budget of all is exceeded")
	}
}
