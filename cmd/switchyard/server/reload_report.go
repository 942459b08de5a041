package server

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"

	"switchyard/policy"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/config"
)

// The answer to a reload says what became of each listener's certificate and each tenant's policy. It
// is made by comparing what was in force when the operator asked with what is when everything is
// loaded, not by following each load: several reloads may be under way together, and each is
// answered.

// An inForce is what is in force at one moment: a reload compares those before and after it.
type inForce struct {
	config       *config.Config
	generations  map[string]*policy.Generation // by tenant; only compared, so not held
	certificates map[string][sha256.Size]byte  // hashes of all their files, as srv.certificates names them
}

// inForce returns what is in force now.
func (srv *server) inForce() inForce {
	s := inForce{srv.config, make(map[string]*policy.Generation), make(map[string][sha256.Size]byte)}
	for name, t := range srv.tenants {
		g := t.active.Acquire()
		s.generations[name] = g.Obeyed(policy.Alike) // an audit changes g, but not the policy
		g.Release()
	}
	for name, source := range srv.certificates() {
		s.certificates[name] = source.Sum()
	}
	return s
}

// A request is a reload that an operator waits for, until everything is loaded that it led to.
type request struct {
	before  inForce
	replies chan<- reply[api.Reload] // holds one; nil after a hangup
}

// request reloads at an operator's request. answer sends the results.
func (srv *server) request(replies chan<- reply[api.Reload]) {
	srv.requests = append(srv.requests, request{srv.inForce(), replies})
	if srv.sources != nil {
		srv.sources.Wake()
	}
	srv.access.reopen()
	srv.reload(true)
}

// answer answers the operators that wait, unless something is still being loaded for them. A stop
// answers them all.
func (srv *server) answer(stopping bool) {
	if len(srv.requests) == 0 || !stopping && srv.isAwaited() {
		return
	}
	srv.state.update(srv)
	for _, r := range srv.requests {
		if r.replies != nil {
			r.replies <- reply[api.Reload]{result: srv.report(r.before)}
		}
	}
	srv.requests = nil
}

// isAwaited reports whether something is being loaded that an operator waits for.
func (srv *server) isAwaited() bool {
	if srv.postponed || srv.next != nil && srv.next.requested {
		return true
	}
	for _, s := range srv.tenants {
		if s.next.awaited() || s.nextAudit.awaited() {
			return true
		}
	}
	return false
}

// report returns what a reload has changed. Tenants that were removed are in it, too.
func (srv *server) report(before inForce) api.Reload {
	after := srv.inForce()
	r := api.Reload{Configuration: srv.configResult(before, after)}
	for _, l := range srv.config.Listeners {
		r.Listeners = append(r.Listeners, srv.listenerResult(l, before, after))
	}
	names := maps.Clone(before.generations)
	maps.Copy(names, after.generations)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		r.Tenants = append(r.Tenants, srv.tenantResult(name, before, after))
	}
	r.Sum()
	return r
}

// configResult returns what became of the configuration. Keys that need a restart are reported as
// changed, although they have no effect yet. The certificates of addresses that are not listeners count
// as parts of the configuration.
func (srv *server) configResult(before, after inForce) api.ReloadConfiguration {
	r := api.ReloadConfiguration{Result: api.Unchanged,
		Error: cmp.Or(srv.lastErrors["configuration"], srv.lastErrors[certificateOf(adminCertificate)], srv.lastErrors[certificateOf(metricsCertificate)])}
	r.Changed, r.Restart = config.Changes(before.config, srv.config)
	switch {
	case r.Error != "":
		r.Result = api.Refused
	case len(r.Changed)+len(r.Restart) > 0, before.certificates[adminCertificate] != after.certificates[adminCertificate],
		before.certificates[metricsCertificate] != after.certificates[metricsCertificate]:
		r.Result = api.Changed
	}
	return r
}

// listenerResult returns what became of a listener's certificate, and of the CAs and revocation lists for
// those of clients.
func (srv *server) listenerResult(l config.Listener, before, after inForce) api.ReloadListener {
	r := api.ReloadListener{Listener: l.Address, Result: api.Unchanged, Error: srv.lastErrors[certificateOf(l.Name)]}
	sum, secured := after.certificates[l.Name]
	switch {
	case !secured:
		r.Result = api.Plain
	case r.Error != "":
		r.Result = api.Refused
	case sum != before.certificates[l.Name]:
		r.Result = api.Changed
	}
	return r
}

// tenantResult returns what became of a tenant. The last error decides, not what changed meanwhile: a
// policy that is refused is not in force, whatever was before.
func (srv *server) tenantResult(name string, before, after inForce) api.ReloadTenant {
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
