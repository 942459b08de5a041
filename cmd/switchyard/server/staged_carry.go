package server

import (
	"cmp"
	"log/slog"

	"switchyard/policy"
	"switchyard/policy/release"
	"switchyard/policy/release/history"
	"switchyard/proxy/config"
)

// A release decides in the goroutine of the tenant, and what it decides is carried out by Serve:
//
//	tick ──▶ machine.Tick, changed ──▶ carryReleases ─┐
//	operator, file ──▶ releaseEvent ──────────────────┴▶ carryRelease ──▶ next stage, pause, resume
//	                                                         └──────────▶ endRelease ──▶ the receipt
//
// carryRelease compares the state of the machine with what was carried out last, so it may be called
// once too often, and never misses a change.

// carryReleases carries out what the releases have decided.
func (srv *server) carryReleases() {
	for name, s := range srv.tenants {
		if s.release != nil {
			srv.carryRelease(name, s, byItself, "")
		}
	}
}

// byItself is who causes what no operator and no file does.
var byItself = history.Who{By: "budgets and time"}

// carryRelease installs and records what a tenant's release has decided, or an operator. A tripwire
// counts at once and not with the next tick, so that no candidate is put in force after it.
// why is what the operator says; it is recorded unless the release itself has a reason.
func (srv *server) carryRelease(tenant string, s *served, by history.Who, why string) {
	r := s.release
	r.mu.Lock()
	r.obeyTrip()
	// carried is what was carried out last. A call that finds nothing new does nothing, so it is
	// called whenever something may have changed.
	now, was, reason, progress := r.present(), r.carried, cmp.Or(r.machine.Reason, why), r.progress()
	r.carried = now
	moved := now.state != was.state || now.share != was.share
	if moved && !now.state.Over() {
		s.installStage()
	}
	r.mu.Unlock()
	if now == was {
		return
	}
	if now.state.Over() {
		srv.endRelease(tenant, s, by, reason)
		return
	}
	e := history.Entry{Kind: history.Stage, Tenant: tenant, Release: r.id, From: &r.from, To: &r.to, Who: by, Reason: reason, Stage: progress}
	attrs := []any{"tenant", tenant, "release", r.id, "stage", string(now.state), "share", now.share, "by", by.By}
	if moved {
		srv.log.Info("release stage", append(attrs, srv.records.write(e, history.Receipt{}).attr())...)
	}
	switch {
	case now.paused && !was.paused:
		e.Kind = history.Pause
		srv.log.Warn("release paused", append(attrs, "reason", reason, srv.records.write(e, history.Receipt{}).attr())...)
	case !now.paused && was.paused && !moved:
		e.Kind = history.Resume
		srv.log.Info("release resumed", append(attrs, srv.records.write(e, history.Receipt{}).attr())...)
	}
}

// endRelease puts in force what a release that has ended leads to, and records it with its receipt:
//
//	done                       the candidate
//	rolled back                the stable policy; the candidate is held back from now on
//	withdrawn, superseded      the stable policy
//
// The receipt is taken while the release still holds both policies, whose tables it names.
func (srv *server) endRelease(tenant string, s *served, by history.Who, reason string) {
	r := s.release
	state := r.carried.state
	s.release = nil
	s.ticking.Store(nil)
	before := s.policy
	s.releases[state]++
	s.weighed = r.ownCounts(s.weighed)
	if state == release.Done {
		// The release holds both policies, and gives them back at the end. The one that is in force
		// afterwards is therefore acquired once more.
		r.policies[1].Acquire() // for being in force
		srv.install(s, &load{candidate: r.candidate, engine: r.engine, outcome: outcome{generation: r.policies[1]}})
	} else {
		r.policies[0].Acquire()
		s.active.Install(r.policies[0])
	}
	e := history.Entry{Kind: history.Kind(state), Tenant: tenant, Release: r.id, From: &r.from, To: &r.to, Who: by, Reason: reason}
	if state != release.Done {
		e.From, e.To = &r.to, &r.from
	}
	if state == release.RolledBack {
		e.Held, s.policy.drift = &r.to, driftRolledBack
	}
	receipt, judged := srv.receiptOf(s, r)
	entry := srv.records.write(e, receipt)
	attrs := []any{"tenant", tenant, "release", r.id, "candidate", r.to.Short(), "by", by.By, "reason", reason, "judged_by_candidate", judged, entry.attr()}
	switch state {
	case release.Done:
		srv.announce(tenant, s, "release done", append(attrs[2:], "before", before.FileSHA256)...)
	case release.RolledBack:
		srv.log.Error("release rolled back", attrs...)
	default:
		srv.log.Log(srv.stopper.requested, slog.LevelInfo, "release "+string(state), attrs...)
	}
	if state != release.Done && r.hasChangedPresence() {
		srv.markOutdated(tenant, s)
	}
	for _, g := range r.policies {
		g.Release()
	}
}

// receiptOf returns the receipt of a release that ends, and how many PDUs the candidate decided. The
// receipt has everything by which somebody can judge later whether the decision was right.
func (srv *server) receiptOf(s *served, r *staged) (receipt history.Receipt, judged uint64) {
	receipt = s.receipt(r.policies[1])
	if r.carried.state == release.Done {
		receipt.Before = Summary(r.policies[0])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := make(map[string]bool)
	receipt.Steps, receipt.Judged = r.account()
	for _, step := range receipt.Steps {
		judged += step.ByCandidate
		for _, c := range step.Commands {
			seen[c.Command] = true
		}
	}
	counts := r.counts()
	evidence := r.machine.Plan.Evidence(counts)
	for i, u := range r.machine.Plan.Uses(counts) {
		receipt.Budgets = append(receipt.Budgets, history.BudgetUse{Budget: u.Budget, Used: u.Used, Allowed: u.Allowed, Evidence: evidence[i]})
	}
	for _, signal := range r.signals() {
		if signal.Before+signal.During > 0 {
			receipt.Signals = append(receipt.Signals, history.Signal(signal))
		}
	}
	for _, c := range r.rows.Affected {
		if !seen[c.String()] {
			receipt.Unseen = append(receipt.Unseen, c.String())
		}
	}
	return receipt, judged
}

// releaseEvent hands an event to a tenant's release, and carries out what follows. What the release
// has decided by itself comes first. An error says that it has ended so, or that the event does not
// fit.
func (srv *server) releaseEvent(tenant string, s *served, e release.Event, by history.Who, reason string) error {
	srv.carryRelease(tenant, s, byItself, "")
	r := s.release
	if r == nil {
		return conflict("%v", release.ErrOver)
	}
	r.mu.Lock()
	err := r.machine.Handle(e, reason)
	if err == nil && r.machine.State != release.Done && r.machine.State.Over() {
		r.split.Trip(policy.TripStopped)
	}
	r.mu.Unlock()
	if err == release.ErrOver { // since it was carried out
		srv.carryRelease(tenant, s, byItself, "")
	}
	if err != nil {
		return conflict("%v", err)
	}
	srv.carryRelease(tenant, s, by, reason)
	return nil
}

// replan makes the release of a tenant follow the configuration in force. With release.mode =
// "at-once" it ends soon: the first event goes to bake, the second one ends that.
func (srv *server) replan(t config.Tenant, s *served) {
	r := s.release
	if r == nil {
		return
	}
	if atOnce(t) {
		if srv.releaseEvent(t.Name, s, release.PromoteAll, history.Who{By: "configuration"}, "") == nil && s.release != nil {
			srv.releaseEvent(t.Name, s, release.PromoteAll, history.Who{By: "configuration"}, "")
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.machine.Plan = planOf(t, r.rows, srv.config.WASM.Fuel)
	r.split.SetRules(rulesOf(t.Release, r.rows))
}

// stopReleases records, before the server drains or another process takes over, how far the
// releases are.
func (srv *server) stopReleases(by, reason string) {
	srv.carryReleases() // a start would not know what they have decided
	srv.recordReleases(true, by, reason)
}

// recordReleases records how far the releases are. A start continues with those that were stopped, and
// takes the end of the process for the fault of the others.
func (srv *server) recordReleases(stopped bool, by, reason string) {
	for name, s := range srv.tenants {
		r := s.release
		if r == nil {
			continue
		}
		r.mu.Lock()
		p, counts := r.progress(), r.counts()
		r.mu.Unlock()
		p.Stopped, p.Counts = stopped, &counts
		srv.records.write(history.Entry{Kind: history.Stage, Tenant: name, Release: r.id, From: &r.from, To: &r.to, Stage: p,
			Who: history.Who{By: by}, Reason: reason}, history.Receipt{})
	}
}

// endBreached ends the releases that were breached while the server drained: they do not continue with
// the next start. The others were recorded before.
func (srv *server) endBreached() {
	for name, s := range srv.tenants {
		if r := s.release; r != nil && r.split.Tripped() != policy.NoTrip {
			srv.carryRelease(name, s, byItself, "")
		}
	}
}

// dropRelease gives the policies of a release back without deciding about it: the tenant is closed,
// and the history has how far the release was.
func (s *served) dropRelease() {
	r := s.release
	s.release = nil
	s.ticking.Store(nil)
	for _, g := range r.policies {
		g.Release()
	}
}

// endInterrupted ends the releases during which the process ended without a stop, because the
// candidate may have caused that end.
func (srv *server) endInterrupted() {
	for _, t := range srv.config.Tenants {
		u := srv.records.State(t.Name).Underway
		if u == nil || u.Stopped && t.Release.OnRestart == "resume" {
			continue
		}
		reason := "crash: the process ended in " + u.State
		if u.Stopped {
			reason = "restart: release.on_restart is roll-back"
		}
		srv.rollBackStopped(t.Name, u, history.Who{By: "start"}, reason)
	}
}

// rollBackStopped rolls back a release that does not continue after a stop or an upgrade.
func (srv *server) rollBackStopped(tenant string, u *history.Underway, by history.Who, reason string) {
	entry := srv.records.write(history.Entry{Kind: history.RolledBack, Tenant: tenant, Release: u.Release, From: &u.Candidate, To: srv.records.State(tenant).InForce, Held: &u.Candidate,
		Who: by, Reason: reason}, history.Receipt{})
	srv.log.Error("release rolled back", "tenant", tenant, "release", u.Release, "candidate", u.Candidate.Short(), "by", by.By, "reason", reason, entry.attr())
}

// rollBackWaiting rolls back a release that would continue when its candidate is loaded. The stable
// policy is in force.
func (srv *server) rollBackWaiting(t config.Tenant, s *served, u *history.Underway, by history.Who, reason string) {
	srv.rollBackStopped(t.Name, u, by, reason)
	s.releases[release.RolledBack]++
	srv.reloadPolicy(t, s, true, by) // which finds that the candidate is held back
}
