//go:build full

package main

import "testing"

// A good candidate comes into force by itself, stage by stage, while peers talk.
func TestReleaseByItself(t *testing.T) {
	t.Parallel()
	r := startReleased(t, `release = { mode = "staged", hold = "1s", sample = 50, stages = ["10%", "50%"], bake = "1s" }`)
	r.table("broadcast-except-sender")
	r.expect("release begins")
	for r.count("release done") == 0 && r.count("release rolled back") == 0 {
		if got := r.chat(50); got != 50 {
			t.Fatalf("%d of 50 chats arrive", got)
		}
	}
	r.wantInForce("broadcast-except-sender", "")
	s := r.receipt(2)
	var states []string
	for _, step := range s.Steps {
		states = append(states, step.State)
	}
	if len(states) != 4 || s.Steps[1].ByCandidate == 0 || s.Steps[2].ByCandidate == 0 || s.Steps[3].ByStable != 0 || s.Sums.Lost != 0 {
		t.Errorf("steps %q: %+v", states, s)
	}
}
