package server

import (
	"slices"
	"strings"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/proxy/config"
	"switchyard/proxy/config/watch"
)

// reload reads configuration and policies again and puts in force what changed and
// is sound; what is not changes nothing. asked says that somebody waits for an
// answer in the log, be it the same as before.
func (y *yard) reload(asked bool) {
	c, _, err := y.load()
	if err == nil {
		err = y.apply(c)
	}
	y.desk.read(err)
	// If that is refused, a policy or a certificate may have changed all the same.
	y.complain("configuration refused; the one in force goes on", "configuration", err, asked)
	for _, l := range y.config.Listeners {
		y.reloadCertificate(l.Name, y.doors[l.Name], asked)
	}
	for _, t := range y.config.Tenants {
		y.reloadPolicy(t, y.tenants[t.Name], asked)
		y.reloadAudit(t, y.tenants[t.Name], asked)
	}
}

// complain logs an error, unless it is what was logged of the same thing last.
func (y *yard) complain(message, about string, err error, asked bool) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if err != nil && (asked || y.complaints[about] != text) {
		y.log.Error(message, "about", about, "error", text)
	}
	y.complaints[about] = text
}

// warn says, once each, what operators should know of policies in force.
func (y *yard) warn() {
	for name, s := range y.tenants {
		about, text := "signature of tenant "+name, strings.Join(s.policy.proof.Warnings(time.Now()), "; ")
		if text != "" && y.complaints[about] != text {
			y.log.Warn("about the policy in force", "tenant", name, "policy", s.policy.Name, "warning", text)
		}
		y.complaints[about] = text
	}
}

// apply puts the configuration in force, but for the policies of tenants that are
// there already. An error has changed nothing.
func (y *yard) apply(c *config.Config) error {
	live, restart := config.Changes(y.config, c)
	changed := func(section string) bool {
		return slices.ContainsFunc(live, func(key string) bool { return strings.HasPrefix(key, section+".") })
	}
	engine := y.engine()
	if changed("wasm") {
		engine = y.newEngine(c)
	}
	p, err := y.plan(c, engine)
	if err != nil {
		if engine != y.engine() {
			engine.Close()
		}
		return err
	}
	if engine != y.engine() {
		y.engines = append(y.engines, engine)
	}
	if len(restart) > 0 {
		y.log.Warn("these changes take effect after a restart", "keys", restart)
	}
	if len(live) == 0 {
		y.config, y.checker = c, p.checker
		return nil
	}
	p.carryOut()
	for _, t := range c.Tenants {
		y.tenants[t.Name].tenant.SetLimits(limitsOf(c, t))
	}
	y.watch(changed("reload"))
	y.log.Info("configuration reloaded", "changed", live) // and all of it is in force
	y.level.Set(levelOf(c.Log))
	return nil
}

// reloadPolicy loads the tenant's policy if it is another than the one in force, and
// swaps it in.
func (y *yard) reloadPolicy(t config.Tenant, s *served, asked bool) {
	about := "tenant " + t.Name
	found, err := findPolicy(y.checker, t)
	if err == nil && found.same(s.policy) && s.engine == y.engine() {
		s.policy.proof = found.proof
		y.recordVersion(t.Name, s)
		y.complain("", about, nil, false)
		if asked {
			y.log.Info("policy unchanged", "tenant", t.Name, "policy", found.Name, "sha256", found.SHA256)
		}
		return
	}
	if err == nil {
		err = y.swapPolicy(t, s, found)
	}
	y.desk.refused(t, found, err)
	y.complain("policy refused; the one in force goes on", about, err, asked)
}

func (y *yard) swapPolicy(t config.Tenant, s *served, found candidate) error {
	start := time.Now()
	g, err := loadPolicy(y.engine(), found)
	if err != nil {
		return err
	}
	before := s.policy
	s.policy, s.engine, s.loadTime = found, y.engine(), time.Since(start)
	s.judge.Install(g)
	took := time.Since(start).Round(time.Microsecond)
	y.inForce(t.Name, s, "policy reloaded", "before", before.SHA256, "took", took.String())
	return nil
}

// watch watches the files that the configuration is made of, with a fresh watcher if
// its options changed.
func (y *yard) watch(fresh bool) {
	if fresh && y.watcher != nil {
		y.watcher.Close()
		y.watcher = nil
	}
	paths := trust.Files(y.config)
	if y.config.Path != "" {
		paths = append(paths, y.config.Path)
	}
	for _, l := range y.config.Listeners {
		for _, file := range []string{l.TLS.Certificate, l.TLS.Key, l.TLS.ClientCA} {
			if file != "" {
				paths = append(paths, y.config.File(file))
			}
		}
	}
	for _, t := range y.config.Tenants {
		for _, policy := range []string{t.Policy, t.Audit} {
			if path, ok := y.config.PolicyFile(policy); ok {
				paths = append(paths, path)
			}
		}
	}
	switch r := y.config.Reload; {
	case !r.Watch:
	case y.watcher != nil:
		y.watcher.Set(paths)
	default:
		options := watch.Options{Debounce: time.Duration(r.Debounce), Poll: time.Duration(r.Poll)}
		y.watcher = watch.Start(paths, options, func([]string) {
			select {
			case y.changed <- struct{}{}:
			default: // the one before has not been looked at yet
			}
		})
		if err := y.watcher.Err(); err != nil {
			y.log.Warn("changes of files are noticed by looking from time to time alone", "poll", r.Poll.String(), "error", err)
		}
	}
}
