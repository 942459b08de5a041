package server

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchyard/policy"
	"switchyard/policy/release"
	"switchyard/policy/release/history"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/config"
)

// What operators do to a tenant's policy. The goroutine of Serve carries it out, which loads
// nothing itself and so never keeps a request waiting:
//
//	carry ──▶ rollback ──▶ the previous policy is still loaded ──────▶ install ──▶ answerVerbs
//	     │             └─▶ s.back: an earlier one loads ──▶ goBack ─▶ install ──▶ answerVerbs
//	     └──▶ kill, retry, revive ──▶ reloadPolicy ──▶ s.next ──▶ swapPolicy ───▶ answerVerbs

// An earlier is the policy that was in force before the present one. It stays loaded, so that going
// back to it takes no time.
type earlier struct {
	policy     candidate
	engine     *wasm.Engine
	generation *policy.Generation // acquired; nil if there is none
	since      time.Time          // when the present one replaced it
}

// warmEvery is how often the policies before are looked at.
const warmEvery = time.Minute

// releaseEarlier gives back the policies that were replaced longer than release.warm ago, with their
// compiled code and instances. A rollback then loads the file, which the history keeps.
func (srv *server) releaseEarlier(now time.Time) {
	for name, s := range srv.tenants {
		if t, ok := srv.config.Tenant(name); ok && now.Sub(s.before.since) > time.Duration(t.Release.Warm) {
			s.before.release()
		}
	}
}

// release gives the generation back.
func (e *earlier) release() {
	if e.generation != nil {
		e.generation.Release()
	}
	*e = earlier{}
}

// install puts a policy in force that is loaded, and keeps the one before for a rollback. One swap of
// a pointer does it: PDUs that are being judged finish with the old generation, and all later ones go
// to the new one. Whoever calls it writes the history and the log.
func (srv *server) install(s *served, l *load) {
	s.before.release()
	// During an audit or a stage, what is in force is a generation made of two. What a rollback goes
	// back to is the stable one alone.
	now := s.active.Acquire()
	before := now.Obeyed(policy.Stable) // without what is compared with it
	before.Acquire()
	now.Release()
	s.before = earlier{s.policy, s.engine, before, time.Now()}
	s.policy, s.engine, s.loadTime = l.candidate, l.engine, l.took
	s.active.Install(l.take())
	s.tenant.ForgetOutdated()
}

// warnDrift logs that the policy in force is not the one that belongs there, unless that was so
// before: was is why. Each line says how an operator ends it.
func (srv *server) warnDrift(tenant string, inForce candidate, was string) {
	if inForce.drift == was {
		return
	}
	switch inForce.drift {
	case driftRolledBack:
		srv.log.Warn("policy held back: it was rolled back before; change it, or allow it with 'switchyard policy retry'", "tenant", tenant, "in_force", inForce.FileSHA256)
	case driftLost:
		srv.log.Warn("the policy in force was not compared with the one before, which is lost; accept it with 'switchyard policy retry'", "tenant", tenant, "in_force", inForce.FileSHA256)
	case driftKilled:
		srv.log.Warn("policy held back: the tenant's policy was killed; end that with 'switchyard policy revive'", "tenant", tenant, "in_force", inForce.FileSHA256)
	}
}

// A verbRequest is a request of an operator about one tenant's policy.
type verbRequest struct {
	admin.Verb
	replies chan reply[api.Release] // holds one
}

// carry begins to carry out a request. answerVerbs answers it.
func (srv *server) carry(r verbRequest) {
	if err := srv.do(r.Verb); err != nil {
		r.replies <- reply[api.Release]{err: err}
		return
	}
	srv.verbs = append(srv.verbs, r)
}

// answerVerbs answers the requests about policies whose tenants have nothing left to load. A stop
// answers them all. What answers a request is the state of its tenant, not a particular load: that
// load may have been replaced by another one, after a file was saved.
func (srv *server) answerVerbs(stopping bool) {
	srv.verbs = slices.DeleteFunc(srv.verbs, func(r verbRequest) bool {
		s, fault := srv.tenants[r.Tenant], ""
		if r.Name == admin.Retry || r.Name == admin.Revive { // which put in force what the configuration names
			fault = srv.lastErrors["tenant "+r.Tenant]
		}
		switch {
		case s == nil:
			r.replies <- reply[api.Release]{err: conflict("the tenant was removed meanwhile")}
		case s.next == nil && s.back == nil && fault != "":
			r.replies <- reply[api.Release]{err: errors.New(fault)}
		case s.next == nil && s.back == nil:
			r.replies <- reply[api.Release]{result: srv.state.Release(r.Tenant)}
		case stopping:
			r.replies <- reply[api.Release]{err: admin.ErrStopping}
		default:
			return false
		}
		return true
	})
}

// do begins to carry out a verb. The error is an admin.Conflict if the verb does not fit what is in
// force.
func (srv *server) do(v admin.Verb) error {
	t, ok := srv.config.Tenant(v.Tenant)
	s := srv.tenants[v.Tenant]
	if !ok || s == nil {
		return conflict("the tenant was removed meanwhile")
	}
	// A release is under way also while its candidate is being loaded after a start: then only the
	// history knows it.
	state := srv.records.State(v.Tenant)
	present, isUnderWay := state.Release, s.release != nil || state.Underway != nil
	switch {
	case s.release != nil:
		present = s.release.id
	case isUnderWay:
		present = state.Underway.Release
	}
	if v.Release != 0 && v.Release != present {
		return conflict("release %d is not the present one, which is %d; look again with 'switchyard policy status'", v.Release, present)
	}
	if v.Name == admin.Rollback && v.Reconnect && v.To == "" && !isUnderWay && isRolledBack(s, state) {
		srv.reconnect(s, v)
		return nil
	}
	// After a kill nothing but revive and, above, the reconnection of peers makes sense.
	if state.Killed && v.Name != admin.Revive {
		return conflict("the tenant's policy was killed; end that first, with 'switchyard policy revive'")
	}
	if e, ok := releaseEventOf(v); ok && isUnderWay {
		return srv.carryEvent(t, s, state.Underway, e, v)
	}
	switch v.Name {
	case admin.Rollback:
		if isUnderWay {
			return conflict("release %d is under way; roll that back first, without --to", present)
		}
		return srv.rollback(t, s, state, v)
	case admin.Retry:
		return srv.retry(t, s, state, v)
	case admin.Kill:
		return srv.kill(t, s, state, v)
	case admin.Revive:
		return srv.revive(t, s, state, v)
	}
	return conflict("no release is under way")
}

// carryEvent carries out a verb about the release that is under way. After a start or an upgrade that
// waits until its candidate is loaded; u is what the history says of it.
func (srv *server) carryEvent(t config.Tenant, s *served, u *history.Underway, e release.Event, v admin.Verb) error {
	switch {
	case s.release != nil:
		if err := srv.releaseEvent(t.Name, s, e, history.Who{By: v.By}, v.Reason); err != nil {
			return err
		}
	case e == release.Rollback:
		srv.rollBackWaiting(t, s, u, history.Who{By: v.By}, v.Reason)
	default:
		return conflict("release %d continues when its candidate is loaded; do that then, or end it with 'switchyard policy rollback'", u.Release)
	}
	if v.Reconnect {
		srv.reconnect(s, v)
	}
	return nil
}

// releaseEventOf returns the event of a verb for a release that is under way.
func releaseEventOf(v admin.Verb) (e release.Event, ok bool) {
	switch {
	case v.Name == admin.Promote && v.All:
		return release.PromoteAll, true
	case v.Name == admin.Promote:
		return release.Promote, true
	case v.Name == admin.Pause:
		return release.Pause, true
	case v.Name == admin.Resume:
		return release.Continue, true
	case v.Name == admin.Rollback && v.To == "":
		return release.Rollback, true
	}
	return "", false
}

// conflict returns the error of a verb that does not fit what is in force. Nothing was changed.
func conflict(format string, args ...any) error {
	return admin.Conflict{Text: fmt.Sprintf(format, args...)}
}

// rollback puts an earlier policy in force: at once if it is the one before, which is still loaded,
// else when it is loaded.
func (srv *server) rollback(t config.Tenant, s *served, was history.Tenant, v admin.Verb) error {
	to, err := target(was, v.To)
	if err != nil {
		return err
	}
	if s.back != nil {
		return conflict("another rollback of this tenant is being carried out; wait for it, or put the shipped policy in force with 'switchyard policy kill'")
	}
	if warm := srv.warm(t, s, to); warm != nil {
		srv.goBack(t.Name, s, was.InForce, to, v, warm)
		return nil
	}
	c, err := srv.earlier(srv.checker, t, to)
	if err != nil {
		return fmt.Errorf("go back to policy %s: %w", to.Short(), err)
	}
	s.back = srv.begin(srv.engine, c, true, func(l *load) { srv.goBack(t.Name, s, was.InForce, to, v, l) })
	return nil
}

// target finds the policy that a rollback goes to: the last one, or that with the SHA-256, its
// beginning, or the signed version that to is.
//
//	to          the policy
//	""          the one before
//	"1fbdb280"  the one whose SHA-256 begins so
//	"7", "v7"   the one with this signed version
func target(was history.Tenant, to string) (*history.Policy, error) {
	if to == "" {
		if len(was.Previous) == 0 {
			return nil, conflict("there is no policy to go back to: no other was in force before")
		}
		return &was.Previous[len(was.Previous)-1], nil
	}
	// A shorter beginning could fit a policy by chance, or be meant as a version.
	const least = 8 // hex digits
	// A text of digits may be both a version and the beginning of a SHA-256.
	version, _ := strconv.ParseUint(strings.TrimPrefix(to, "v"), 10, 64)
	kept := slices.Concat(was.Held, was.Previous)
	var found *history.Policy
	for i, p := range kept {
		fits := len(to) >= least && strings.HasPrefix(p.SHA256, strings.ToLower(to)) || version > 0 && p.Version == version
		if !fits || p.Same(found) {
			continue
		}
		if found != nil {
			return nil, conflict("%.64q fits several policies that are kept; write more of the SHA-256", to)
		}
		found = &kept[i]
	}
	if found == nil && version == 0 && len(to) < least {
		return nil, conflict("%q is not a version and too short for a SHA-256; write at least %d digits of that", to, least)
	}
	if found == nil {
		return nil, conflict("no policy that was in force and is kept has %.64q as its version or as the beginning of its SHA-256", to)
	}
	return found, nil
}

// warm returns the previous policy if it is that one, still loaded and with the present limits; else
// nil. With other limits, groups or wasm settings it would have to be loaded again.
func (srv *server) warm(t config.Tenant, s *served, to *history.Policy) *load {
	limits, err := limited(t)
	record, _ := recordOf(s.before.policy)
	if err != nil || s.before.generation == nil || !record.Same(to) || s.before.engine != srv.engine || s.before.policy.may != limits.may || len(lackedGroups(s.before.generation, limits.groups)) > 0 {
		return nil
	}
	l := &load{candidate: s.before.policy, engine: s.before.engine, ended: true, outcome: outcome{generation: s.before.generation}}
	l.candidate.drift = driftRolledBack
	s.before = earlier{} // its use becomes that of being in force
	return l
}

// goBack puts an earlier policy in force that is loaded. What was in force is skipped from then on.
func (srv *server) goBack(tenant string, s *served, from, to *history.Policy, v admin.Verb, l *load) {
	s.back = nil
	if l.err == nil && s.release != nil { // it began while that was loaded
		srv.releaseEvent(tenant, s, release.Withdraw, history.Who{By: v.By}, "an earlier policy was put in force")
	}
	// Loading took a while, in which another policy may have come into force.
	now := srv.records.State(tenant)
	switch {
	case l.err != nil:
		srv.fail(v, fmt.Errorf("go back to policy %s: %w", to.Short(), l.err))
		return
	case now.Killed || !now.InForce.Same(from):
		l.drop()
		srv.fail(v, conflict("another policy came into force while %s was loaded; look again with 'switchyard policy status'", to.Short()))
		return
	}
	srv.install(s, l)
	entry := srv.records.write(history.Entry{Kind: history.RolledBack, Tenant: tenant, From: from, To: to, Held: from,
		Who: history.Who{By: v.By}, Reason: v.Reason}, s.receipt(s.before.generation))
	srv.log.Warn("policy rolled back", "tenant", tenant, "from", from.Short(), "to", to.Short(), "by", v.By, "reason", v.Reason, entry.attr())
	srv.announce(tenant, s, "policy in force", entry.attr())
	srv.checkAgain() // the configuration may name that policy already
	if s.hasChangedPresence() {
		srv.markOutdated(tenant, s)
	}
	if v.Reconnect {
		srv.reconnect(s, v)
	}
}

// fail answers the requests of a verb that could not be carried out: those that answerVerbs would
// answer as if it had been.
func (srv *server) fail(v admin.Verb, err error) {
	srv.verbs = slices.DeleteFunc(srv.verbs, func(r verbRequest) bool {
		if r.Verb == v {
			r.replies <- reply[api.Release]{err: err}
		}
		return r.Verb == v
	})
}

// retry allows what was rolled back, and loads what the configuration names.
func (srv *server) retry(t config.Tenant, s *served, was history.Tenant, v admin.Verb) error {
	if len(was.Held) == 0 && !was.Lost {
		return conflict("nothing is held back")
	}
	entry := srv.records.write(history.Entry{Kind: history.Retry, Tenant: t.Name, Who: history.Who{By: v.By}, Reason: v.Reason}, history.Receipt{})
	srv.log.Info("policy is tried again", "tenant", t.Name, "by", v.By, "reason", v.Reason, entry.attr())
	srv.reloadPolicy(t, s, true, history.Who{By: v.By})
	return nil
}

// kill puts the shipped policy in force until revive.
func (srv *server) kill(t config.Tenant, s *served, was history.Tenant, v admin.Verb) error {
	c, err := shippedPolicy(t)
	if err != nil {
		return err
	}
	if s.release != nil {
		srv.releaseEvent(t.Name, s, release.Withdraw, history.Who{By: v.By}, "the tenant's policy was killed")
	}
	to, files := recordOf(c)
	entry := srv.records.write(history.Entry{Kind: history.Kill, Tenant: t.Name, From: was.InForce, To: &to, Who: history.Who{By: v.By}, Reason: v.Reason},
		s.receipt(nil), files...)
	srv.log.Warn("policy killed; the shipped one is in force", "tenant", t.Name, "by", v.By, "reason", v.Reason, entry.attr())
	s.back.drop()
	s.back = nil
	srv.replace(t.Name, s, c, true, history.Who{})
	return nil
}

// revive ends a kill: what belongs in force otherwise is in force again.
func (srv *server) revive(t config.Tenant, s *served, was history.Tenant, v admin.Verb) error {
	if !was.Killed {
		return conflict("the tenant's policy was not killed")
	}
	from, _ := recordOf(s.policy)
	entry := srv.records.write(history.Entry{Kind: history.Revive, Tenant: t.Name, From: &from, To: was.InForce, Who: history.Who{By: v.By}, Reason: v.Reason}, s.receipt(nil))
	srv.log.Info("policy revived", "tenant", t.Name, "by", v.By, "reason", v.Reason, entry.attr())
	srv.reloadPolicy(t, s, true, history.Who{By: v.By})
	return nil
}
