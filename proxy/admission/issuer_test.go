package admission

import (
	"crypto/x509"
	"testing"

	"switchyard/proxy/certificate"
	"switchyard/proxy/certificate/authority"
	"switchyard/proxy/tenant"
)

// A name constraint does not keep a CA from vouching for common names and URIs of another
// tenant, nor for a CA of the same name. Claims that name their issuers do.
func TestClaimsBoundToAnIssuer(t *testing.T) {
	root := authority.New(t, "root")
	main, other := root.Intermediate("main's"), root.Constrained("other's", "other.example")
	fingerprint := certificate.Issuers([][]*x509.Certificate{{nil, main.X509()}})
	bound := func(issuers []string) Options {
		o := mutual(t, root)
		o.Issuers = certificate.Issuers
		o.Claims = claims(t, "",
			tenant.Claim{Tenant: "main", Certificates: []string{"cn:m-*", "uri:spiffe://main.example/**"}, Issuers: issuers},
			tenant.Claim{Tenant: "other", Certificates: []string{"dns:*.other.example"}})
		return o
	}
	forged := other.Issue(authority.Leaf{CommonName: "m-1", URIs: []string{"spiffe://main.example/a"}, DNS: []string{"a.other.example"}})
	alone := other.Client("m-1", "spiffe://main.example/a")
	impostor := root.Intermediate("main's").Client("m-1")
	good := main.Client("m-1")

	h := open(t, bound(nil))
	handshake(t, h.dial(), "", alone.TLS())
	h.serves("main") // which is why claims can name issuers

	h = open(t, bound(fingerprint))
	handshake(t, h.dial(), "", good.TLS())
	h.serves("main")
	handshake(t, h.dial(), "", forged.TLS())
	h.serves("other")
	for name, c := range map[string]*authority.Certificate{"of a constrained CA": alone, "of a CA of the same name": impostor} {
		handshake(t, h.dial(), "", c.TLS())
		if n := h.servesUntil(Unclaimed, func() { handshake(t, h.dial(), "", c.TLS()) }); n > 0 {
			t.Errorf("one %s is served", name)
		}
	}
}
