package server

import (
	"maps"
	"slices"
	"time"

	"switchyard/policy"
	"switchyard/proxy/admin"
	"switchyard/proxy/config"
)

// A standing is what was in force before a reload, to tell what came of it.
type standing struct {
	config       *config.Config
	generations  map[string]*policy.Generation // by tenant
	certificates map[string]time.Time          // by listener, when they expire
}

func (y *yard) standing() standing {
	s := standing{y.config, make(map[string]*policy.Generation), make(map[string]time.Time)}
	for name, t := range y.tenants {
		g := t.judge.Acquire()
		s.generations[name] = g // to be compared, not to be asked
		g.Release()
	}
	for name, d := range y.doors {
		if d.source != nil {
			s.certificates[name] = d.source.NotAfter()
		}
	}
	return s
}

// reloadAndTell reloads because somebody asked, and returns what came of it.
func (y *yard) reloadAndTell() admin.Reload {
	before := y.standing()
	y.reload(true)
	after := y.standing()
	r := admin.Reload{Configuration: y.configurationTold(before.config)}
	for _, l := range y.config.Listeners {
		r.Listeners = append(r.Listeners, y.listenerTold(l, before, after))
	}
	names := maps.Clone(before.generations)
	maps.Copy(names, after.generations)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		r.Tenants = append(r.Tenants, y.tenantTold(name, before, after))
	}
	r.Sum()
	y.desk.show(y)
	return r
}

func (y *yard) configurationTold(before *config.Config) admin.ReloadConfiguration {
	c := admin.ReloadConfiguration{Result: admin.Unchanged, Error: y.complaints["configuration"]}
	c.Changed, c.Restart = config.Changes(before, y.config)
	switch {
	case c.Error != "":
		c.Result = admin.Refused
	case len(c.Changed)+len(c.Restart) > 0:
		c.Result = admin.Changed
	}
	return c
}

func (y *yard) listenerTold(l config.Listener, before, after standing) admin.ReloadListener {
	r := admin.ReloadListener{Listener: l.Address, Result: admin.Unchanged, Error: y.complaints["certificate of listener "+l.Name]}
	until, secured := after.certificates[l.Name]
	switch {
	case !secured:
		r.Result = admin.Plain
	case r.Error != "":
		r.Result = admin.Refused
	case !until.Equal(before.certificates[l.Name]):
		r.Result = admin.Changed
	}
	return r
}

func (y *yard) tenantTold(name string, before, after standing) admin.ReloadTenant {
	r := admin.ReloadTenant{Tenant: name, Result: admin.Unchanged, Error: y.complaints["tenant "+name], AuditError: y.complaints["audit of tenant "+name]}
	was, is := before.generations[name], after.generations[name]
	switch {
	case is == nil:
		r.Result, r.Error, r.AuditError = admin.Removed, "", ""
		return r
	case r.Error != "":
		r.Result = admin.Refused
	case was == nil:
		r.Result = admin.Added
	case was != is:
		r.Result = admin.Changed
	}
	r.Policy = admin.Policy{Name: is.Name, SHA256: is.SHA256}
	return r
}
