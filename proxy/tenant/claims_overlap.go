package tenant

import (
	"fmt"
	"net/netip"
	"slices"
)

// overlaps returns an error for each two tenants one of which could never be
// served on a network, or at all, as whatever it claims there the other claims with
// equal right. Other overlaps are found when somebody arrives there.
func overlaps(claims []claim) []error {
	var faults []error
	reported := make(map[[2]int]bool)
	holders := make(map[string][]int) // by what they claim
	for i := range claims {
		for _, what := range claims[i].anchors() {
			for _, k := range holders[what] {
				if pair := [2]int{k, i}; k != i && !reported[pair] && claims[k].collides(&claims[i]) {
					reported[pair] = true
					faults = append(faults, fmt.Errorf(
						"tenants %q and %q both claim %s, and nothing else tells their connections apart; "+
							"give one of them a longer network, or both other certificates or server_names",
						claims[k].tenant, claims[i].tenant, what))
				}
			}
			holders[what] = append(holders[what], i)
		}
	}
	return faults
}

// anchors returns texts of which two claims that collide have one in common, so
// that not every two have to be compared. A claim with networks never collides with
// one without, as any network is longer than none.
func (c *claim) anchors() []string {
	var texts []string
	for _, network := range c.networks {
		texts = append(texts, "network "+network.String())
	}
	if len(texts) > 0 {
		return texts
	}
	for _, p := range c.certificates {
		texts = append(texts, fmt.Sprintf("certificate %q", p.kind+":"+p.text))
	}
	for _, p := range c.serverNames {
		texts = append(texts, fmt.Sprintf("server name %q", p.text))
	}
	return texts
}

// collides reports whether of two claims with a common anchor one names no kind
// that the other does not, and both have the same in one of each kind that both
// name.
func (c *claim) collides(d *claim) bool {
	var more, less bool
	meet := func(inC, inD int, same bool) bool {
		more = more || inC > 0 && inD == 0
		less = less || inC == 0 && inD > 0
		return inC == 0 || inD == 0 || same
	}
	network := func(p netip.Prefix) bool { return slices.Contains(d.networks, p) }
	certificate := func(p identityPattern) bool {
		return slices.ContainsFunc(d.certificates, func(q identityPattern) bool { return p.kind == q.kind && p.text == q.text })
	}
	serverName := func(p pattern) bool {
		return slices.ContainsFunc(d.serverNames, func(q pattern) bool { return p.text == q.text })
	}
	return meet(len(c.networks), len(d.networks), slices.ContainsFunc(c.networks, network)) &&
		meet(len(c.certificates), len(d.certificates), slices.ContainsFunc(c.certificates, certificate)) &&
		meet(len(c.serverNames), len(d.serverNames), slices.ContainsFunc(c.serverNames, serverName)) &&
		!(more && less)
}
