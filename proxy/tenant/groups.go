package tenant

import (
	"errors"
	"fmt"
)

// MaxGroups is how many groups of peers a tenant may have.
const MaxGroups = 32

// Groups are the groups of a tenant's peers. They are immutable, so they are safe for concurrent use.
type Groups struct {
	groups []claim // of which the tenant is the group's name
}

// NewGroups checks and compiles groups. Each is a Claim whose Tenant is the name of the group, and a
// peer is in every group whose lists match. The error has every fault, each with a remedy.
func NewGroups(groups ...Claim) (*Groups, error) {
	var faults []error
	if n := len(groups); n > MaxGroups {
		faults = append(faults, fmt.Errorf("%d groups, at most %d are possible; put some of them together", n, MaxGroups))
	}
	all := new(Groups)
	for _, raw := range groups {
		if raw.IsEmpty() {
			faults = append(faults, fmt.Errorf("group %q names no peer; write networks, certificates, issuers or server_names", raw.Tenant))
		}
		compiled, err := compileLists(raw, fmt.Sprintf("group %q", raw.Tenant))
		faults = append(faults, err)
		all.groups = append(all.groups, compiled)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return all, nil
}

// Of returns the names of the groups in which a peer is, by how its connection arrived.
func (g *Groups) Of(a Arrival) (names []string) {
	n := a.normal()
	for i := range g.groups {
		if _, ok := g.groups[i].matches(&n); ok {
			names = append(names, g.groups[i].tenant)
		}
	}
	return names
}
