package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/command"
	"switchyard/policy/provenance"
	"switchyard/policy/release"
	"switchyard/policy/release/history"
	"switchyard/policy/table"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// gateRelease is the gate after those of loading, for policies that come into force in stages.
const gateRelease wasm.Gate = "release"

// atOnce reports whether a changed policy of the tenant comes into force without stages.
func atOnce(t config.Tenant) bool { return t.Release.Mode == "at-once" }

// planOf returns how a release of the tenant goes, by its section release. fuel is the limit of a
// decision. The configuration has been checked, so its texts parse.
func planOf(t config.Tenant, rows release.Rows, fuel int64) release.Plan {
	c := t.Release
	p := release.Plan{Shadow: c.Shadow, Hold: time.Duration(c.Hold), Sample: uint64(c.Sample), MaxWait: time.Duration(c.MaxWait), OnQuiet: release.Choice(c.OnQuiet),
		Bake: time.Duration(c.Bake), OnSuspicion: release.Choice(c.OnSuspicion), Manual: c.Mode == "manual", Neutral: len(rows.Affected) == 0,
		Accept: acceptOf(c), Rows: len(rows.Affected), Fuel: uint64(fuel)}
	for _, text := range c.Stages {
		share, _ := config.Percent(text)
		p.Stages = append(p.Stages, share)
	}
	// Presence is common to all users, so no share of them can have another one: after the shadow,
	// all obey.
	p.AtOnce = len(p.Unaccepted(rows.Presence)) > 0
	b := &p.Budget
	b.Faults, _ = config.Percent(c.Budget.Faults)
	b.Closes, _ = config.Percent(c.Budget.Closes)
	b.Undelivered, _ = config.Percent(c.Budget.Undelivered)
	b.Copies, _ = config.More(c.Budget.Copies)
	b.Bytes, _ = config.More(c.Budget.Bytes)
	b.Fuel, _ = config.Times(c.Budget.Fuel)
	return p
}

// acceptOf returns the commands that are meant to change.
func acceptOf(c config.Release) map[pdu.CommandID]bool {
	all := make(map[pdu.CommandID]bool)
	for _, word := range c.Accept {
		r, _ := command.Parse(word)
		for id := uint32(r.Lo); id <= uint32(r.Hi); id++ {
			all[pdu.CommandID(id)] = true
		}
	}
	return all
}

// users says in which field of a body the user is whom a PDU is about. It is found out by the first
// release, because reading the descriptors of all messages takes a part of a short command's time.
var users = sync.OnceValue(table.SplitFields)

// splitOf returns the split of a release: which users, or connections, obey the candidate. The salt
// makes each release begin with other users, and continue with the same ones after a restart.
func (srv *server) splitOf(t config.Tenant, id uint64, policies [2]*policy.Generation, rows release.Rows, least float64) *policy.Split {
	salt := sha256.Sum256(fmt.Appendf(nil, "%s %d", t.Name, id))
	s := &policy.Split{Stable: policies[0], Candidate: policies[1], Salt: binary.BigEndian.Uint64(salt[:]), Users: users(), Fuel: uint64(srv.config.WASM.Fuel)}
	s.SetRules(rulesOf(t.Release, rows))
	if t.Release.Unit == "connection" {
		s.Unit = policy.UnitConnection
	}
	s.GoOn(least)
	return s
}

// rulesOf returns what does not end a release at once. rows are those that the gate has let in.
func rulesOf(c config.Release, rows release.Rows) *policy.Rules {
	faults, _ := config.Percent(c.Budget.Faults)
	closes, _ := config.Percent(c.Budget.Closes)
	r := &policy.Rules{Accept: acceptOf(c), TolerateFaults: faults > 0, TolerateCloses: closes > 0, Quota: c.ShadowFuel}
	for _, id := range rows.Presence {
		r.Accept[id] = true
	}
	return r
}

// isStaged reports whether a policy comes into force in stages: unless the configuration says
// otherwise, every other content than the one in force. A tenant's first policy has nothing to be
// compared with. What a rollback or a kill puts in force, and what ends a kill, comes at once.
func (srv *server) isStaged(t config.Tenant, s *served, c candidate) bool {
	record, _ := recordOf(c)
	now, _ := recordOf(s.policy)
	return !atOnce(t) && c.drift == "" && s.policy.drift != driftKilled && srv.records.State(t.Name).InForce != nil && !record.Same(&now)
}

// releaseSees does what the configuration's policy means for a release that is under way, and
// reports whether that is all. err is why the policy is refused.
//
//	the configuration's policy              what follows
//	refused, and its file is the candidate  the release is rolled back
//	the policy in force                     the release is withdrawn
//	another content                         it is loaded, and supersedes the release
//	the candidate, with other limits        both policies are loaded again
//	the candidate                           nothing
func (srv *server) releaseSees(t config.Tenant, s *served, found candidate, err error, requested bool) bool {
	r := s.release
	if err != nil {
		if gate, ok := errors.AsType[*wasm.GateError](err); ok && slices.Contains([]wasm.Gate{provenance.GatePin, provenance.GateSignature, provenance.GateVersion}, gate.Gate) && srv.fileOf(t) == r.to.SHA256 {
			srv.releaseEvent(t.Name, s, release.Rollback, history.Who{By: "configuration"}, "the candidate is let in no more: "+err.Error())
		}
		return false
	}
	record, _ := recordOf(found)
	switch {
	case record.Same(&r.from):
		srv.releaseEvent(t.Name, s, release.Withdraw, srv.whoSaved(t.Name, found), "the policy in force was put back")
		return false
	case !record.Same(&r.to):
		return false
	case found.may != r.candidate.may || r.engine != srv.engine:
		srv.relimit(t, s, found)
	default:
		r.candidate.proof = found.proof // it may be signed again
		attrs := append([]any{"tenant", t.Name, "release", r.id, "policy", found.Name}, found.sums()...)
		if srv.lastErrors["tenant "+t.Name] != "" {
			srv.log.Info("the refused policy is gone; its file is the candidate again", attrs...)
		} else if requested {
			srv.log.Info("policy unchanged; its release is under way", attrs...)
		}
		srv.reportOnce("", "tenant "+t.Name, nil, false)
	}
	return true
}

// fileOf returns the sum of the file that the tenant's policy names, and of what was fetched from an
// address; "" if it cannot be read.
func (srv *server) fileOf(t config.Tenant) string {
	f, _, _ := srv.checker.Read(t.Policy) // also if its signature cannot be read
	return f.SHA256
}

// relimit loads both policies of a release again, as what they may do or take has changed. The stage
// stays, and the evidence begins again.
func (srv *server) relimit(t config.Tenant, s *served, found candidate) {
	r, engine, stable := s.release, srv.engine, s.policy
	stable.effects, stable.may, stable.groups = found.effects, found.may, found.groups
	// The two loads are one after the other. If the release ends meanwhile, s.release is no longer
	// r, and what was loaded for it is dropped.
	s.next.drop()
	s.next = srv.begin(engine, stable, false, func(before *load) {
		s.next = nil
		if before.err != nil || s.release != r {
			before.drop()
			srv.reportOnce("policy refused; keeping the one in force", "tenant "+t.Name, before.err, false)
			return
		}
		s.next = srv.begin(engine, found, false, func(after *load) {
			after.with = nil
			s.next = nil
			switch {
			case s.release != r:
				before.drop()
				after.drop()
			case after.err != nil:
				if srv.releaseEvent(t.Name, s, release.Rollback, history.Who{By: "configuration"}, "the candidate does not load with the present limits: "+after.err.Error()) == nil {
					before.candidate.drift = s.policy.drift // by the rollback
					srv.install(s, before)
					return
				}
				before.drop()
				srv.checkAgain() // it ended by itself: what is in force needs the limits
			default:
				srv.exchange(t, s, before, after)
			}
		})
		s.next.with = before
	})
}

// exchange continues a release with both policies loaded again. The stage, the share and a pause stay.
// What was counted so far becomes past: it counts for the receipt and not for the budgets, because
// the candidate that it is about could do other things.
func (srv *server) exchange(t config.Tenant, s *served, before, after *load) {
	r := s.release
	r.mu.Lock()
	// The release may have ended by itself while both policies were loaded.
	if r.obeyTrip(); r.machine.State.Over() { // what is in force then needs the limits
		r.mu.Unlock()
		before.drop()
		after.drop()
		srv.carryRelease(t.Name, s, byItself, "")
		srv.checkAgain()
		return
	}
	r.past = append(r.past, r.steps...)
	old, oldSplit := r.policies, r.split
	r.policies, r.candidate, r.engine = [2]*policy.Generation{before.take(), after.take()}, after.candidate, after.engine
	r.rows = release.Compare(r.policies[0], r.policies[1])
	paused, reason := r.machine.Paused, r.machine.Reason
	r.machine = release.Resume(planOf(t, r.rows, srv.config.WASM.Fuel), r.machine.State, r.machine.Share, policy.Weighed{})
	r.machine.Paused, r.machine.Reason = paused, reason
	r.split, r.steps, r.before = srv.splitOf(t, r.id, r.policies, r.rows, oldSplit.LeastShare()), nil, policy.Weighed{}
	s.policy, s.engine = before.candidate, before.engine
	s.installStage()
	if trip := oldSplit.Tripped(); trip != policy.NoTrip { // meanwhile
		r.split.Trip(trip)
	}
	r.mu.Unlock()
	for _, g := range old {
		g.Release()
	}
	srv.reportOnce("", "tenant "+t.Name, nil, false)
	srv.log.Info("release continues with other limits", "tenant", t.Name, "release", r.id, "stage", string(r.carried.state), "share", r.carried.share)
}

// startRelease begins to compare a policy that is loaded with the one in force, or continues with the
// release of it that a stop interrupted. The error is that of the gate. On an error the load still
// owns the policy; otherwise the release does.
//
//	compare     the rows about which the policies differ by ids, or that one of them inspects
//	gate        refuses other commands of presence, unless release.presence allows them
//	supersede   ends the release of an earlier candidate
//	resume      continues an interrupted release of this candidate, with its stage and counts
//	record      writes the history first, whose number becomes that of the release
//	install     a stage of both policies; from then on the tenant's tick calls tick
func (srv *server) startRelease(t config.Tenant, s *served, l *load, by history.Who) error {
	stable := s.active.Acquire()
	defer stable.Release()
	policies := [2]*policy.Generation{stable.Obeyed(policy.Stable), l.generation}
	rows := release.Compare(policies[0], policies[1])
	plan := planOf(t, rows, srv.config.WASM.Fuel)
	if commands := plan.Unaccepted(rows.Presence); len(commands) > 0 && t.Release.Presence == "refuse" {
		return provenance.Refuse(gateRelease, l.candidate.Name, `name these commands in release.accept, or write release.presence = "at-once", so that all users obey it after the shadow`,
			"it handles presence by other commands than the policy in force (%s), and peers announce presence only once", namesOf(commands))
	}
	if s.release != nil && srv.releaseEvent(t.Name, s, release.Supersede, srv.whoSaved(t.Name, l.candidate), "another candidate arrived") != nil {
		return srv.startRelease(t, s, l, by) // it ended by itself, so another policy may be in force
	}
	policies[0].Acquire() // which a generation in force cannot refuse
	l.take()              // it is policies[1] from now on
	from, _ := recordOf(s.policy)
	to, files := recordOf(l.candidate)
	r := &staged{tenant: s.tenant, from: from, to: to, candidate: l.candidate, engine: l.engine, policies: policies, rows: rows, changed: srv.releases, last: time.Now()}
	r.signals = s.releaseSignals()
	least := 0.0
	was := srv.records.State(t.Name).Underway
	if was != nil && was.Candidate.Same(&to) {
		r.id, least = was.Release, was.Least
		if was.Counts != nil {
			r.before = *was.Counts
		}
		r.machine = release.Resume(plan, release.State(was.State), was.Share, r.before)
		r.machine.Paused, r.machine.Reason = was.Paused, was.Reason
	} else {
		if was != nil { // it was interrupted by a stop
			srv.records.write(history.Entry{Kind: history.Superseded, Tenant: t.Name, Release: was.Release, From: &was.Candidate, To: &from,
				Who: srv.whoSaved(t.Name, l.candidate), Reason: "another candidate arrived while the server was stopped"}, history.Receipt{})
		}
		r.machine = release.New(plan)
	}
	r.carried = r.present()
	r.seen = r.carried
	if by.By == "" {
		by = srv.whoSaved(t.Name, l.candidate)
	}
	kind, message := history.Begin, "release begins"
	if r.id != 0 {
		kind, message = history.Stage, "release continues"
	}
	progress := r.progress()
	progress.Least = least
	entry := srv.records.write(history.Entry{Kind: kind, Tenant: t.Name, Release: r.id, From: &from, To: &to, Who: by, Stage: progress}, history.Receipt{}, files...)
	if r.id == 0 {
		r.id = entry.number
	}
	r.split = srv.splitOf(t, r.id, policies, rows, least)
	s.release = r
	r.open(s.active.Audit())
	s.installStage()
	s.ticking.Store(r)
	srv.log.Info(message, append([]any{"tenant", t.Name, "release", r.id, "policy", l.candidate.Name, "stage", string(r.carried.state), "share", r.carried.share,
		"commands", namesOf(rows.Affected), entry.attr()}, l.candidate.sums()...)...)
	return nil
}

// namesOf lists commands for a log line or an error.
func namesOf(commands []pdu.CommandID) string {
	var names []string
	for _, c := range commands {
		names = append(names, c.String())
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// progress returns how far the release is, for the history. Called under mu, or before others know
// the release.
func (r *staged) progress() *history.Progress {
	p := &history.Progress{State: string(r.machine.State), Share: r.machine.Share}
	if r.split != nil {
		p.Least = r.split.LeastShare()
	}
	if r.machine.Paused {
		p.Paused, p.Reason = true, r.machine.Reason
	}
	return p
}

// installStage puts the present stage of the release in force. Called under its mu, or before others
// know the release.
func (s *served) installStage() {
	r := s.release
	next := step{state: r.machine.State, share: r.machine.Share, begun: time.Now(), tally: new(policy.Tally)}
	g := policy.NewStage(r.split, next.share, next.tally)
	r.inForce = g.Stage()
	next.effective = r.inForce.EffectiveShare()
	r.steps = append(r.steps, next)
	s.active.Install(g)
	r.ends(r.counts().Ended) // what ended since the last tick cannot be attributed to one of two steps
}
