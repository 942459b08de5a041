package server

import (
	"strings"
	"testing"
	"time"

	"switchyard/proxy/admin"
)

// serveQuiet begins a release that continues by itself, with what a tenant without traffic leads to.
func serveQuiet(t *testing.T, onQuiet string) (*testServer, *staged) {
	t.Parallel()
	text := strings.Replace(stagedTenant(""), "manual", "staged", 1) +
		"hold = \"1m\"\nmax_wait = \"2m\"\nbake = \"3m\"\nstages = [\"1%\", \"50%\"]\non_quiet = \"" + onQuiet + "\"\n"
	s := serveIn(t, time.Hour, text, "a")
	s.expect(`msg":"serving"`, 1)
	r := s.beginRelease("first", nil)
	// The time until now does not count, nor does a last tick of the tenant's goroutine.
	r.mu.Lock()
	r.machine.Held, r.last = 0, time.Now().Add(time.Hour)
	r.mu.Unlock()
	return s, r
}

// pass lets time pass for the release, by ticks of 5 s.
func (r *staged) pass(d time.Duration) {
	const tick = 5 * time.Second // more count as much
	for ; d > 0; d -= tick {
		r.jump(tick)
	}
}

// jump is a tick after the clock jumped by d.
func (r *staged) jump(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(d)
}

// wantStep waits until Serve has carried out a step of the release.
func (s *testServer) wantStep(r *staged, state string, share float64, paused bool) {
	s.t.Helper()
	s.eventually("the release is in "+state, func() bool {
		now := s.state.Release("a").Stage
		return now != nil && now.State == state && now.Share == share && now.Paused == paused
	})
}

// No data is neither success nor failure: a release without traffic pauses, and continues only by an
// operator. A bake needs no traffic, as the operator has let all users in.
func TestQuietTenant(t *testing.T) {
	s, r := serveQuiet(t, "pause")
	r.pass(115 * time.Second)
	s.wantStep(r, "shadow", 0, false)
	r.pass(5 * time.Second)
	s.expect("0 PDUs were weighed in 2m0s,", 1)
	s.wantStep(r, "shadow", 0, true)
	r.pass(time.Hour)
	s.wantStep(r, "shadow", 0, true)
	for _, verb := range []string{admin.Resume, admin.Promote} { // which leads to the same: it waits again
		if err := s.verb(admin.Verb{Name: verb}); err != nil {
			t.Fatal(err)
		}
		r.pass(115 * time.Second)
		if p := r.stage(); p.Paused || p.HeldSeconds != 115 {
			t.Errorf("after %s: %+v", verb, p)
		}
		r.pass(5 * time.Second)
		s.eventually("it is paused again", func() bool { return s.state.Release("a").Stage.Paused })
	}
	if err := s.verb(admin.Verb{Name: admin.Promote, All: true}); err != nil {
		t.Fatal(err)
	}
	r.pass(3 * time.Minute)
	s.expect(`msg":"release done"`, 1)
}

// The configuration may let a release without traffic continue.
func TestQuietTenantProceeds(t *testing.T) {
	s, r := serveQuiet(t, "proceed")
	for _, share := range []float64{0.01, 0.5, 1} {
		r.pass(2 * time.Minute)
		s.eventually("the share is reached", func() bool { now := s.state.Release("a").Stage; return now.Share == share && !now.Paused })
	}
	r.pass(3 * time.Minute)
	s.expect(`msg":"release done"`, 1)
}

// Or be rolled back.
func TestQuietTenantIsRolledBack(t *testing.T) {
	s, r := serveQuiet(t, "roll-back")
	r.pass(2 * time.Minute)
	s.wantRolledBack(r)
	s.expect("0 PDUs were weighed in 2m0s,", 1)
}

// Neither a clock that jumps nor a process that stood still makes a step pass.
func TestClockJumps(t *testing.T) {
	s, r := serveQuiet(t, "proceed")
	for _, d := range []time.Duration{-1000 * time.Hour, 1000 * time.Hour, -time.Hour, time.Hour, 0} {
		r.jump(d)
	}
	s.wantStep(r, "shadow", 0, false)
	if held := r.stage().HeldSeconds; held != 10 {
		t.Errorf("held for %v s, want two ticks of 5 s", held)
	}
	r.pass(50 * time.Second)
	s.wantStep(r, "shadow", 0, false)
	r.pass(60 * time.Second)
	s.wantStep(r, "stage", 0.01, false)
}
