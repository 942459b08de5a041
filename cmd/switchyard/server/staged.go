package server

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/release"
	"switchyard/policy/release/history"
	"switchyard/policy/wasm"
	"switchyard/proxy"
	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/hub"
)

// A staged is a release of a tenant's policy that is under way: the candidate is compared with the
// stable policy, which stays served.policy until the release is done.
//
//	data path            a tripwire: the stable policy is obeyed from the next PDU on
//	the tenant's tick    tick: takes the time and the counts, and trips if a budget is exceeded
//	Serve                carryRelease: installs the next stage or the end of the release, and records it
//
// So nothing that keeps Serve busy keeps a candidate in force that has failed.
type staged struct {
	// Static after begin.
	tenant    *proxy.Tenant
	id        uint64                // the number of its first entry
	from, to  history.Policy        // stable and candidate
	candidate candidate             // Serve replaces its proof if it is signed again
	engine    *wasm.Engine          // of the candidate
	policies  [2]*policy.Generation // stable and candidate, acquired
	rows      release.Rows
	split     *policy.Split
	before    policy.Weighed // what was counted before a restart
	opened    hub.Counts     // when the first step began
	audit     *policy.Tally  // of the audit that waits for the release; nil if there is none
	audited   uint64         // PDUs in audit then
	signals   func() []release.Signal
	changed   chan<- struct{} // to Serve

	mu      sync.Mutex // guards what follows
	machine *release.Release
	last    time.Time     // of the last tick
	past    []step        // with other limits
	steps   []step        // the present one last; never empty
	seen    carried       // what Serve was woken for
	inForce *policy.Stage // of the present step
	ended   [2]uint64     // sessions that had ended at the last tick, by side
	share   float64       // of the sessions that were open then, those on the candidate's side

	// Owned by Serve.
	carried carried // what is installed and recorded
}

// A step is one state of the release with its counts.
type step struct {
	state     release.State
	share     float64
	effective float64
	begun     time.Time
	tally     *policy.Tally
}

// A carried is the part of a machine's state that Serve carries out.
type carried struct {
	state  release.State
	share  float64
	paused bool
}

// tick takes the time and the counts. It is called once a second by a goroutine of the tenant.
func (r *staged) tick(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now.Sub(r.last))
	r.last = now
}

// advance lets time pass for the release. Called under mu.
func (r *staged) advance(elapsed time.Duration) {
	if r.machine.State.Over() {
		return
	}
	// A trip comes first: the clock of a release that has failed must not end it otherwise.
	if r.obeyTrip(); !r.machine.State.Over() {
		counts := r.counts()
		r.machine.Tick(release.Tick{Elapsed: elapsed, Counts: counts, Signals: r.signals(), Ends: r.ends(counts.Ended)})
	}
	// The data path must not wait for Serve, which may be busy: from now on the stable policy is
	// obeyed.
	if r.machine.State == release.RolledBack {
		r.split.Trip(policy.TripBudget)
	}
	if r.present() != r.seen {
		r.seen = r.present()
		r.wake()
	}
}

// ends returns the sessions that have ended since the last tick, for each side, and which share of
// the sessions was on the candidate's side. If many more of those end, the candidate is suspected.
// Called under mu.
func (r *staged) ends(ended [2]uint64) release.Ends {
	e := release.Ends{Stable: ended[0] - r.ended[0], Candidate: ended[1] - r.ended[1], Share: r.share}
	r.ended, r.share = ended, r.tenant.Hub().CandidateShare(r.inForce)
	return e
}

// obeyTrip ends the release if a tripwire has ended it on the data path, also if it was to be done.
// Called under mu.
func (r *staged) obeyTrip() {
	if trip := r.split.Tripped(); trip != policy.NoTrip {
		r.machine.Handle(release.Trip, tripReason(trip, r.counts())) // which fails if it has ended so
	}
}

// wake makes Serve look.
func (r *staged) wake() { notice(r.changed) }

// present returns the part of the machine's state that Serve carries out. Called under mu.
func (r *staged) present() carried {
	return carried{r.machine.State, r.machine.Share, r.machine.Paused}
}

// counts returns what was counted since the release began. Called under mu.
func (r *staged) counts() policy.Weighed {
	return r.plus(r.before, r.steps)
}

// ownCounts adds what this process has counted, with other limits too, to counts.
func (r *staged) ownCounts(to policy.Weighed) policy.Weighed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.plus(r.plus(to, r.past), r.steps)
}

// allWeighed returns what this process and those before it have counted in releases of the tenant.
func (s *served) allWeighed() *policy.Weighed {
	all := s.weighed
	if s.release != nil {
		all = s.release.ownCounts(all)
	}
	return &all
}

// plus returns counts with those of steps. Called under mu.
func (r *staged) plus(all policy.Weighed, steps []step) policy.Weighed {
	all.Commands = slices.Clone(all.Commands)
	for _, s := range steps {
		all.Add(r.tenant.Hub().Weighed(s.tally))
	}
	return all
}

// open takes the counts with which the release begins, so that its receipt adds up: every PDU that
// was received since then was refused, unstaged, alike, or decided by one of the two. Batches that
// were being judged then belong to no stage yet; audit is the tally of those that an audit counts.
func (r *staged) open(audit *policy.Tally) {
	if r.audit = audit; audit == nil {
		r.opened = r.tenant.Hub().Counts()
		return
	}
	var weighed []policy.Weighed
	r.opened, weighed = r.tenant.Hub().CountsAndWeighed(audit)
	r.audited = pdus(weighed[0])
}

// pdus returns how many PDUs a stage has judged.
func pdus(w policy.Weighed) uint64 { return w.Alike + w.ByStable + w.ByCandidate }

// account returns all steps with their counts, and the sums of the PDUs since the last start, at one
// moment. Called under mu.
func (r *staged) account() (all []history.Step, j *history.Judged) {
	steps := append(slices.Clone(r.past), r.steps...)
	var tallies []*policy.Tally
	for _, step := range steps {
		tallies = append(tallies, step.tally)
	}
	if r.audit != nil {
		tallies = append(tallies, r.audit)
	}
	now, weighed := r.tenant.Hub().CountsAndWeighed(tallies...)
	j = &history.Judged{Received: now.Received - r.opened.Received, Refused: now.Refused - r.opened.Refused, Unstaged: now.Unstaged - r.opened.Unstaged}
	if r.audit != nil {
		j.Unstaged += pdus(weighed[len(steps)]) - r.audited
	}
	if len(r.before.Commands) > 0 {
		all = append(all, history.StepOf("before a restart", 0, 0, time.Time{}, r.before))
	}
	for i, step := range steps {
		j.Alike += weighed[i].Alike
		j.ByStable += weighed[i].ByStable
		j.ByCandidate += weighed[i].ByCandidate
		all = append(all, history.StepOf(string(step.state), step.share, step.effective, step.begun.UTC().Round(time.Millisecond), weighed[i]))
	}
	j.Balance(now.Underway)
	return all, j
}

// tripReason says why a tripwire ended the release.
func tripReason(why policy.Trip, c policy.Weighed) string {
	all := c.Sum()
	switch why {
	case policy.TripFault:
		return fmt.Sprintf("faults: the candidate failed on %d PDUs on which the stable policy does not", all.Faults)
	case policy.TripClose:
		return fmt.Sprintf("closes: the candidate would close the senders of %d PDUs, and the stable policy does not", all.Closes)
	case policy.TripPresence:
		return fmt.Sprintf("presence: on %d PDUs, only one of the policies changes who is present", all.Presence)
	}
	return why.String()
}

// stood returns how long the release has been paused for now.
func (r *staged) stood() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machine.Stood
}

// stage returns how far the release is, for operators: its state, the steps of its plan, what it has
// counted so far, and how much of its budgets that is. Any goroutine may call it.
func (r *staged) stage() *api.ReleaseStage {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, c := r.machine, r.counts()
	all := c.Sum()
	seen := make(map[pdu.CommandID]bool)
	for i := range c.Commands {
		seen[c.Commands[i].Command] = true
	}
	s := &api.ReleaseStage{Candidate: *admin.PolicyOf(&r.to), State: string(m.State), Share: m.Share, Effective: r.steps[len(r.steps)-1].effective, NextUnitAt: r.split.NextUnitAt(),
		Paused: m.Paused, Reason: m.Reason, HeldSeconds: m.Held.Seconds(), Weighed: m.Weighed(), Steps: []api.ReleaseStep{}, Alike: c.Alike, ByStable: c.ByStable, ByCandidate: c.ByCandidate,
		Commands: []string{}, Unseen: []string{},
		Counts: api.ReleaseCounts{PDUs: all.PDUs, Unweighed: all.Unweighed, Differ: all.Differ, Faults: all.Faults, Closes: all.Closes, Undelivered: all.Undelivered,
			Copies: [2]uint64{all.Copies[0].PDUs, all.Copies[1].PDUs}, Bytes: [2]uint64{all.Copies[0].Bytes, all.Copies[1].Bytes}, Fuel: all.Fuel}}
	hold, sample := m.Wants()
	s.HoldSeconds, s.Sample = hold.Seconds(), sample
	steps, present := m.Steps()
	s.Step = max(present, 0)
	for _, step := range steps {
		s.Steps = append(s.Steps, api.ReleaseStep{State: string(step.State), Share: step.Share})
	}
	for _, u := range m.Plan.Uses(c) {
		s.Budgets = append(s.Budgets, api.BudgetUse(u))
	}
	for _, id := range r.rows.Affected {
		s.Commands = append(s.Commands, id.String())
		if !seen[id] {
			s.Unseen = append(s.Unseen, id.String())
		}
	}
	return s
}
