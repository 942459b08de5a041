package tenant

import (
	"slices"
	"strings"
)

// The kinds of identities. Each has its own separator, at which a star stops, and its own
// part in which letter case is ignored.
const (
	kindCN    = "cn"
	kindDNS   = "dns"
	kindURI   = "uri"
	kindEmail = "email"
)

// Unbound reports whether the claim is by names that no name constraint covers, and any CA
// may vouch for them. A constraint never covers a common name, and of a URI the host only.
func (c Claim) Unbound() bool {
	return len(c.Issuers) == 0 && slices.ContainsFunc(c.Certificates, func(text string) bool {
		kind, _, _ := strings.Cut(text, ":")
		return kind == kindCN || kind == kindURI
	})
}

var separators = map[string]string{kindCN: "/", kindDNS: ".", kindURI: "/", kindEmail: "@"}

// An identity is a name in a certificate, normalised so that equal names are equal
// strings.
type identity struct{ kind, name string }

func newIdentity(text string) identity {
	kind, name, _ := strings.Cut(text, ":")
	return identity{kind, fold(kind, name)}
}

// fold lowers the letters of the part in which case is ignored.
func fold(kind, name string) string {
	switch kind {
	case kindDNS:
		return lower(name)
	case kindURI:
		n := authority(name)
		return lower(name[:n]) + name[n:]
	case kindEmail:
		n := strings.LastIndexByte(name, '@') + 1
		return name[:n] + lower(name[n:])
	}
	return name
}

// authority returns the index at which the scheme and the host of a URI end. Only the
// owner of the host issues identities with what follows.
func authority(uri string) int {
	scheme := strings.IndexByte(uri, ':') + 1
	host, ok := strings.CutPrefix(uri[scheme:], "//")
	if !ok {
		return scheme
	}
	if end := strings.IndexAny(host, "/?#"); end >= 0 {
		return len(uri) - len(host) + end
	}
	return len(uri)
}

// An identityPattern is a pattern of the identities of one kind.
type identityPattern struct {
	kind string
	pattern
}

func (p identityPattern) matches(i identity) bool {
	return p.kind == i.kind && p.pattern.matches(i.name)
}
