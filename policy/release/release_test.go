package release

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
)

func plan() Plan {
	return Plan{Shadow: true, Stages: []float64{0.01, 0.1, 0.5}, Hold: 5 * time.Second, Sample: 100, MaxWait: time.Minute, OnQuiet: Wait,
		Bake: 10 * time.Second, OnSuspicion: Wait, Fuel: 1000, Budget: Budget{Undelivered: 0.001, Copies: 0.25, Bytes: 0.25, Fuel: 4}}
}

// place returns state, step and pause as one text.
func place(r *Release) string {
	text := string(r.State)
	if r.State == Stage {
		text = fmt.Sprintf("%s %d", text, slices.Index(plan().Stages, r.Share))
	}
	if r.Paused {
		text += ", paused"
	}
	return text
}

// Every state with every event.
func TestEvents(t *testing.T) {
	const same, over, refused = "the same", "over", "refused"
	after := map[string][len(Events)]string{ // Promote, PromoteAll, Pause, Continue, Trip, Rollback, Withdraw, Supersede
		"shadow":          {"stage 0", "bake", "shadow, paused", refused, "rolled-back", "rolled-back", "withdrawn", "superseded"},
		"shadow, paused":  {"stage 0", "bake", refused, "shadow", "rolled-back", "rolled-back", "withdrawn", "superseded"},
		"stage 0":         {"stage 1", "bake", "stage 0, paused", refused, "rolled-back", "rolled-back", "withdrawn", "superseded"},
		"stage 0, paused": {"stage 1", "bake", refused, "stage 0", "rolled-back", "rolled-back", "withdrawn", "superseded"},
		"stage 2":         {"bake", "bake", "stage 2, paused", refused, "rolled-back", "rolled-back", "withdrawn", "superseded"},
		"stage 2, paused": {"bake", "bake", refused, "stage 2", "rolled-back", "rolled-back", "withdrawn", "superseded"},
		"bake":            {"done", "done", "bake, paused", refused, "rolled-back", "rolled-back", "withdrawn", "superseded"},
		"bake, paused":    {"done", "done", refused, "bake", "rolled-back", "rolled-back", "withdrawn", "superseded"},
		"done":            {over, over, over, over, "rolled-back", over, over, over}, // by a Trip before it is carried out
		"rolled-back":     {over, over, over, over, over, over, over, over},
		"withdrawn":       {over, over, over, over, over, over, over, over},
		"superseded":      {over, over, over, over, over, over, over, over},
	}
	for from, to := range after {
		for i, e := range Events {
			r := New(plan())
			name, paused := strings.CutSuffix(from, ", paused")
			r.State = State(strings.Fields(name)[0])
			switch r.State {
			case Stage:
				var step int
				fmt.Sscanf(name, "stage %d", &step)
				r.Share = plan().Stages[step]
			case Bake:
				r.Share = 1
			}
			r.Paused = paused
			err := r.Handle(e, "because")
			want := to[i]
			switch {
			case want == over:
				if err != ErrOver || place(r) != from {
					t.Errorf("%s, %s: %s, %v", from, e, place(r), err)
				}
			case want == refused:
				if err == nil || err == ErrOver || place(r) != from {
					t.Errorf("%s, %s: %s, %v", from, e, place(r), err)
				}
			case err != nil || place(r) != want:
				t.Errorf("%s, %s: %s, %v, want %s", from, e, place(r), err, want)
			}
			if r.State.Over() && r.State != Done && r.Share != 0 {
				t.Errorf("%s, %s: the candidate is obeyed for %g", from, e, r.Share)
			}
		}
	}
	if err := New(plan()).Handle("jump", ""); err == nil {
		t.Error("an unknown event was handled")
	}
}

// What a release goes through if it is left alone.
func TestWays(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Plan)
		want   string
	}{
		"all":             {func(*Plan) {}, "shadow, stage 0, stage 1, stage 2, bake, done"},
		"without shadow":  {func(p *Plan) { p.Shadow = false }, "stage 0, stage 1, stage 2, bake, done"},
		"without stages":  {func(p *Plan) { p.Stages = nil }, "shadow, bake, done"},
		"presence":        {func(p *Plan) { p.AtOnce = true }, "shadow, bake, done"},
		"neutral":         {func(p *Plan) { p.Neutral = true }, "shadow, done"},
		"neutral, hidden": {func(p *Plan) { p.Neutral, p.Shadow = true, false }, "shadow, done"},
		"by hand":         {func(p *Plan) { p.Manual = true }, "shadow"},
		"only bake":       {func(p *Plan) { p.Shadow, p.Stages = false, nil }, "bake, done"},
	} {
		p := plan()
		c.change(&p)
		r := New(p)
		way := []string{place(r)}
		for ticks := uint64(1); ticks < 100 && !r.State.Over(); ticks++ {
			counts := policy.Weighed{}
			if !p.Neutral {
				counts = weights(policy.Weights{PDUs: 100 * ticks})
			}
			if r.Share > 0 {
				counts.ByCandidate = 1
			}
			if r.Tick(Tick{Elapsed: time.Second, Counts: counts}) {
				way = append(way, place(r))
			}
		}
		if got := strings.Join(way, ", "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func weights(w policy.Weights) policy.Weighed {
	return policy.Weighed{Commands: []policy.CommandWeights{{Command: pdu.CID_MSG_DATA, Weights: w}}}
}

// A step takes its time and its sample. No data is neither success nor failure. Jumps of the clock
// and times in which the process stood still count for little.
func TestQuiet(t *testing.T) {
	for choice, want := range map[Choice]string{Wait: "shadow, paused", Proceed: "stage 0", Back: "rolled-back"} {
		p := plan()
		p.OnQuiet = choice
		r := New(p)
		for second := range 59 {
			if r.Tick(Tick{Elapsed: time.Second, Counts: weights(policy.Weights{PDUs: 150, Unweighed: 51})}) {
				t.Fatalf("%s: %s after %d s and 99 PDUs that were weighed", choice, place(r), second+1)
			}
		}
		if r.Tick(Tick{Elapsed: time.Second}); place(r) != want {
			t.Errorf("%s: %s after a minute, want %s", choice, place(r), want)
		}
		if !strings.Contains(r.Reason, "100 are wanted") && choice != Proceed {
			t.Errorf("%s: reason %q", choice, r.Reason)
		}
	}
	r := New(plan())
	enough := weights(policy.Weights{PDUs: 1000})
	for _, elapsed := range []time.Duration{-time.Hour, 0, time.Second, -1, time.Second, time.Second, time.Second} {
		if r.Tick(Tick{Elapsed: elapsed, Counts: enough}) {
			t.Errorf("%s after %v", place(r), r.Held)
		}
	}
	if r.Held != 4*time.Second {
		t.Errorf("held %v, want 4 s", r.Held)
	}
	if r = New(plan()); r.Tick(Tick{Elapsed: 1000 * time.Hour, Counts: weights(policy.Weights{PDUs: 10})}) || r.Held != maxTick {
		t.Errorf("%s, held %v after a standstill", place(r), r.Held)
	}
	if err := r.Handle(Pause, ""); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if r.Tick(Tick{Elapsed: time.Second, Counts: enough}); place(r) != "shadow, paused" {
			t.Fatalf("%s while it is paused", place(r))
		}
	}
	if err := r.Handle(Continue, ""); err != nil {
		t.Fatal(err)
	}
	if r.Tick(Tick{Elapsed: 0, Counts: enough}); place(r) != "stage 0" {
		t.Errorf("%s after a pause, want the next step", place(r))
	}
	if r.Tick(Tick{Elapsed: 5 * time.Second, Counts: enough}); place(r) != "stage 0" {
		t.Errorf("%s without a sample of its own", place(r))
	}
}

// A release does not go from a last stage in which nobody obeyed the candidate to all users. Earlier
// stages pass, because a few users may all be outside of a small share.
func TestUntried(t *testing.T) {
	for choice, want := range map[Choice]string{Wait: "stage 2, paused", Proceed: "bake", Back: "rolled-back"} {
		p := plan()
		p.OnQuiet = choice
		r, counts := New(p), policy.Weighed{}
		tick := func() string {
			counts.Commands = weights(policy.Weights{PDUs: counts.Sum().PDUs + 100}).Commands
			r.Tick(Tick{Elapsed: 5 * time.Second, Counts: counts})
			return place(r)
		}
		for _, want := range []string{"stage 0", "stage 1", "stage 2"} {
			if got := tick(); got != want || r.Untried() != (want == "stage 2") {
				t.Fatalf("%s: %s, untried %v, want %s", choice, got, r.Untried(), want)
			}
		}
		for range 11 {
			if got := tick(); got != "stage 2" {
				t.Fatalf("%s: %s although nobody obeyed the candidate", choice, got)
			}
		}
		if got := tick(); got != want || choice != Proceed && !strings.Contains(r.Reason, "the candidate was obeyed about none") {
			t.Errorf("%s: %s after a minute, want %s; %s", choice, got, want, r.Reason)
		}
		r = New(p)
		for range 3 {
			tick()
		}
		if counts.ByCandidate = 1; tick() != "bake" {
			t.Errorf("%s: %s with a PDU that was obeyed as the candidate", choice, place(r))
		}
		if r = New(p); r.Untried() {
			t.Errorf("%s: untried in shadow", choice)
		}
		r.Plan.Sample = 0
		if r.enter(Stage, 0.5); r.Untried() {
			t.Errorf("%s: untried, and no PDUs are wanted", choice)
		}
		if r = Resume(p, Stage, 0.5, counts); r.Untried() {
			t.Errorf("%s: after a restart, what was obeyed before counts no more", choice)
		}
	}
}

// A pause holds the share, and no breach.
func TestBreachWhilePaused(t *testing.T) {
	for _, state := range []State{Shadow, Stage, Bake} {
		r := Resume(plan(), state, 0.5, policy.Weighed{})
		if err := r.Handle(Pause, "for the night"); err != nil {
			t.Fatal(err)
		}
		if r.Tick(Tick{Elapsed: time.Second, Counts: weights(policy.Weights{PDUs: 9, Faults: 1})}); r.State != RolledBack || r.Share != 0 || r.Paused {
			t.Errorf("%s after a breach in %s", place(r), state)
		}
	}
}

// After a restart, the time and the sample of a step begin again, and the evidence stays.
func TestResume(t *testing.T) {
	before := weights(policy.Weights{PDUs: 1000, Undelivered: 4})
	r := Resume(plan(), Stage, 0.1, before)
	if r.Tick(Tick{Elapsed: 5 * time.Second, Counts: before}); place(r) != "stage 1" || r.Share != 0.1 {
		t.Errorf("%s without a sample since the restart", place(r))
	}
	if r.Tick(Tick{Counts: weights(policy.Weights{PDUs: 1100, Undelivered: 12})}); r.State != RolledBack {
		t.Errorf("%s in spite of the evidence from before", place(r))
	}
	r = Resume(plan(), Stage, 0.1, before)
	r.Plan.Stages = []float64{0.05, 0.2} // saved meanwhile: the share does not fall
	if r.Handle(Promote, ""); r.Share != 0.2 {
		t.Errorf("share %g after 0.1, want the next one that is more", r.Share)
	}
	r.Plan.Stages = nil
	if r.Handle(Promote, ""); place(r) != "bake" {
		t.Errorf("%s, want bake where no stage is left", place(r))
	}
}

// Signals that became more frequent count once, as the plan says.
func TestSignals(t *testing.T) {
	slow := func(before, during uint64) Tick {
		return Tick{Elapsed: time.Second, Signals: []Signal{{"sessions closed as slow consumers", before, during}}}
	}
	for choice, want := range map[Choice]string{Wait: "shadow, paused", Back: "rolled-back", Ignore: "shadow"} {
		p := plan()
		p.OnSuspicion = choice
		for _, calm := range []Tick{slow(0, 3), slow(1, 4), slow(100, 400), slow(5, 0)} {
			if r := New(p); r.Tick(calm) {
				t.Errorf("%s: %s after %v", choice, place(r), calm.Signals)
			}
		}
		if r := New(p); r.Tick(slow(1, 5)) != (choice != Ignore) {
			t.Errorf("%s: %s after five times as many", choice, place(r))
		}
		r := New(p)
		if r.Tick(slow(0, 4)); place(r) != want {
			t.Errorf("%s: %s, want %s", choice, place(r), want)
		}
		if choice == Wait {
			r.Handle(Continue, "")
			if r.Tick(slow(0, 9)); place(r) != "shadow" {
				t.Errorf("%s: it pauses again after a resume", place(r))
			}
		}
	}
}

// A model of the machine: steps in a row, and how many have been reached.
type model struct {
	steps  []string
	at     int
	paused bool
	over   string
}

func (m *model) handle(e Event) {
	switch {
	case m.over == "done" && e == Trip:
		m.over = "rolled-back"
	case m.over != "":
	case e == Promote || e == PromoteAll && m.at == len(m.steps)-1:
		if m.at++; m.at == len(m.steps) {
			m.over = "done"
		}
		m.paused = false
	case e == PromoteAll:
		m.at, m.paused = len(m.steps)-1, false
	case e == Pause:
		m.paused = true
	case e == Continue:
		m.paused = false
	default:
		m.over = map[Event]string{Trip: "rolled-back", Rollback: "rolled-back", Withdraw: "withdrawn", Supersede: "superseded"}[e]
	}
}

func (m *model) place() string {
	switch {
	case m.over != "":
		return m.over
	case m.paused:
		return m.steps[m.at] + ", paused"
	}
	return m.steps[m.at]
}

// Random events and ticks lead where a simple model says. The share never falls while a release is
// under way, and is 0 once it ended otherwise than done.
func TestRandomWalks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for walk := range 2000 {
		r, m := New(plan()), &model{steps: []string{"shadow", "stage 0", "stage 1", "stage 2", "bake"}}
		var trace []string
		pdus, share := uint64(0), 0.0
		for range 40 {
			if random.IntN(2) == 0 {
				e := Events[[]int{0, 0, 0, 2, 3, 3, 1, 4, 5, 6, 7}[random.IntN(11)]]
				if e != Promote && e != Pause && e != Continue && random.IntN(8) > 0 {
					continue
				}
				trace = append(trace, string(e))
				r.Handle(e, "")
				m.handle(e)
			} else {
				pdus += uint64(random.IntN(60))
				was := place(r)
				if r.Tick(Tick{Elapsed: time.Duration(random.IntN(3)) * time.Second, Counts: weights(policy.Weights{PDUs: pdus})}) {
					trace = append(trace, was+" is over")
					m.handle(Promote)
				}
			}
			if place(r) != m.place() {
				t.Fatalf("walk %d: %s, want %s after %q", walk, place(r), m.place(), trace)
			}
			switch now := r.Share; {
			case r.State.Over() && r.State != Done && now != 0, !r.State.Over() && now < share:
				t.Fatalf("walk %d: share %g after %g in %s, after %q", walk, now, share, place(r), trace)
			default:
				share = now
			}
		}
	}
}
