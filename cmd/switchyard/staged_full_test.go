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
	if len(states) != 4 || s.Steps[1].ByCandidate == 0 || s.Steps[2].ByCandidate == 0 || s.Steps[3].ByStable != 0 || s.Sums.Lost != 0 || s.Judged.Lost != 0 || s.Judged.Received == 0 {
		t.Errorf("steps %q: %+v", states, s)
	}
}

// A candidate that sends much more copies is rolled back after three beats, and before that obeyed
// for few users.
func TestDoublingRelease(t *testing.T) {
	t.Parallel()
	r := startReleased(t, `release = { mode = "staged", shadow = false, stages = ["1%"], hold = "1h" }`)
	r.table("unicast session 1") // the sender, of two peers
	r.awaitStage("unicast session 1", "stage")
	r.command(0, "promote", "--all")
	r.command(0, "promote")
	r.awaitInForce("unicast session 1")
	r.table("broadcast-all")
	r.expect("release begins", `"release":5`)
	for r.count("release rolled back") == 0 {
		r.chat(100)
	}
	l := r.expect("release rolled back", "copies: ")
	if s := r.receipt(5); s.Steps[0].ByCandidate > s.Steps[0].ByStable/20 {
		t.Errorf("%v PDUs were obeyed as the candidate says, and %d not", l["judged_by_candidate"], s.Steps[0].ByStable)
	}
}
