package main

import (
	"slices"
	"strings"
	"time"

	"switchyard/proxy/config"
	"switchyard/proxy/config/watch"
)

// reload reads configuration and policies again and puts in force what changed and
// is sound; what is not changes nothing. asked says that somebody waits for an
// answer in the log, be it the same as before.
func (y *yard) reload(asked bool) {
	c, _, err := y.options.load()
	if err != nil {
		c = y.config // a policy may have changed all the same
	}
	y.complain("configuration refused; the one in force goes on", "configuration", err, asked)
	y.apply(c)
	for _, t := range c.Tenants {
		if s := y.tenants[t.Name]; s != nil {
			y.reloadPolicy(t, s, asked)
			y.reloadAudit(t, s, asked)
		}
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

// apply puts the configuration in force, but for policies.
func (y *yard) apply(c *config.Config) {
	live, restart := config.Changes(y.config, c)
	if len(restart) > 0 {
		y.log.Warn("these changes take effect after a restart", "keys", restart)
	}
	y.config = c
	if len(live) == 0 {
		return
	}
	y.log.Info("configuration reloaded", "changed", live)
	y.level.Set(levelOf(c.Log))
	for _, t := range c.Tenants {
		if s := y.tenants[t.Name]; s != nil {
			s.tenant.SetLimits(limitsOf(c, t))
		}
	}
	changed := func(section string) bool {
		return slices.ContainsFunc(live, func(key string) bool { return strings.HasPrefix(key, section+".") })
	}
	if changed("wasm") {
		y.engines = append(y.engines, y.newEngine())
	}
	if changed("reload") || changed("tenant") {
		y.watch(changed("reload"))
	}
}

// reloadPolicy loads the tenant's policy if it is another than the one in force, and
// swaps it in.
func (y *yard) reloadPolicy(t config.Tenant, s *served, asked bool) {
	about := "tenant " + t.Name
	found, err := findPolicy(y.config, t)
	if err == nil && found.same(s.policy) && s.engine == y.engine() {
		y.complain("", about, nil, false)
		if asked {
			y.log.Info("policy unchanged", "tenant", t.Name, "policy", found.Name, "sha256", found.SHA256)
		}
		return
	}
	if err == nil {
		err = y.swapPolicy(t, s, found)
	}
	y.complain("policy refused; the one in force goes on", about, err, asked)
}

func (y *yard) swapPolicy(t config.Tenant, s *served, found candidate) error {
	start := time.Now()
	g, err := loadPolicy(y.engine(), found)
	if err != nil {
		return err
	}
	before := s.policy
	s.policy, s.engine = found, y.engine()
	s.judge.Install(g)
	y.log.Info("policy reloaded", "tenant", t.Name, "policy", found.Name, "sha256", found.SHA256, "before", before.SHA256,
		"routes", summary(g), "took", time.Since(start).Round(time.Microsecond).String())
	return nil
}

// watch watches the files that the configuration is made of, with a fresh watcher if
// its options changed.
func (y *yard) watch(fresh bool) {
	if fresh && y.watcher != nil {
		y.watcher.Close()
		y.watcher = nil
	}
	var paths []string
	if y.config.Path != "" {
		paths = append(paths, y.config.Path)
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
