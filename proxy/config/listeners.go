package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// checkListeners checks what the keys of a listener mean together, and what listeners mean to
// each other. A check is left out if a key that it needs has a fault of its own (see sound),
// because its result would mislead.
func (r *reader) checkListeners() {
	for i := range r.config.Listeners {
		l, name := &r.config.Listeners[i], fmt.Sprintf("listener.%d", i)
		r.checkTenantsOf(l, name)
		r.checkTLS(l.TLS, name+".tls")
		r.checkOpen(l, name)
		r.checkProxies(l, name)
		r.checkClaims(l, name)
	}
	r.checkAddresses()
}

// checkTenantsOf checks the names in tenant and tenants.
func (r *reader) checkTenantsOf(l *Listener, name string) {
	one, several := name+".tenant", name+".tenants"
	if !r.sound(one, several) {
		return
	}
	if l.Tenant == "" && len(l.Tenants) == 0 {
		r.fault(r.place(one, name), "%s: \"\" refuses what no tenant claims, and tenants is empty, so every connection would be refused; name a tenant here, or some in tenants", one)
	}
	if r.badTenants {
		return
	}
	if _, known := r.config.Tenant(l.Tenant); !known && l.Tenant != "" {
		r.fault(r.place(one, name), "%s: unknown tenant %q; %s", one, l.Tenant, r.tenantRemedy(name, l.Tenant))
	}
	for i, t := range l.Tenants {
		if _, known := r.config.Tenant(t); !known {
			r.fault(r.member(several, i), "%s: unknown tenant %q; %s", several, t, r.tenantRemedy(name, t))
		}
	}
}

// tenantRemedy says what to do about a tenant that does not exist. The default listener, which is
// there if the file has none, names a default tenant that the file may have replaced.
func (r *reader) tenantRemedy(listener, tenant string) string {
	var names []string
	for _, t := range r.config.Tenants {
		names = append(names, t.Name)
	}
	remedy := fmt.Sprintf("add [tenant.%s], or name one of: %s", tenant, strings.Join(names, ", "))
	if _, written := r.config.places[listener]; !written {
		remedy = "the default listener serves that tenant, so add a [[listener]] with one of: " + strings.Join(names, ", ")
	}
	return remedy
}

// checkTLS requires the files of TLS to be named together:
//
//	certificate   needs key, and key needs certificate; both may be one file
//	client_ca     needs certificate: a peer shows a certificate only in TLS
//	crl           needs client_ca
func (r *reader) checkTLS(t TLS, name string) {
	certificate, key, ca := name+".certificate", name+".key", name+".client_ca"
	if !r.sound(certificate, key, ca) {
		return
	}
	switch {
	case t.Certificate != "" && t.Key == "":
		r.fault(r.place(certificate), "%s: %q has no key to it; name its file in tls.key, which may be the same one", certificate, t.Certificate)
	case t.Certificate == "" && t.Key != "":
		r.fault(r.place(key), "%s: %q is the key to no certificate; name the file of one in tls.certificate", key, t.Key)
	}
	if crl := name + ".crl"; t.CRL != "" && t.ClientCA == "" && r.sound(crl) {
		r.fault(r.place(crl), "%s: clients show no certificates that could be revoked without tls.client_ca; name the file of the CAs there, or leave the list out", crl)
	}
	if t.ClientCA != "" && t.Certificate == "" {
		r.fault(r.place(ca), "%s: clients show certificates by TLS alone, and there is none here without tls.certificate; name the file of one", ca)
	}
}

// checkOpen requires insecure_open if all sources may connect from other machines.
func (r *reader) checkOpen(l *Listener, name string) {
	if l.InsecureOpen || l.TLS.ClientCA != "" || !r.sound(name+".address", name+".allow", name+".insecure_open", name+".tls.client_ca") {
		return
	}
	if checkAddress.accept(l.Address) != nil || isLoopback(l.Address) {
		return
	}
	everybody := slices.IndexFunc(l.Allow, everything)
	if len(l.Allow) > 0 && everybody < 0 {
		return
	}
	why := "and everybody may connect and say anything"
	if everybody >= 0 {
		why = fmt.Sprintf("and %q in %s.allow is everybody", l.Allow[everybody], name)
	}
	r.fault(r.place(name+".address", name), "%s.address: %q can be reached from other machines, %s; name who may connect in %s.allow, or ask for certificates by %s.tls.client_ca, or write %s.insecure_open = true if that is meant",
		name, l.Address, why, name, name, name)
}

// everything reports whether a network has all addresses of IPv4 or of IPv6.
func everything(network netip.Prefix) bool { return network.Bits() == 0 }

// checkProxies refuses to trust the PROXY headers of all sources.
func (r *reader) checkProxies(l *Listener, name string) {
	for i, network := range l.ProxyFrom {
		if everything(network) {
			r.fault(r.member(name+".proxy_from", i), "%s.proxy_from: %q is every source, and a source that is listed here can claim any address; write the addresses of your proxies", name, network)
		}
	}
}

// alreadyHas says that key has the address, in its own spelling and in that of the other.
func alreadyHas(key, address, other string) string {
	if address == other {
		return fmt.Sprintf("%s has %q already", key, address)
	}
	return fmt.Sprintf("%q is the address %q that %s has already", other, address, key)
}

// checkAddresses requires each listener to have an address of its own, beside those of admin and metrics.
// Of two that collide the later one is at fault, in the order admin, metrics, listeners. Whether an
// address is free on this machine shows when it is opened.
func (r *reader) checkAddresses() {
	type taken struct{ key, address string }
	var seen []taken
	if admin := r.config.Admin.Address; admin != "" && r.sound("admin.address") {
		seen = append(seen, taken{"admin.address", admin})
	}
	if metrics := r.config.Metrics.Address; metrics != "" && r.sound("metrics.address") {
		if len(seen) > 0 && Collide(seen[0].address, metrics) {
			r.fault(r.place("metrics.address"), "metrics.address: %q collides with admin.address, %q; write another port", metrics, seen[0].address)
		} else {
			seen = append(seen, taken{"metrics.address", metrics})
		}
	}
	for i, l := range r.config.Listeners {
		name := fmt.Sprintf("listener.%d", i)
		if !r.sound(name + ".address") {
			continue
		}
		if l.Address == "" {
			r.fault(r.place(name), "%s has no address; write one, such as address = \"127.0.0.1:8200\"", name)
			continue
		}
		other := slices.IndexFunc(seen, func(t taken) bool { return Collide(t.address, l.Address) })
		switch {
		case other < 0:
			seen = append(seen, taken{name, l.Address})
		case SameAddress(seen[other].address, l.Address):
			r.fault(r.place(name+".address", seen[other].key), "%s.address: %s; write another", name, alreadyHas(seen[other].key, seen[other].address, l.Address))
		default:
			r.fault(r.place(name+".address", seen[other].key), "%s.address: %q includes what %s has, %q, or is part of it; write another port", name, l.Address, seen[other].key, seen[other].address)
		}
	}
}
