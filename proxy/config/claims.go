package config

import (
	"fmt"
	"slices"

	"switchyard/proxy/tenant"
)

// checkClaims checks the claims of the tenants that may claim connections at a listener,
// as far as that takes more than one pattern. Whether each is a pattern is checked by
// package tenant when the listener is prepared.
func (r *reader) checkClaims(l *Listener, name string) {
	several := name + ".tenants"
	if !r.sound(several) {
		return
	}
	var claims []tenant.Claim
	for i, claimant := range l.Tenants {
		t, known := r.config.Tenant(claimant)
		if !known {
			continue // reported by checkTenantsOf
		}
		place := r.member(several, i)
		if claimant == l.Tenant && r.sound(name+".tenant") {
			r.fault(place, "%s: %q also gets every connection that no tenant claims, because %s.tenant names it, so its claims would refuse no connection; take it out here, or name another there, or \"\" to refuse unclaimed connections",
				several, claimant, name)
		}
		if r.soundClaims(claimant) {
			r.checkClaimant(l, name, t, place)
			claims = append(claims, t.Claim())
		}
	}
	for _, o := range tenant.Overlaps(claims...) {
		problem := o.Error()
		if o.Kind == "network" {
			problem = fmt.Sprintf("tenants %q and %q both claim the network %s; give each one of its own, or tell them apart by certificates, issuers or server_names that differ",
				o.First, o.Second, o.What)
		}
		r.fault(r.member(several, slices.Index(l.Tenants, o.Second)), "%s: %s", several, problem)
	}
}

// soundClaims reports whether all claims of a tenant were accepted.
func (r *reader) soundClaims(name string) bool {
	return r.sound(claimKeys("tenant." + name + ".claims")...)
}

// claimKeys returns the names of all keys of Claims in a section. Those of an empty Claims are the same as
// of any other.
func claimKeys(section string) (names []string) {
	for _, k := range new(Claims).keys(section) {
		names = append(names, k.name)
	}
	return names
}

// checkClaimant checks that a listener can tell what one tenant claims: certificates and issuers only
// where clients are asked for certificates, server names only with TLS. name is the listener's key, place
// where the tenant is named there.
func (r *reader) checkClaimant(l *Listener, name string, t Tenant, place Place) {
	if t.Claim().IsEmpty() {
		r.fault(place, "%s.tenants: tenant %q claims nothing, so it would get no connection; write [tenant.%s.claims], or name it in %s.tenant",
			name, t.Name, t.Name, name)
	}
	if ca := name + ".tls.client_ca"; len(t.Claims.Certificates)+len(t.Claims.Issuers) > 0 && l.TLS.ClientCA == "" && r.sound(ca) {
		what := "certificates"
		if len(t.Claims.Certificates) == 0 {
			what = "issuers of certificates"
		}
		r.fault(place, "%s.tenants: tenant %q claims %s, and clients are not asked for any here; name in %s who vouches for them, or leave the tenant out",
			name, t.Name, what, ca)
	}
	if certificate := name + ".tls.certificate"; len(t.Claims.ServerNames) > 0 && l.TLS.Certificate == "" && r.sound(certificate) {
		r.fault(place, "%s.tenants: tenant %q claims server names, and there is no TLS here by which to ask for one; name a file in %s, or leave the tenant out",
			name, t.Name, certificate)
	}
}

// Claim returns which connections are the tenant's.
func (t Tenant) Claim() tenant.Claim { return t.Claims.of(t.Name) }

// of returns the claims as those of a tenant or group.
func (c Claims) of(name string) tenant.Claim {
	return tenant.Claim{Tenant: name, Networks: c.Networks, Certificates: c.Certificates, Issuers: c.Issuers, ServerNames: c.ServerNames}
}

// checkClaimsMatter refuses claims without effect: no listener applies them, and one
// serves the tenant without them.
func (r *reader) checkClaimsMatter(t Tenant) {
	name := "tenant." + t.Name + ".claims"
	if t.Claim().IsEmpty() || !r.soundClaims(t.Name) {
		return
	}
	server := ""
	for i, l := range r.config.Listeners {
		listener := fmt.Sprintf("listener.%d", i)
		if slices.Contains(l.Tenants, t.Name) || !r.sound(listener+".tenant", listener+".tenants") {
			return
		}
		if l.Tenant == t.Name && server == "" {
			server = listener
		}
	}
	if server != "" {
		r.fault(r.place(append([]string{name}, claimKeys(name)...)...),
			"%s: they have no effect, because %s.tenant assigns every connection to this tenant; name it in %s.tenants instead, and there another or \"\" as the tenant, or use %s.allow",
			name, server, server, server)
	}
}
