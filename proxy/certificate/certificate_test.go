package certificate

import (
	"crypto/tls"
	"fmt"
	"slices"
	"testing"
	"time"

	"switchyard/proxy/certificate/authority"
	"switchyard/proxy/tenant"
)

var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

func TestMutualTLS(t *testing.T) {
	y := newFixture(t)
	s := start(t, y.files)
	stranger := authority.New(t, "clients") // of the same name, even
	thief := y.clients.Client("acme")
	thief.Key = y.clients.Client("thief").Key
	later := authority.Leaf{NotBefore: time.Now().Add(time.Hour)}
	for _, c := range []struct {
		name        string
		certificate *authority.Certificate
		want        string
	}{
		{"good", y.clients.Client("acme"), ""},
		{"good, of an intermediate", y.clients.Intermediate("below").Client("acme"), ""},
		{"none", nil, ReasonNoCertificate},
		{"unknown CA", stranger.Client("acme"), ReasonUnknownCA},
		{"of the server's CA", y.servers.Client("acme"), ReasonUnknownCA},
		{"expired", y.clients.Issue(authority.Leaf{CommonName: "acme"}.Expired()), ReasonExpired},
		{"not yet valid", y.clients.Issue(later), ReasonExpired},
		{"a server's", y.clients.Server("acme.example"), ReasonBadCertificate},
		{"somebody else's", thief, ReasonBadCertificate},
	} {
		for _, version := range versions {
			config := y.client(c.certificate)
			config.MaxVersion = version
			m := handshake(t, s, config)
			if got := Describe(wrapped(m.serverErr)); got != c.want {
				t.Errorf("%s, %s: got %q, %v; want %q", c.name, tls.VersionName(version), got, m.serverErr, c.want)
			}
			if m.serverErr == nil {
				m.talk(t)
			} else if _, err := m.client.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s, %s: the client could read", c.name, tls.VersionName(version))
			}
		}
	}
}

func TestBrokenClientCertificate(t *testing.T) {
	y := newFixture(t)
	config := y.client(nil)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: [][]byte{[]byte("none")}, PrivateKey: y.server.Key}, nil
	}
	if m := handshake(t, start(t, y.files), config); Describe(m.serverErr) != ReasonBadCertificate {
		t.Errorf("got %q, %v", Describe(m.serverErr), m.serverErr)
	}
}

// Without client_ca, clients are not asked for a certificate.
func TestServerTLS(t *testing.T) {
	y := newFixture(t)
	y.files.ClientCA = ""
	m := mustHandshake(t, start(t, y.files), y.client(authority.New(t, "any").Client("any")))
	state := m.server.ConnectionState()
	if len(state.PeerCertificates) != 0 || state.ServerName != "hub.example" || state.NegotiatedProtocol != "" {
		t.Errorf("got %d certificates, server name %q, protocol %q", len(state.PeerCertificates), state.ServerName, state.NegotiatedProtocol)
	}
	if !m.shown().Equal(y.server.X509) {
		t.Error("another certificate was shown")
	}
}

func TestVersions(t *testing.T) {
	y := newFixture(t)
	y.files.ClientCA = ""
	for _, c := range []struct {
		least, client uint16
		want          string
	}{
		{0, tls.VersionTLS10, ReasonProtocolVersion},
		{0, tls.VersionTLS11, ReasonProtocolVersion},
		{0, tls.VersionTLS12, ""},
		{0, tls.VersionTLS13, ""},
		{tls.VersionTLS12, tls.VersionTLS11, ReasonProtocolVersion},
		{tls.VersionTLS12, tls.VersionTLS12, ""},
		{tls.VersionTLS13, tls.VersionTLS12, ReasonProtocolVersion},
		{tls.VersionTLS13, tls.VersionTLS13, ""},
	} {
		y.files.MinVersion = c.least
		config := y.client(nil)
		config.MinVersion, config.MaxVersion = c.client, c.client
		m := handshake(t, start(t, y.files), config)
		if got := Describe(wrapped(m.serverErr)); got != c.want {
			t.Errorf("%s to a server of %#x: got %q, %v; want %q", tls.VersionName(c.client), c.least, got, m.serverErr, c.want)
		}
	}
}

func TestIdentities(t *testing.T) {
	y := newFixture(t)
	leaf := y.clients.Issue(authority.Leaf{
		CommonName: "node 1",
		DNS:        []string{"a.acme.example", "*.acme.example", "B.acme.example."},
		URIs:       []string{"spiffe://trust/acme/node", "urn:acme:1"},
		Emails:     []string{"ops@acme.example"},
	})
	m := mustHandshake(t, start(t, y.files), y.client(leaf))
	got := Identities(m.server.ConnectionState().PeerCertificates[0])
	want := []string{"cn:node 1", "uri:spiffe://trust/acme/node", "uri:urn:acme:1",
		"dns:a.acme.example", "dns:*.acme.example", "dns:B.acme.example", "email:ops@acme.example"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, pattern := range []string{"cn:node *", "uri:spiffe://trust/*/node", "uri:spiffe://trust/**", "dns:b.acme.example", "email:*@acme.example"} {
		claims, err := tenant.NewClaims("", tenant.Claim{Tenant: "acme", Certificates: []string{pattern}})
		check(t, err)
		if name, err := claims.Tenant(tenant.Arrival{Identities: got}); name != "acme" {
			t.Errorf("%s: got %q, %v", pattern, name, err)
		}
	}
}

func TestIdentitiesAreLimited(t *testing.T) {
	ca := authority.New(t, "ca")
	long := func(n int) string { return fmt.Sprintf("spiffe://trust/%0*d", n-len("spiffe://trust/"), 0) }
	for _, c := range []struct {
		name string
		leaf authority.Leaf
		want []string
	}{
		{"none", authority.Leaf{}, nil},
		{"a line's end", authority.Leaf{CommonName: "a\nb", DNS: []string{"x"}}, []string{"dns:x"}},
		{"backwards", authority.Leaf{CommonName: "a\u202eb"}, nil},
		{"as long as may be", authority.Leaf{URIs: []string{long(256)}}, []string{"uri:" + long(256)}},
		{"too long", authority.Leaf{URIs: []string{long(257), "urn:x"}}, []string{"uri:urn:x"}},
	} {
		if got := Identities(ca.Issue(c.leaf).X509); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	var many authority.Leaf
	for i := range 100 {
		many.DNS = append(many.DNS, fmt.Sprintf("n%d.example", i))
		many.URIs = append(many.URIs, fmt.Sprintf("urn:n%d", i))
		many.Emails = append(many.Emails, fmt.Sprintf("n%d@example", i))
	}
	if got := Identities(ca.Issue(many).X509); len(got) != 64 || got[63] != "uri:urn:n63" {
		t.Errorf("got %d identities: %q", len(got), got)
	}
	if got := Identities(nil); got != nil {
		t.Errorf("no certificate: got %q", got)
	}
}
