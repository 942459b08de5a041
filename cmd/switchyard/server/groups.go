package server

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"

	"switchyard/policy"
	"switchyard/proxy/certificate"
	"switchyard/proxy/config"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// groupsOf returns the function that finds the groups of a peer of the tenant; nil if the tenant has
// none. The tenant calls it when a connection begins, and for all sessions after a reload. The
// configuration is sound, so its groups compile.
func groupsOf(t config.Tenant) func(net.Conn) *hub.Membership {
	var claims []tenant.Claim
	named := make(map[string]policy.Group)
	muted := make(map[string]bool)
	for _, g := range t.Groups {
		claims = append(claims, g.Claim())
		named[g.Name], _ = policy.GroupNamed(g.Name)
		muted[g.Name] = !g.Broadcasts
	}
	groups, err := tenant.NewGroups(claims...)
	if err != nil || len(claims) == 0 {
		return nil
	}
	return func(conn net.Conn) *hub.Membership {
		names := groups.Of(arrivalOf(conn))
		if len(names) == 0 {
			return nil
		}
		m := &hub.Membership{Muted: slices.ContainsFunc(names, func(name string) bool { return muted[name] })}
		for _, name := range names {
			m.Groups = append(m.Groups, named[name])
		}
		return m
	}
}

// arrivalOf returns how a connection that a tenant serves arrived: its source, also if a PROXY header
// names it, the server name that it asked for, and the names in its client certificate. Only what a
// CA has vouched for counts.
func arrivalOf(conn net.Conn) (a tenant.Arrival) {
	if address, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		a.Source = address.AddrPort().Addr()
	}
	secured, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return a
	}
	state := secured.ConnectionState()
	a.ServerName = state.ServerName
	if len(state.VerifiedChains) > 0 {
		a.Identities, a.Issuers = certificate.Identities(state.PeerCertificates[0]), certificate.Issuers(state.VerifiedChains)
	}
	return a
}

// lacksGroups returns why a configuration must not take groups from a tenant: its policy in force, or
// one that is compared with it, names them. Without them, its rules about their peers would be gone.
func (srv *server) lacksGroups(t config.Tenant) error {
	s := srv.tenants[t.Name]
	if s == nil {
		return nil
	}
	g := s.active.Acquire()
	defer g.Release()
	lacks := lackedGroups(g, t.GroupNames())
	if len(lacks) == 0 {
		return nil
	}
	return InvalidError{fmt.Errorf("tenant %s: the policy in force names groups that the configuration no longer has: %s; keep [tenant.%s.group.%s] until another policy is in force",
		t.Name, strings.Join(lacks, ", "), t.Name, lacks[0])}
}

// lackedGroups returns the groups that a policy names and that are not among the known ones.
func lackedGroups(g *policy.Generation, known []string) (lacks []string) {
	for _, named := range g.Groups() {
		if !slices.Contains(known, named.String()) {
			lacks = append(lacks, named.String())
		}
	}
	return lacks
}
