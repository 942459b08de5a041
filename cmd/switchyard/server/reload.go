package server

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/proxy/config"
	"switchyard/proxy/config/watch"
)

// reload reads the configuration, certificates and policies again, and puts in force what
// changed and is sound. What is refused changes nothing. requested: an operator asked for the
// reload, so results are logged even if they are unchanged. A stop ends the reload between two
// files, and whatever it is loading.
func (srv *server) reload(requested bool) {
	c, _, err := srv.load()
	if err == nil {
		err = srv.apply(c)
	}
	if srv.stopper.isRequested() {
		return
	}
	srv.state.countReload(err)
	// A refused configuration does not keep changed certificates and policies from loading.
	srv.forget()
	srv.reportOnce("configuration refused; the one in force goes on", "configuration", err, requested)
	for _, l := range srv.config.Listeners {
		srv.reloadCertificate(l.Name, srv.listeners[l.Name], requested)
	}
	for _, t := range srv.config.Tenants {
		if srv.stopper.isRequested() {
			return
		}
		srv.reloadPolicy(t, srv.tenants[t.Name], requested)
		srv.reloadAudit(t, srv.tenants[t.Name], requested)
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

// warn logs, once each, the warnings about signatures of policies and certificates in force.
func (srv *server) warn() {
	for name, s := range srv.tenants {
		about, text := "signature of tenant "+name, strings.Join(s.policy.proof.Warnings(time.Now()), "; ")
		if text != "" && srv.lastErrors[about] != text {
			srv.log.Warn("about the policy in force", "tenant", name, "policy", s.policy.Name, "warning", text)
		}
		srv.lastErrors[about] = text
	}
	const certificates = "certificate in force of listener "
	maps.DeleteFunc(srv.lastErrors, func(about, _ string) bool {
		return strings.HasPrefix(about, certificates) && srv.listeners[about[len(certificates):]] == nil
	})
	for name, l := range srv.listeners {
		about, text := certificates+name, ""
		if l.source != nil {
			text = strings.Join(l.source.Warnings(), "; ")
		}
		if text != "" && srv.lastErrors[about] != text {
			srv.log.Warn("about the certificate in force", "listener", name, "warning", text)
		}
		srv.lastErrors[about] = text
	}
}

// apply puts the configuration in force, except for changed policies of existing tenants. An
// error has changed nothing.
func (srv *server) apply(c *config.Config) error {
	live, restart := config.Changes(srv.config, c)
	changed := func(section string) bool {
		return slices.ContainsFunc(live, func(key string) bool { return strings.HasPrefix(key, section+".") })
	}
	engine := srv.engine()
	if changed("wasm") {
		engine = srv.newEngine(c)
	}
	p, err := srv.plan(c, engine)
	if err != nil {
		if engine != srv.engine() {
			engine.Close()
		}
		return err
	}
	if engine != srv.engine() {
		srv.engines = append(srv.engines, engine)
	}
	if len(restart) > 0 {
		srv.log.Warn("these changes take effect after a restart", "keys", restart)
	}
	if len(live) == 0 {
		srv.config, srv.checker = c, p.checker
		return nil
	}
	p.commit()
	for _, t := range c.Tenants {
		srv.tenants[t.Name].tenant.SetLimits(limitsOf(c, t))
	}
	srv.watch(changed("reload"))
	srv.log.Info("configuration reloaded", "changed", live) // before the level changes, so that it is logged
	srv.level.Set(levelOf(c.Log))
	return nil
}

// reloadPolicy loads the tenant's policy if it differs from the one in force, and swaps it in.
func (srv *server) reloadPolicy(t config.Tenant, s *served, requested bool) {
	about := "tenant " + t.Name
	found, err := findPolicy(srv.checker, t)
	if err == nil && found.same(s.policy) && s.engine == srv.engine() {
		refused, signed := srv.lastErrors[about] != "", !found.proof.Same(s.policy.proof)
		s.policy.proof = found.proof
		srv.recordVersion(t.Name, s)
		srv.reportOnce("", about, nil, false)
		switch {
		case signed:
			srv.confirm(t.Name, s, "policy signed anew; it stays in force")
		case refused:
			srv.confirm(t.Name, s, "policy refused before is gone; its file is the one in force")
		case requested:
			srv.log.Info("policy unchanged", append([]any{"tenant", t.Name, "policy", found.Name}, found.sums()...)...)
		}
		return
	}
	if err == nil {
		err = srv.swapPolicy(t, s, found)
	}
	if !errors.Is(err, errStopping) {
		srv.state.refused(t, found, err)
	}
	srv.reportOnce("policy refused; the one in force goes on", about, err, requested)
}

// confirm logs and records that the policy in force stays so, with new facts about it.
func (srv *server) confirm(tenant string, s *served, message string) {
	g := s.active.Acquire()
	defer g.Release()
	srv.state.confirmed(tenant, g, s)
	attrs := append([]any{"tenant", tenant, "policy", s.policy.Name}, s.policy.sums()...)
	if p := s.policy.proof; p.Verified() {
		attrs = append(attrs, "version", p.Statement.Version, "signers", p.Signers, "expires", p.Statement.Expires.UTC().Format(time.RFC3339))
	}
	srv.log.Info(message, attrs...)
}

func (srv *server) swapPolicy(t config.Tenant, s *served, found candidate) error {
	start := time.Now()
	g, err := srv.loadPolicy(srv.engine(), found)
	if err != nil {
		return err
	}
	before := s.policy
	s.policy, s.engine, s.loadTime = found, srv.engine(), time.Since(start)
	s.active.Install(g)
	took := time.Since(start).Round(time.Microsecond)
	srv.announce(t.Name, s, "policy reloaded", "before", before.FileSHA256, "took", took.String())
	return nil
}

// forget forgets the complaints about tenants and listeners that the configuration no longer has.
func (srv *server) forget() {
	known := map[string]bool{"configuration": true}
	for _, t := range srv.config.Tenants {
		known["tenant "+t.Name], known["audit of tenant "+t.Name], known["signature of tenant "+t.Name] = true, true, true
	}
	for _, l := range srv.config.Listeners {
		known["certificate of listener "+l.Name] = true
	}
	maps.DeleteFunc(srv.lastErrors, func(about, _ string) bool { return !known[about] })
}

// watch watches the files that the configuration consists of. If fresh, the watcher's options
// have changed, and a new one is started.
func (srv *server) watch(fresh bool) {
	if fresh && srv.watcher != nil {
		srv.watcher.Close()
		srv.watcher = nil
	}
	paths := watchedFiles(srv.config)
	if (fresh || !slices.Equal(paths, srv.watched)) && srv.config.Reload.Watch {
		srv.checkAgain()
	}
	srv.watched = paths
	switch r := srv.config.Reload; {
	case !r.Watch:
	case srv.watcher != nil:
		srv.watcher.Set(paths)
	default:
		options := watch.Options{Debounce: time.Duration(r.Debounce), Poll: time.Duration(r.Poll)}
		srv.watcher = watch.Start(paths, options, func([]string) { srv.checkAgain() })
		if err := srv.watcher.Err(); err != nil {
			srv.log.Warn("file changes are noticed by polling only", "poll", r.Poll.String(), "error", err)
		}
	}
}

// checkAgain makes run read all files again, after what it does now. A reload that begins to watch
// files asks for it as well: they may have changed since it read them, and the watcher takes what it
// finds for known.
func (srv *server) checkAgain() {
	select {
	case srv.changed <- struct{}{}:
	default: // the last change has not been handled yet
	}
}

// watchedFiles returns every file that a reload reads.
func watchedFiles(c *config.Config) []string {
	paths := trust.Files(c)
	if c.Path != "" {
		paths = append(paths, c.Path)
	}
	for _, l := range c.Listeners {
		for _, file := range []string{l.TLS.Certificate, l.TLS.Key, l.TLS.ClientCA} {
			if file != "" {
				paths = append(paths, c.File(file))
			}
		}
	}
	for _, t := range c.Tenants {
		for _, policy := range []string{t.Policy, t.Audit} {
			if path, ok := c.PolicyFile(policy); ok {
				paths = append(paths, path)
			}
		}
	}
	return paths
}
