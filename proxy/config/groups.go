package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/BurntSushi/toml"

	"switchyard/policy"
	"switchyard/proxy/tenant"
)

// Groups are tables of the operator's own choice within a tenant, as tenants are within the file. The
// course is the same: groups adds those that the file names with default values, groupKeys lists their
// keys, walk sets them, checkGroups looks at the result.

// sectionGroup is the table of a tenant's groups.
const sectionGroup = "group"

// groupKeys returns the keys of a tenant's groups, without the tenant's name in front.
func (t *Tenant) groupKeys() (keys []key) {
	for i := range t.Groups {
		g := &t.Groups[i]
		part := sectionGroup + "." + g.Name
		for _, k := range append(g.Claims.keys(part), key{name: part + ".broadcasts", field: &g.Broadcasts}) {
			k.part = part
			keys = append(keys, k)
		}
	}
	return keys
}

// groups adds the groups that the file names for a tenant, with default values.
func (r *reader) groups(t *Tenant, value any) {
	section := "tenant." + t.Name + "." + sectionGroup
	tables, ok := value.(map[string]any)
	if !ok {
		r.fault(r.place(section), "%q is a table of groups; write [%s.NAME]", section, section)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		place := r.place(toml.Key{"tenant", t.Name, sectionGroup, name}.String(), section)
		if err := policy.CheckGroupName(name); err != nil {
			r.fault(place, "%s: %v", section, err)
		} else if _, ok := tables[name].(map[string]any); !ok {
			r.fault(place, "\"%s.%s\" is a table; write [%s.%s]", section, name, section, name)
		} else {
			t.Groups = append(t.Groups, defaultGroup(name))
		}
	}
}

// isGroup reports whether a path is that of a group or of all groups of a tenant, whose faults groups
// has reported.
func isGroup(path toml.Key) bool {
	return (len(path) == 3 || len(path) == 4) && path[0] == "tenant" && path[2] == sectionGroup
}

// checkGroups checks the groups of a tenant, and that some listener can tell who is in them.
func (r *reader) checkGroups(t Tenant) {
	for i, g := range t.Groups {
		name := "tenant." + t.Name + "." + sectionGroup + "." + g.Name
		place := r.place(slices.Concat([]string{name}, claimKeys(name), []string{name + ".broadcasts"})...)
		if i == tenant.MaxGroups {
			r.fault(place, "%s: more than %d groups; put some of them together", name, tenant.MaxGroups)
			return
		}
		if _, err := policy.GroupNamed(g.Name); err != nil {
			r.fault(place, "%s: %v", name, err)
		}
		if !r.sound(claimKeys(name)...) {
			continue
		}
		if _, err := tenant.NewGroups(g.Claim()); err != nil {
			r.fault(place, "%s: %v", name, err)
		}
		r.checkGroupMatches(t, g, name)
	}
}

// checkGroupMatches refuses a group that no connection can be in, because no listener of the tenant
// asks for what it names.
func (r *reader) checkGroupMatches(t Tenant, g Group, name string) {
	certificates, names := len(g.Certificates)+len(g.Issuers) > 0, len(g.ServerNames) > 0
	asked, secured := false, false
	for i, l := range r.config.Listeners {
		listener := fmt.Sprintf("listener.%d", i)
		if !r.sound(listener+".tenant", listener+".tenants", listener+".tls.client_ca", listener+".tls.certificate") {
			return
		}
		if l.Tenant == t.Name || slices.Contains(l.Tenants, t.Name) {
			asked = asked || l.TLS.ClientCA != ""
			secured = secured || l.TLS.Certificate != ""
		}
	}
	if certificates && !asked {
		r.fault(r.place(name+".certificates", name+".issuers", name), "%s: it names certificates of clients, and no listener of the tenant asks for them; name in tls.client_ca of one who vouches for them", name)
	}
	if names && !secured {
		r.fault(r.place(name+".server_names", name), "%s: it names server names, and no listener of the tenant has TLS, by which to ask for one; name a file in tls.certificate of one", name)
	}
}

// Claim returns which connections are those of the group's peers.
func (g Group) Claim() tenant.Claim { return g.Claims.of(g.Name) }

// GroupNames returns the names of the tenant's groups, in order. It is not nil.
func (t Tenant) GroupNames() []string {
	names := make([]string, len(t.Groups))
	for i, g := range t.Groups {
		names[i] = g.Name
	}
	return names
}
