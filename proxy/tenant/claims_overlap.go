package tenant

import (
	"fmt"
	"slices"
	"strings"
)

// An Overlap is two tenants whose claims conflict: in some network, or everywhere,
// connections would belong equally to both.
type Overlap struct {
	First, Second string // tenants, in the order of their claims
	Kind          string // of what both claim: "network", "certificate", "issuer" or "server name"
	What          string
}

func (o Overlap) Error() string {
	what := o.What
	if o.Kind != kindNetwork {
		what = fmt.Sprintf("%q", what)
	}
	return fmt.Sprintf("tenants %q and %q both claim %s %s, and nothing else tells their connections apart; "+
		"give one of them a longer network, or both other certificates, issuers or server_names", o.First, o.Second, o.Kind, what)
}

const kindNetwork = "network"

// Overlaps returns the overlaps among the claims. No tenant is the Second of two overlaps.
// Claims that NewClaims refuses by themselves are left out.
func Overlaps(claims ...Claim) []Overlap {
	var sound []claim
	for _, raw := range claims {
		if c, err := compileClaim(raw); err == nil {
			sound = append(sound, c)
		}
	}
	return overlaps(sound)
}

// overlaps is Overlaps for compiled claims. Each is compared with those before it that have an anchor in
// common.
func overlaps(claims []claim) (found []Overlap) {
	holders := make(map[anchor][]*claim)
	for i := range claims {
		c := &claims[i]
		if o, ok := c.overlap(holders); ok {
			found = append(found, o)
		}
		for _, a := range c.anchors() {
			holders[a] = append(holders[a], c)
		}
	}
	return found
}

// overlap returns the first overlap of c with a claim before it.
func (c *claim) overlap(holders map[anchor][]*claim) (Overlap, bool) {
	for _, a := range c.anchors() {
		for _, before := range holders[a] {
			if before.collides(c) {
				return Overlap{before.tenant, c.tenant, a.kind, a.what}, true
			}
		}
	}
	return Overlap{}, false
}

// An anchor is something that any two claims that collide have in common, so not every
// two claims have to be compared.
type anchor struct{ kind, what string }

// anchors returns the claim's networks, or else its certificates, issuers and server names. A claim
// with networks never collides with one without, because any network is longer than none.
func (c *claim) anchors() (all []anchor) {
	for _, network := range c.networks {
		all = append(all, anchor{kindNetwork, network.String()})
	}
	if len(all) > 0 {
		return all
	}
	for _, p := range c.certificates {
		all = append(all, anchor{"certificate", p.kind + ":" + p.text})
	}
	for _, fingerprint := range c.issuers {
		all = append(all, anchor{"issuer", fingerprint})
	}
	for _, p := range c.serverNames {
		all = append(all, anchor{"server name", p.text})
	}
	return all
}

// collides reports whether two claims with a common anchor overlap: no kind that both name
// tells their connections apart. Claims without a network do not overlap if each names a
// kind that the other does not, as few connections match both:
//
//	networks 10.0.0.0/8, certificates cn:a     networks 10.0.0.0/8                      overlap
//	networks 10.0.0.0/8, certificates cn:a     networks 10.0.0.0/8, certificates cn:b   apart
//	networks 10.0.0.0/8, certificates cn:a     networks 10.0.0.0/8, server_names b      overlap
//	certificates cn:a                          certificates cn:a, server_names b        overlap
func (c *claim) collides(d *claim) bool {
	sameCertificate := func(p, q identityPattern) bool { return p.kind == q.kind && p.text == q.text }
	sameIssuer := func(a, b string) bool { return a == b }
	if disjoint(c.certificates, d.certificates, sameCertificate) || disjoint(c.issuers, d.issuers, sameIssuer) || disjoint(c.serverNames, d.serverNames, sameServer) {
		return false
	}
	return len(c.networks) > 0 || c.within(d) || d.within(c)
}

// disjoint reports whether both name something, and nothing that is the same.
func disjoint[T any](a, b []T, same func(a, b T) bool) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(a T) bool {
		return slices.ContainsFunc(b, func(b T) bool { return same(a, b) })
	})
}

// sameServer reports whether some name matches both. A star matches the first label.
func sameServer(p, q pattern) bool {
	a, b := p.text, q.text
	if strings.HasPrefix(a, "*") != strings.HasPrefix(b, "*") {
		_, a, _ = strings.Cut(a, ".")
		_, b, _ = strings.Cut(b, ".")
	}
	return a == b
}

// within reports whether d names every kind that c names.
func (c *claim) within(d *claim) bool {
	return (len(c.certificates) == 0 || len(d.certificates) > 0) && (len(c.issuers) == 0 || len(d.issuers) > 0) && (len(c.serverNames) == 0 || len(d.serverNames) > 0)
}
