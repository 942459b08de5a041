package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// checkClaims is about the tenants that may claim connections at a listener. Whether
// their patterns are any, and which of them overlap, is found by those who match them;
// here is what takes more than one tenant's claims to see, and the lines are known.
func (r *reader) checkClaims(l *Listener, name string) {
	several := name + ".tenants"
	if !r.sound(several) {
		return
	}
	var claimants []Tenant
	for i, tenant := range l.Tenants {
		t, known := r.config.Tenant(tenant)
		if !known {
			continue // which is a fault already
		}
		place := r.member(several, i)
		if tenant == l.Tenant && r.sound(name+".tenant") {
			r.fault(place, "%s: %q has what nobody claims, too, as %s.tenant names it, so its claims would keep nobody out; take it out here, or name another there, or \"\" to refuse the others",
				several, tenant, name)
		}
		if r.soundClaims(tenant) {
			r.checkClaimant(l, name, t, place)
			claimants = append(claimants, t)
		}
	}
	r.checkSameNetworks(claimants, several, l.Tenants)
}

func (r *reader) soundClaims(tenant string) bool {
	claims := "tenant." + tenant + ".claims"
	return r.sound(claims+".networks", claims+".certificates", claims+".server_names")
}

// checkClaimant is about one tenant's claims at a listener.
func (r *reader) checkClaimant(l *Listener, name string, t Tenant, place Place) {
	if t.Claims.none() {
		r.fault(place, "%s.tenants: tenant %q claims nothing, so nobody would be let in to it; say in [tenant.%s.claims] what is its own, or name it in %s.tenant",
			name, t.Name, t.Name, name)
	}
	if ca := name + ".tls.client_ca"; len(t.Claims.Certificates) > 0 && l.TLS.ClientCA == "" && r.sound(ca) {
		r.fault(place, "%s.tenants: tenant %q claims certificates, and clients are not asked for any here; name in %s who vouches for them, or leave the tenant out",
			name, t.Name, ca)
	}
	if certificate := name + ".tls.certificate"; len(t.Claims.ServerNames) > 0 && l.TLS.Certificate == "" && r.sound(certificate) {
		r.fault(place, "%s.tenants: tenant %q claims server names, and there is no TLS here by which to ask for one; name a file in %s, or leave the tenant out",
			name, t.Name, certificate)
	}
}

func (c Claims) none() bool {
	return len(c.Networks)+len(c.Certificates)+len(c.ServerNames) == 0
}

// checkSameNetworks finds tenants that claim one network and that nothing tells apart.
// A network within another is no fault: the narrower one counts. Each tenant has one
// fault at most, with the first of the tenants before it.
func (r *reader) checkSameNetworks(claimants []Tenant, several string, listed []string) {
	holders := make(map[netip.Prefix][]Tenant)
	for _, t := range claimants {
		other, network, found := conflict(holders, t)
		if found {
			r.fault(memberOf(r, several, listed, t.Name), "%s: tenants %q and %q both claim the network %s; give each one of its own, or tell them apart by certificates or by server_names that differ",
				several, other, t.Name, network)
		}
		for _, network := range t.Claims.Networks {
			holders[network] = append(holders[network], t)
		}
	}
}

func conflict(holders map[netip.Prefix][]Tenant, t Tenant) (other string, network netip.Prefix, found bool) {
	for _, network := range t.Claims.Networks {
		for _, holder := range holders[network] {
			if !toldApart(holder.Claims, t.Claims) {
				return holder.Name, network, true
			}
		}
	}
	return "", netip.Prefix{}, false
}

// toldApart reports whether there is a kind that both name and have nothing in common
// in.
func toldApart(a, b Claims) bool {
	return disjoint(a.Certificates, b.Certificates, func(a, b string) bool { return a == b }) ||
		disjoint(a.ServerNames, b.ServerNames, sameServer)
}

func disjoint(a, b []string, same func(a, b string) bool) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(a string) bool {
		return slices.ContainsFunc(b, func(b string) bool { return same(a, b) })
	})
}

// sameServer reports whether there is a name that both stand for. A star stands for
// the first label of a name.
func sameServer(a, b string) bool {
	if len(a) > 0 && len(b) > 0 && (a[0] == '*') != (b[0] == '*') {
		_, a, _ = strings.Cut(a, ".")
		_, b, _ = strings.Cut(b, ".")
	}
	return strings.EqualFold(a, b)
}

// checkClaimsMatter finds claims that look as if they kept somebody out, and do not.
func (r *reader) checkClaimsMatter(t Tenant) {
	name := "tenant." + t.Name + ".claims"
	if t.Claims.none() || !r.soundClaims(t.Name) {
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
		r.fault(r.place(name, name+".networks", name+".certificates", name+".server_names"),
			"%s: nobody asks for them, as %s.tenant has everybody be this tenant; name it in %s.tenants instead, and there another or \"\" as the tenant, or use %s.allow",
			name, server, server, server)
	}
}
