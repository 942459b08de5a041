package server

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"switchyard/policy/release/history"
	"switchyard/policy/wasm"
	"switchyard/proxy/config"
)

// reload reads the configuration, certificates and policies again, and puts in force what
// changed and is sound, now or when it is loaded. What is refused changes nothing. requested: an
// operator asked for the reload, so results are logged even if they are unchanged. A stop ends the
// reload between two files.
func (srv *server) reload(requested bool) {
	defer srv.readingAll()()
	requested, srv.postponed = requested || srv.postponed, false
	if srv.starting != nil {
		srv.missed = true // a changed configuration waits for the start of the present one
	} else {
		srv.reloadConfiguration(requested)
	}
	// A refused configuration, and one whose policies are being loaded, do not keep changed
	// certificates and policies from loading.
	srv.reloadFiles(requested)
}

// reloadConfiguration reads the configuration and puts it in force, or begins to load what it
// needs for that.
func (srv *server) reloadConfiguration(requested bool) {
	c, _, err := srv.load()
	srv.offered = c
	srv.watchBases() // before the files that it names are read, so that no change in between is missed
	if err == nil {
		srv.follow(srv.config, c)
		if !srv.isFetched() { // noticeFetched continues here
			srv.postponed = requested
			return
		}
	}
	// The same content is being loaded already, and continues.
	if err == nil && srv.next.isFor(c, requested) {
		return
	}
	// Another configuration was saved before that one was loaded, which nobody wants any more.
	if srv.next != nil {
		srv.next.rollback()
		srv.next = nil
	}
	if err == nil {
		srv.next = srv.plan(c, srv.engineFor(c), requested, false, srv.planned)
		if srv.next.isLoading() {
			return
		}
		err = srv.apply()
	}
	srv.configured(err, requested)
}

// planned is called when a policy of a plan is loaded. With the last one, the plan takes effect.
func (srv *server) planned(p *plan, _ config.Tenant) {
	if p.isLoading() {
		return
	}
	srv.configured(srv.apply(), p.requested)
	srv.reloadFiles(p.requested)
}

// configured records that a configuration is in force, or was refused. Everything that a reload leads
// to passes here once, so that counts, marks and the log agree.
func (srv *server) configured(err error, requested bool) {
	if errors.Is(err, errStopping) {
		return
	}
	srv.state.countReload(err)
	srv.markReload(err, requested)
	if err == nil {
		srv.offered = nil
		srv.follow(srv.config)
	}
	srv.forget()
	srv.reportOnce("configuration refused; keeping the one in force", "configuration", err, requested)
}

// reloadFiles reads certificates and policies of the configuration in force again.
func (srv *server) reloadFiles(requested bool) {
	// The order is that of dependence: certificates stand alone, a release follows the configuration
	// before its policy is looked at, and what is audited is compared with the policy.
	srv.watchBases() // before the files are read, so that no change in between is missed
	certificates := srv.certificates()
	for _, name := range slices.Sorted(maps.Keys(certificates)) {
		srv.reloadCertificate(name, certificates[name], requested)
	}
	for _, t := range srv.config.Tenants {
		if srv.stopper.isRequested() {
			return
		}
		if s := srv.tenants[t.Name]; s != nil {
			srv.replan(t, s)
			srv.reloadPolicy(t, s, requested, history.Who{})
			srv.reloadAudit(t, s, requested)
		}
	}
}

// reportOnce logs an error, unless it is the last one about the same thing and the reload was
// not requested. A nil error clears the last one. An error that a stop
// caused is ignored.
func (srv *server) reportOnce(message, about string, err error, requested bool) {
	if errors.Is(err, errStopping) {
		return
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if err != nil && (requested || srv.lastErrors[about] != text) {
		srv.log.Error(message, "about", about, "error", text)
	}
	srv.lastErrors[about] = text
}

// warn logs, once each, the warnings about signatures of policies and certificates in force. It
// runs after everything that Serve handles, as time alone can cause a warning.
func (srv *server) warn() {
	warned := make(map[string]string)
	isNew := func(about, text string) bool {
		warned[about] = text
		return text != "" && srv.warned[about] != text
	}
	for name, s := range srv.tenants {
		if text := strings.Join(s.policy.proof.Warnings(time.Now()), "; "); isNew("tenant "+name, text) {
			srv.log.Warn("about the policy in force", "tenant", name, "policy", s.policy.Name, "warning", text)
		}
	}
	for name, source := range srv.certificates() {
		if text := strings.Join(source.Warnings(), "; "); isNew("listener "+name, text) {
			srv.log.Warn("about the certificate in force", "listener", name, "warning", text)
		}
	}
	srv.warned = warned
}

// changed reports whether a section differs between two configurations, of which those keys do.
func changed(keys []string, section string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, section+".") })
}

// engineFor returns the engine for the policies of a configuration: another one only if its limits
// changed, because all policies are then loaded again.
func (srv *server) engineFor(c *config.Config) *wasm.Engine {
	if live, _ := config.Changes(srv.config, c); changed(live, "wasm") {
		return srv.newEngine(c)
	}
	return srv.engine
}

// apply puts the next configuration in force, whose policies are loaded, except for changed
// policies of existing tenants. An error has changed nothing.
func (srv *server) apply() error {
	p := srv.next
	srv.next = nil
	// restart has the keys that this reload changed in vain, which are logged now. waiting has all
	// that differ from what the process started with, which operators see until the restart.
	live, restart := config.Changes(srv.config, p.config)
	_, waiting := config.Changes(srv.began, p.config)
	p.config.Cluster = srv.config.Cluster // its keys wait for a restart, also for tenants that are added now
	if err := p.prepare(); err != nil {
		p.rollback()
		return err
	}
	srv.engine = p.engine
	p.config.Commands.Set.Use()
	srv.noteChanges(live, waiting)
	if len(restart) > 0 {
		srv.log.Warn("these changes take effect after a restart", "keys", restart)
	}
	// Only keys that wait for a restart differ, or none.
	if len(live) == 0 {
		srv.config, srv.checker = p.config, p.checker
		if srv.lastErrors["configuration"] != "" {
			srv.log.Info("the refused configuration is gone; nothing changed")
		}
		return nil
	}
	p.commit()
	for _, t := range p.config.Tenants {
		served := srv.tenants[t.Name].tenant
		// Tenants that were there before keep their hub and their sessions; what applies to them is
		// exchanged.
		served.SetLimits(limitsOf(p.config, t))
		served.SetGroups(groupsOf(t))
	}
	srv.watch(changed(live, "reload"))
	srv.log.Info("configuration reloaded", "changed", live) // before the level changes, so that it is logged
	srv.level.Set(levelOf(p.config.Log))
	return nil
}

// reloadPolicy begins to load the tenant's policy if it differs from the one in force. by caused
// that; without a name, its files did.
//
//	what wanted finds            is being loaded already   continues with that
//	                             the one in force          keepPolicy
//	                             another                   replace ─▶ swapPolicy
//	an error                                               refuse: the one in force stays
//
// A load of something else is dropped, as its file has been replaced.
func (srv *server) reloadPolicy(t config.Tenant, s *served, requested bool, by history.Who) {
	read := srv.readingPolicy(t.Policy)
	found, err := srv.wanted(srv.checker, t, s)
	read()
	if s.release != nil && srv.releaseSees(t, s, found, err, requested) {
		return
	}
	if err == nil && s.next.joins(found, srv.engine, requested) {
		return
	}
	switch {
	case err == nil && !(found.same(s.policy) && s.engine == srv.engine):
		srv.replace(t.Name, s, found, requested, by)
		return
	case err == nil:
		srv.keepPolicy(t, s, found, requested)
	default:
		srv.refuse(t, s, found, err, requested)
	}
	s.next.drop()
	s.next = nil
}

// replace begins to load a policy that is to replace the tenant's. by caused that, for the history.
func (srv *server) replace(tenant string, s *served, c candidate, requested bool, by history.Who) {
	s.next.drop()
	s.next = srv.begin(srv.engine, c, requested, func(l *load) { srv.swapPolicy(tenant, s, l, by) })
}

// keepPolicy is a reload that found the policy in force.
func (srv *server) keepPolicy(t config.Tenant, s *served, found candidate, requested bool) {
	about := "tenant " + t.Name
	refused, signed := srv.lastErrors[about] != "", !found.proof.Same(s.policy.proof)
	// A release that a stop interrupted is withdrawn if the policy in force is what the file has
	// again.
	if u := srv.records.State(t.Name).Underway; u != nil && s.release == nil && found.drift == "" && found.kept == "" {
		srv.records.write(history.Entry{Kind: history.Withdrawn, Tenant: t.Name, Release: u.Release, From: &u.Candidate, To: srv.records.State(t.Name).InForce,
			Who: srv.whoSaved(t.Name, found), Reason: "the policy in force was put back while the server was stopped"}, history.Receipt{})
	}
	was := s.policy.drift
	s.policy.proof, s.policy.drift = found.proof, found.drift
	srv.warnDrift(t.Name, s.policy, was)
	srv.recordVersion(t.Name, s)
	srv.reportOnce("", about, nil, false)
	switch {
	case signed:
		srv.confirm(t.Name, s, "policy signed again; it stays in force")
	case refused:
		srv.confirm(t.Name, s, "the refused policy is gone; its file is the one in force again")
	case requested:
		srv.log.Info("policy unchanged", append([]any{"tenant", t.Name, "policy", found.Name}, found.sums()...)...)
	}
}

// refuse reports that a tenant's policy is refused; the one in force stays in force. The same file is
// counted and recorded once, however often it is read.
func (srv *server) refuse(t config.Tenant, s *served, found candidate, err error, requested bool) {
	about := "tenant " + t.Name
	again := srv.lastErrors[about] == err.Error() && s.refused == found.FileSHA256
	s.refused = found.FileSHA256
	if !again {
		srv.state.history.Refused(t.Name, t.Policy, found.FileSHA256, err)
		srv.recordRefused(t, found, err)
	}
	srv.reportOnce("policy refused; keeping the one in force", about, err, requested || !again)
}

// confirm logs and records that the policy in force stays so, with new facts about it.
func (srv *server) confirm(tenant string, s *served, message string) {
	g := s.active.Acquire()
	defer g.Release()
	srv.state.history.Confirmed(tenant, g, eventOf(g, s))
	attrs := append([]any{"tenant", tenant, "policy", s.policy.Name}, s.policy.sums()...)
	if p := s.policy.proof; p.Verified() {
		attrs = append(attrs, "version", p.Statement.Version, "signers", p.Signers, "expires", p.Statement.Expires.UTC().Format(time.RFC3339))
	}
	srv.log.Info(message, attrs...)
}

// swapPolicy puts a policy in force that was loaded for the tenant:
//
//	it was refused                        refuse: the one in force stays
//	it no longer belongs in force         what does is found again
//	it comes into force in stages         startRelease; the stable policy stays in force
//	else                                  install
//
// What is audited is compared with the policy in force, so that begins after it.
func (srv *server) swapPolicy(tenant string, s *served, l *load, by history.Who) {
	s.next = nil
	t, _ := srv.config.Tenant(tenant)
	switch {
	case l.err != nil:
		srv.refuse(t, s, l.candidate, l.err, l.requested)
	case !srv.isWanted(tenant, l.candidate): // an operator went back to another one meanwhile
		l.drop()
		srv.reloadPolicy(t, s, l.requested, by)
		return
	case srv.isStaged(t, s, l.candidate):
		if err := srv.startRelease(t, s, l, by); err != nil {
			l.drop()
			srv.refuse(t, s, l.candidate, err, l.requested)
			return
		}
		srv.reportOnce("", "tenant "+t.Name, nil, false)
		return
	default:
		start, before := time.Now(), s.policy
		srv.install(s, l)
		took := (l.took + time.Since(start)).Round(time.Microsecond)
		entry := srv.recordInForce(tenant, s, s.before.generation, by)
		srv.announce(t.Name, s, "policy reloaded", "before", before.FileSHA256, "took", took.String(), entry.attr())
		srv.warnDrift(tenant, s.policy, before.drift)
		if before.drift == driftKilled {
			srv.checkAgain() // the configuration may name a candidate
		}
		if s.policy.drift == driftKilled && s.hasChangedPresence() {
			srv.markOutdated(tenant, s)
		}
		srv.reportOnce("", "tenant "+t.Name, nil, false)
	}
	srv.reloadAudit(t, s, l.requested)
}

// forget removes the last errors about tenants and certificates that are no longer in force.
func (srv *server) forget() {
	known := map[string]bool{"configuration": true}
	for _, t := range srv.config.Tenants {
		known["tenant "+t.Name], known["audit of tenant "+t.Name] = true, true
	}
	for name := range srv.certificates() {
		known[certificateOf(name)] = true
	}
	maps.DeleteFunc(srv.lastErrors, func(about, _ string) bool { return !known[about] })
}
