package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/release"
	"switchyard/policy/release/history"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
)

// serveStaged serves tenant a, whose policy comes into force in stages that wait for an operator,
// and begins the release of a policy.
func serveStaged(t *testing.T) (*testServer, *staged) {
	t.Parallel()
	s := serveIn(t, time.Hour, stagedTenant(""), "a")
	s.expect(`msg":"serving"`, 1)
	return s, s.beginRelease("first", nil)
}

// stagedTenant is a configuration with a line more about the tenant.
func stagedTenant(more string) string {
	return "[releases]\nstate = \"state\"\n" + tenants("a") + more + "\n[tenant.a.release]\nmode = \"manual\"\n"
}

// beginRelease saves a policy, and returns its release, which follows another one. The tick of the
// release is off, so that nothing but the test and Serve moves it.
func (s *testServer) beginRelease(policy string, last *staged) *staged {
	s.t.Helper()
	s.savePolicy("a", policy)
	if strings.Contains(policy, "slow") {
		s.endTrial()
	}
	return s.nextRelease(last)
}

// nextRelease waits until a release is published that is not the last one.
func (s *testServer) nextRelease(last *staged) *staged {
	s.t.Helper()
	var r *staged
	s.eventually("another release has begun", func() bool {
		r = s.state.view.Load().about["a"].staged
		return r != nil && r != last
	})
	s.tenants["a"].ticking.Store(nil) // tenants are neither added nor removed meanwhile
	return r
}

func (s *testServer) verb(v admin.Verb) error {
	v.Tenant, v.By = "a", "the test"
	_, err := s.state.Carry(s.t.Context(), v)
	return err
}

// trip is a tripwire on the data path.
func (r *staged) trip() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.split.Trip(policy.TripFault)
}

// wantRolledBack waits until the release has been rolled back, with its candidate held.
func (s *testServer) wantRolledBack(r *staged) {
	s.t.Helper()
	s.expect(`msg":"release rolled back"`, 1)
	if was := s.state.records.Load().State("a"); !was.Holds(&r.to) || was.Underway != nil || !was.InForce.Same(&r.from) {
		s.t.Errorf("the history leads to %+v", was)
	}
}

// lastEntry waits until the tenant's last entry in the history is of that kind, and returns it. On a
// slow disk, a verb is answered before its entry is written.
func (s *testServer) lastEntry(kind history.Kind) (e history.Entry) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("the last entry is %q", kind), func() bool {
		if last := s.state.records.Load().Recent("a", 1); len(last) > 0 {
			e = last[0]
		}
		return e.Kind == kind
	})
	return e
}

// A tripwire ends a release that an operator ends as done before the next tick.
func TestTripBeforePromote(t *testing.T) {
	s, r := serveStaged(t)
	r.trip()
	if err := s.verb(admin.Verb{Name: admin.Promote, All: true}); err == nil || !strings.Contains(err.Error(), release.ErrOver.Error()) {
		t.Errorf("the promotion: %v", err)
	}
	s.wantRolledBack(r)
}

// A tripwire ends a release that is done by itself, before the candidate is in force.
func TestTripBeforeDone(t *testing.T) {
	s, r := serveStaged(t)
	r.mu.Lock()
	r.machine.Handle(release.PromoteAll, "")
	r.machine.Handle(release.PromoteAll, "")
	r.split.Trip(policy.TripFault)
	r.wake()
	r.mu.Unlock()
	s.wantRolledBack(r)
}

// A tripwire before a stop, or while the server drains, is not forgotten with the next start.
func TestTripBeforeStop(t *testing.T) {
	s, r := serveStaged(t)
	r.trip()
	s.state.Drain()
	s.stop(nil)
	s.wantRolledBack(r)
}

// decideDone makes the release decide that the candidate is to be in force, which the server has not
// carried out yet.
func (r *staged) decideDone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.machine.Handle(release.PromoteAll, "")
	r.machine.Handle(release.PromoteAll, "")
}

// What a release has decided by itself is carried out before a stop: a start would continue with a
// release that is over, for ever.
func TestDoneBeforeStop(t *testing.T) {
	s, r := serveStaged(t)
	r.decideDone()
	s.state.Drain()
	s.stop(nil)
	s.expect(`msg":"release done"`, 1)
	if was := s.state.records.Load().State("a"); was.Underway != nil || !was.InForce.Same(&r.to) {
		t.Errorf("the history leads to %+v", was)
	}
}

// A tripwire before both policies are loaded with other limits is not forgotten with the evidence.
func TestTripBeforeOtherLimits(t *testing.T) {
	s, r := serveStaged(t)
	r.trip()
	s.save("config.toml", []byte(stagedTenant(`may = ["broadcast-all"]`)))
	s.wantRolledBack(r)
}

// What the configuration newly allows a release holds at once for the tripwires as well.
func TestOtherBudgetsForTripwires(t *testing.T) {
	s, r := serveStaged(t)
	if got := r.split.Rules(); got.TolerateFaults || got.TolerateCloses || len(got.Accept) > 0 || got.Quota != 20000000 {
		t.Errorf("before: %+v", got)
	}
	s.save("config.toml", []byte(stagedTenant("")+"accept = [\"CID_MSG_DATA\"]\nshadow_fuel = 1000000\nbudget = { faults = \"1%\", closes = \"2%\" }\n"))
	s.eventually("the new rules hold", func() bool {
		got := r.split.Rules()
		return got.TolerateFaults && got.TolerateCloses && got.Accept[pdu.CID_MSG_DATA] && got.Quota == 1000000
	})
}

// A candidate that arrives when another one is to be in force is compared with that.
func TestSupersedeAfterDone(t *testing.T) {
	s, r := serveStaged(t)
	r.decideDone()
	next := s.beginRelease("second", r)
	s.expect(`msg":"release done"`, 1)
	if !next.from.Same(&r.to) {
		t.Errorf("the second release is from %+v", next.from)
	}
}

// A release that begins while an earlier policy is loaded for an operator ends when that is in
// force, and begins again compared with that.
func TestRollbackDuringRelease(t *testing.T) {
	s, r := serveStaged(t)
	r = s.beginRelease("slow", r)
	old := r.to
	for _, policy := range []string{"second", "third"} {
		s.finishRelease()
		r = s.beginRelease(policy, r)
	}
	s.finishRelease()
	s.save("config.toml", []byte(stagedTenant("")+"[wasm]\nfuel = 1234567\n")) // another engine tries the earlier policy again
	s.expect(`msg":"policy reloaded"`, 1)
	back := make(chan error)
	go func() { back <- s.verb(admin.Verb{Name: admin.Rollback, To: old.SHA256}) }()
	s.expectTrial()
	during := s.beginRelease("fourth", r)
	s.endTrial()
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	s.expect(`msg":"release withdrawn"`, 1)
	if next := s.nextRelease(during); !next.from.Same(&old) || !next.to.Same(&during.to) {
		t.Errorf("the next release is from %+v to %+v", next.from, next.to)
	}
}

// expectTrial waits until a policy is being loaded.
func (s *testServer) expectTrial() {
	s.t.Helper()
	s.eventually("a policy is being loaded", func() bool { return s.loading.Load() > 0 })
}

// endTrial lets a policy pass whose trial waits.
func (s *testServer) endTrial() {
	s.t.Helper()
	select {
	case s.end <- wasm.Report{}:
	case <-time.After(time.Minute):
		s.t.Fatalf("no trial waits\n%s", s.log)
	}
}

// finishRelease promotes the release until it is done.
func (s *testServer) finishRelease() {
	s.t.Helper()
	for range 2 { // to bake, and from there
		if err := s.verb(admin.Verb{Name: admin.Promote, All: true}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// A policy that is refused during a release, and whose file is the candidate again, is refused no longer,
// also if the candidate is loaded again with other limits.
func TestRefusedDuringRelease(t *testing.T) {
	s, _ := serveStaged(t)
	s.save("a.wasm", []byte("nonsense"))
	s.expect(`msg":"policy refused`, 1)
	s.savePolicy("a", "first")
	s.expect("the refused policy is gone; its file is the candidate again", 1)
	if got := s.reload().Tenants[0].Result; got != api.Unchanged {
		t.Errorf("the policy is %s", got)
	}

	s.save("a.wasm", []byte("more nonsense"))
	s.expect(`msg":"policy refused`, 2)
	s.save("config.toml", []byte(stagedTenant(`may = ["broadcast-all"]`)))
	s.expect(`msg":"configuration reloaded"`, 1)
	s.savePolicy("a", "first")
	s.expect(`msg":"release continues with other limits"`, 1)
	s.eventually("the refusal is over", func() bool { return s.state.Release("a").Refused == "" })
}
