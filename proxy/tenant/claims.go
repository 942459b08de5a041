// Package tenant decides which tenant a connection belongs to, and meters what the
// tenant's peers use. Its callers pass in how a connection arrived, what a peer sent and
// what time it is; the package holds no connection, starts no goroutine and reads no
// clock.
package tenant

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// An Arrival describes how a connection arrived. That alone decides which tenant it
// belongs to; what the peer sends afterwards does not matter.
type Arrival struct {
	Source     netip.Addr // the peer's own address, not that of a proxy in front of it
	ServerName string     // from the TLS handshake, without a dot at its end; "" if there was none
	// Identities are the names in the peer's verified certificate, each with its kind in
	// front: "cn:NAME", "dns:NAME", "uri:URI", "email:ADDRESS".
	Identities []string
	// Issuers are the fingerprints of the CAs that vouch for the certificate, directly or
	// through others: the SHA-256 of each one's certificate, in lower-case hex digits.
	Issuers []string
}

// A Claim says which connections belong to a tenant. Each of the four lists that is not
// empty must match the arrival, and a list matches if one of its elements does.
//
// A star in the pattern of a certificate stands for one or more characters other than the
// separator of its kind: "." in "dns:", "/" in "cn:" and "uri:", "@" in "email:". At the
// end of a "uri:", "/**" stands for every path below. The scheme and host of a URI must
// not have stars. Letter case is significant in "cn:", in the path of a URI and before
// the "@" only.
//
//	dns:*.acme.example             msg1.acme.example, but not a.b.acme.example
//	uri:spiffe://acme.example/**   spiffe://acme.example/ns/chat/msg1
type Claim struct {
	Tenant       string
	Networks     []netip.Prefix // of sources
	Certificates []string       // patterns of identities: a kind and a name with stars
	Issuers      []string       // fingerprints of CAs, in hex digits, with or without colons between
	ServerNames  []string       // whole, or "*." and all but the first label
}

var (
	// ErrUnclaimed is the error of an arrival that no tenant serves.
	ErrUnclaimed = errors.New("no tenant claims this connection")
	// ErrAmbiguous is the error of an arrival that several tenants claim equally.
	ErrAmbiguous = errors.New("more than one tenant claims this connection")
)

// Claims assigns arrivals to tenants. It is immutable, so it is safe for concurrent use.
type Claims struct {
	otherwise string
	claims    []claim
}

// A claim is a Claim that has been checked and compiled.
type claim struct {
	tenant       string
	networks     []netip.Prefix
	certificates []identityPattern
	issuers      []string
	serverNames  []pattern
}

// NewClaims checks and compiles claims. Unclaimed arrivals go to the tenant otherwise, and
// are refused if that is "". The error has every invalid claim, or else every Overlap,
// each with a remedy.
func NewClaims(otherwise string, claims ...Claim) (*Claims, error) {
	var faults []error
	c := &Claims{otherwise: otherwise}
	names := make(map[string]bool, len(claims))
	for _, raw := range claims {
		compiled, err := compileClaim(raw)
		if names[raw.Tenant] {
			err = errors.Join(err, fmt.Errorf("tenant %q has two claims; write all that it claims into one", raw.Tenant))
		}
		names[raw.Tenant] = true
		faults = append(faults, err)
		c.claims = append(c.claims, compiled)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	for _, o := range overlaps(c.claims) {
		faults = append(faults, o)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return c, nil
}

// Tenant returns the tenant that serves the arrival. If several tenants claim it, the
// claim with the longest network around the source wins; a claim without networks counts
// as shorter than any. The error is ErrUnclaimed or ErrAmbiguous.
func (c *Claims) Tenant(a Arrival) (string, error) {
	n := a.normal()
	var best []string // the tenants whose claims match by a network of that length
	length := unnamed
	for i := range c.claims {
		claim := &c.claims[i]
		bits, ok := claim.matches(&n)
		if !ok || bits < length {
			continue
		}
		if bits > length {
			best, length = best[:0], bits
		}
		best = append(best, claim.tenant)
	}
	switch {
	case len(best) == 1:
		return best[0], nil
	case len(best) > 1:
		return "", fmt.Errorf("%w: %s; give one of them a longer network, or tell them apart by certificates or server_names",
			ErrAmbiguous, listed(best))
	case c.otherwise == "":
		return "", fmt.Errorf("%w; claim it for a tenant, or name one in the listener's tenant", ErrUnclaimed)
	}
	return c.otherwise, nil
}

// A normalArrival is an Arrival whose equal names are equal strings.
type normalArrival struct {
	source     netip.Addr
	serverName string
	identities []identity
	issuers    []string
}

// normal returns the arrival with all names in the form in which compiled claims have theirs.
func (a *Arrival) normal() normalArrival {
	n := normalArrival{serverName: lower(a.ServerName), identities: make([]identity, len(a.Identities)), issuers: a.Issuers}
	n.source = a.Source.Unmap().WithZone("") // because a prefix never contains an address with a zone
	for i, text := range a.Identities {
		n.identities[i] = newIdentity(text)
	}
	return n
}

// matches reports whether all lists match, and returns the length of the longest network that does.
func (c *claim) matches(a *normalArrival) (bits int, ok bool) {
	bits, ok = c.network(a.source)
	return bits, ok && c.serves(a.serverName) && c.knows(a.identities) && c.trusts(a.issuers)
}

// unnamed is the length of the network of a claim that has none.
const unnamed = -1

// network returns the length of the longest of the claim's networks that contain the
// source.
func (c *claim) network(source netip.Addr) (bits int, ok bool) {
	bits = unnamed
	for _, network := range c.networks {
		if network.Contains(source) {
			bits = max(bits, network.Bits())
		}
	}
	return bits, bits != unnamed || len(c.networks) == 0
}

func (c *claim) serves(serverName string) bool {
	return len(c.serverNames) == 0 ||
		slices.ContainsFunc(c.serverNames, func(p pattern) bool { return p.matches(serverName) })
}

func (c *claim) knows(identities []identity) bool {
	return len(c.certificates) == 0 || slices.ContainsFunc(c.certificates, func(p identityPattern) bool {
		return slices.ContainsFunc(identities, p.matches)
	})
}

// trusts reports whether one of the claim's issuers is among the CAs that vouch.
func (c *claim) trusts(issuers []string) bool {
	return len(c.issuers) == 0 || slices.ContainsFunc(c.issuers, func(i string) bool { return slices.Contains(issuers, i) })
}

// mostListed is how many tenants an error names.
const mostListed = 8

// listed names tenants for an error, in alphabetical order.
func listed(tenants []string) string {
	tenants = slices.Sorted(slices.Values(tenants))
	if more := len(tenants) - mostListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(tenants[:mostListed], ", "), more)
	}
	return strings.Join(tenants, ", ")
}
