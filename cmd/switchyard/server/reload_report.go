package server

import (
	"maps"
	"slices"
	"time"

	"switchyard/policy"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/config"
)

// A loaded is what is in force at one moment: a reload compares those before and after it.
type loaded struct {
	config       *config.Config
	generations  map[string]*policy.Generation // by tenant; only compared, so not held
	certificates map[string]time.Time          // when they expire, by listener
}

func (srv *server) loaded() loaded {
	s := loaded{srv.config, make(map[string]*policy.Generation), make(map[string]time.Time)}
	for name, t := range srv.tenants {
		g := t.active.Acquire()
		s.generations[name] = g
		g.Release()
	}
	for name, l := range srv.listeners {
		if l.source != nil {
			s.certificates[name] = l.source.NotAfter()
		}
	}
	return s
}

// reloadAndReport reloads at an operator's request, and returns the results.
func (srv *server) reloadAndReport() api.Reload {
	before := srv.loaded()
	srv.reload(true)
	after := srv.loaded()
	r := api.Reload{Configuration: srv.configResult(before.config)}
	for _, l := range srv.config.Listeners {
		r.Listeners = append(r.Listeners, srv.listenerResult(l, before, after))
	}
	names := maps.Clone(before.generations)
	maps.Copy(names, after.generations)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		r.Tenants = append(r.Tenants, srv.tenantResult(name, before, after))
	}
	r.Sum()
	srv.state.update(srv)
	return r
}

func (srv *server) configResult(before *config.Config) api.ReloadConfiguration {
	r := api.ReloadConfiguration{Result: api.Unchanged, Error: srv.lastErrors["configuration"]}
	r.Changed, r.Restart = config.Changes(before, srv.config)
	switch {
	case r.Error != "":
		r.Result = api.Refused
	case len(r.Changed)+len(r.Restart) > 0:
		r.Result = api.Changed
	}
	return r
}

func (srv *server) listenerResult(l config.Listener, before, after loaded) api.ReloadListener {
	r := api.ReloadListener{Listener: l.Address, Result: api.Unchanged, Error: srv.lastErrors["certificate of listener "+l.Name]}
	until, secured := after.certificates[l.Name]
	switch {
	case !secured:
		r.Result = api.Plain
	case r.Error != "":
		r.Result = api.Refused
	case !until.Equal(before.certificates[l.Name]):
		r.Result = api.Changed
	}
	return r
}

func (srv *server) tenantResult(name string, before, after loaded) api.ReloadTenant {
	r := api.ReloadTenant{Tenant: name, Result: api.Unchanged, Error: srv.lastErrors["tenant "+name], AuditError: srv.lastErrors["audit of tenant "+name]}
	was, is := before.generations[name], after.generations[name]
	switch {
	case is == nil:
		r.Result, r.Error, r.AuditError = api.Removed, "", ""
		return r
	case r.Error != "":
		r.Result = api.Refused
	case was == nil:
		r.Result = api.Added
	case was != is:
		r.Result = api.Changed
	}
	r.Policy = api.Policy{Name: is.Name, SHA256: is.Sum(), ModuleSHA256: is.SHA256}
	return r
}
