// Package tenant says who is being served, and within which limits. It is told how
// a connection arrived, what a peer sent and what time it is; it holds no
// connection, starts no goroutine and reads no clock.
package tenant

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// An Arrival is how a connection arrived, which alone decides whom it belongs to:
// what a peer says afterwards is not asked.
type Arrival struct {
	Source     netip.Addr // the peer's, and not that of a proxy in front of it
	ServerName string     // that the peer asked for by TLS, without a dot at its end; "" if it did not
	// Identities are the names in the peer's verified certificate, each behind its
	// kind: "cn:NAME", "dns:NAME", "uri:URI", "email:ADDRESS".
	Identities []string
}

// A Claim says which connections are a tenant's. Every kind that is named must
// match, and of each kind one suffices.
//
// A star in the pattern of a certificate stands for at least one character, but not
// for one that separates: "." in "dns:", "/" in "cn:" and "uri:", "@" in "email:".
// The end "/**" of a "uri:" stands for every path below. A URI's scheme and host
// have no stars. Letter case means something in "cn:", in the path of a URI and
// before the "@", and nothing elsewhere.
type Claim struct {
	Tenant       string
	Networks     []netip.Prefix // of sources
	Certificates []string       // patterns of identities: a kind and a name with stars
	ServerNames  []string       // whole, or "*." and all but the first label
}

var (
	// ErrUnclaimed is the error of an arrival that nobody serves.
	ErrUnclaimed = errors.New("no tenant claims this connection")
	// ErrAmbiguous is the error of an arrival that more than one tenant claims with
	// equal right.
	ErrAmbiguous = errors.New("more than one tenant claims this connection")
)

// Claims says who serves an arrival. It never changes, so anybody may ask it at any
// time.
type Claims struct {
	otherwise string
	claims    []claim
}

// A claim is a Claim that has been checked and compiled.
type claim struct {
	tenant       string
	networks     []netip.Prefix
	certificates []identityPattern
	serverNames  []pattern
}

// NewClaims checks claims and returns who serves what. What nobody claims is the
// tenant otherwise's, and refused if that is "". The error has every claim that is
// wrong, or else every Overlap, each with what to do about it.
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

// Tenant returns who serves the arrival. Of several tenants that claim it, it is
// the one whose claim names the longest network around the source, where no
// network counts as shorter than any. The error is an ErrUnclaimed or an
// ErrAmbiguous.
func (c *Claims) Tenant(a Arrival) (string, error) {
	source := a.Source.Unmap().WithZone("") // a prefix contains no address with a zone
	serverName := lower(a.ServerName)
	identities := make([]identity, len(a.Identities))
	for i, text := range a.Identities {
		identities[i] = newIdentity(text)
	}
	var best []string // the tenants whose claims match by a network of that length
	length := unnamed
	for i := range c.claims {
		claim := &c.claims[i]
		bits, ok := claim.network(source)
		if !ok || bits < length || !claim.serves(serverName) || !claim.knows(identities) {
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

// unnamed is the length of the network of a claim that has none.
const unnamed = -1

// network returns the length of the longest of the claim's networks that the source
// is in.
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

// mostListed is how many tenants an error names.
const mostListed = 8

func listed(tenants []string) string {
	tenants = slices.Sorted(slices.Values(tenants))
	if more := len(tenants) - mostListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(tenants[:mostListed], ", "), more)
	}
	return strings.Join(tenants, ", ")
}
