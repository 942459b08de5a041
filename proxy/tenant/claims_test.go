package tenant

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

func networks(texts ...string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, text := range texts {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	return prefixes
}

func arrival(source, serverName string, identities ...string) Arrival {
	return Arrival{Source: netip.MustParseAddr(source), ServerName: serverName, Identities: identities}
}

func TestTenant(t *testing.T) {
	claims, err := NewClaims("rest",
		Claim{Tenant: "wide", Networks: networks("10.0.0.0/8", "fd00::/8")},
		Claim{Tenant: "narrow", Networks: networks("192.0.2.0/24", "10.1.0.0/16", "10.0.0.0/7")},
		Claim{Tenant: "all-kinds", Networks: networks("10.1.2.0/24"), Certificates: []string{"cn:node-*"}, ServerNames: []string{"acme.example", "*.acme.example"}},
		Claim{Tenant: "bearer", Certificates: []string{"dns:*.bearer.example", "uri:spiffe://trust/bearer/**"}},
		Claim{Tenant: "named", ServerNames: []string{"named.example"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		a    Arrival
		want string
	}{
		{"unclaimed", arrival("198.51.100.1", ""), "rest"},
		{"no source", Arrival{}, "rest"},
		{"one network", arrival("10.9.9.9", ""), "wide"},
		{"the longest network", arrival("10.1.9.9", ""), "narrow"},
		{"the second network", arrival("192.0.2.7", ""), "narrow"},
		{"IPv4 in IPv6", arrival("::ffff:10.1.9.9", ""), "narrow"},
		{"with a zone", arrival("fd00::1%eth0", ""), "wide"},
		{"all kinds", arrival("10.1.2.3", "acme.example", "cn:node-1"), "all-kinds"},
		{"all kinds, second name, second identity", arrival("10.1.2.3", "x.acme.example", "dns:y", "cn:node-1"), "all-kinds"},
		{"all kinds but the certificate", arrival("10.1.2.3", "acme.example", "cn:other"), "narrow"},
		{"all kinds but the certificate, of another kind", arrival("10.1.2.3", "acme.example", "dns:node-1"), "narrow"},
		{"all kinds but the server name", arrival("10.1.2.3", "", "cn:node-1"), "narrow"},
		{"all kinds but the network", arrival("10.1.3.3", "acme.example", "cn:node-1"), "narrow"},
		{"a certificate", arrival("198.51.100.1", "", "cn:x", "dns:a.bearer.example"), "bearer"},
		{"a second pattern", arrival("198.51.100.1", "", "uri:spiffe://trust/bearer/a/b"), "bearer"},
		{"a network is longer than none", arrival("10.9.9.9", "", "dns:a.bearer.example"), "wide"},
		{"a server name", arrival("198.51.100.1", "named.example"), "named"},
		{"a server name in capitals", arrival("198.51.100.1", "Named.Example"), "named"},
		{"a server name below", arrival("198.51.100.1", "x.named.example"), "rest"},
		{"a kind for a name", arrival("198.51.100.1", "", "dns"), "rest"},
	} {
		if got, err := claims.Tenant(c.a); got != c.want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestTenantRefuses(t *testing.T) {
	claims, err := NewClaims("",
		Claim{Tenant: "b", Certificates: []string{"cn:shared"}},
		Claim{Tenant: "a", ServerNames: []string{"shared.example"}},
		Claim{Tenant: "c", Networks: networks("10.0.0.0/8"), Certificates: []string{"cn:x"}},
		Claim{Tenant: "d", Networks: networks("10.0.0.0/8"), Certificates: []string{"dns:x"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		a    Arrival
		want error
		text string
	}{
		{"unclaimed", arrival("198.51.100.1", "other.example", "cn:other"), ErrUnclaimed, "name one in the listener's tenant"},
		{"two without a network", arrival("198.51.100.1", "shared.example", "cn:shared"), ErrAmbiguous, ": a, b; "},
		{"two with networks of one length", arrival("10.0.0.1", "shared.example", "cn:x", "dns:x", "cn:shared"), ErrAmbiguous, ": c, d; "},
	} {
		got, err := claims.Tenant(c.a)
		if got != "" || !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: got %q, %v; want %v with %q", c.name, got, err, c.want, c.text)
		}
	}
}

// issuer returns the fingerprint of 64 such digits.
func issuer(digit string) []string { return []string{strings.Repeat(digit, 64)} }

// A claim with issuers needs one of them among the CAs that vouch. Fingerprints are
// compared without regard to colons and letter case.
func TestTenantByIssuer(t *testing.T) {
	colons := strings.TrimSuffix(strings.Repeat("AB:", 32), ":")
	claims, err := NewClaims("rest",
		Claim{Tenant: "bound", Certificates: []string{"cn:acme"}, Issuers: []string{colons, issuer("c")[0]}},
		Claim{Tenant: "all", Issuers: issuer("d")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		issuers []string
		name    string
		want    string
	}{
		{[]string{strings.Repeat("ab", 32)}, "cn:acme", "bound"},
		{[]string{issuer("e")[0], issuer("c")[0]}, "cn:acme", "bound"},
		{issuer("c"), "cn:other", "rest"},
		{issuer("e"), "cn:acme", "rest"},
		{nil, "cn:acme", "rest"},
		{issuer("d"), "cn:whoever", "all"},
		{issuer("d"), "cn:acme", "all"},
	} {
		a := arrival("10.0.0.1", "", c.name)
		a.Issuers = c.issuers
		if got, err := claims.Tenant(a); got != c.want || err != nil {
			t.Errorf("%s of %.2q: got %q, %v; want %q", c.name, c.issuers, got, err, c.want)
		}
	}
}

// However many tenants claim a connection, the error stays short.
func TestTenantListsFew(t *testing.T) {
	var claims []Claim
	for i := range 40 {
		claims = append(claims, Claim{Tenant: fmt.Sprintf("t%02d", i), Certificates: []string{fmt.Sprintf("cn:%d", i)}})
	}
	c, err := NewClaims("", claims...)
	if err != nil {
		t.Fatal(err)
	}
	a := Arrival{}
	for i := range 40 {
		a.Identities = append(a.Identities, fmt.Sprintf("cn:%d", i))
	}
	_, err = c.Tenant(a)
	if want := "t07 and 32 more;"; !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q in it", err, want)
	}
}

// Changing the caller's slices does not change the Claims, which are safe for concurrent
// use.
func TestClaimsNeverChange(t *testing.T) {
	claim := Claim{Tenant: "a", Networks: networks("10.0.0.0/8"), Certificates: []string{"cn:a"}, ServerNames: []string{"a.example"}}
	claims, err := NewClaims("", claim)
	if err != nil {
		t.Fatal(err)
	}
	claim.Networks[0], claim.Certificates[0], claim.ServerNames[0] = networks("192.0.2.0/24")[0], "cn:b", "b.example"
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				if got, err := claims.Tenant(arrival("10.1.1.1", "A.example", "cn:a")); got != "a" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	all.Wait()
}

func TestNewClaimsRefuses(t *testing.T) {
	certificate := func(p string) Claim { return Claim{Tenant: "a", Certificates: []string{p}} }
	serverName := func(p string) Claim { return Claim{Tenant: "a", ServerNames: []string{p}} }
	network := func(p string) Claim { return Claim{Tenant: "a", Networks: networks(p)} }
	for _, c := range []struct {
		claim Claim
		want  string
	}{
		{Claim{Certificates: []string{"cn:x"}}, "write the tenant's name"},
		{Claim{Tenant: "a"}, `tenant "a" claims nothing; name networks, certificates or server_names`},
		{Claim{Tenant: "a", Networks: make([]netip.Prefix, 1)}, "it is not a network; write one like"},
		{network("10.1.2.3/8"), `network "10.1.2.3/8": it has an address inside of the network; write 10.0.0.0/8`},
		{network("::ffff:10.0.0.0/104"), "compared as IPv4; write 10.0.0.0/8"},
		{certificate(""), "it does not begin with its kind"},
		{certificate("acme"), "it does not begin with its kind"},
		{certificate("ip:10.0.0.1"), `certificate "ip:10.0.0.1": it does not begin with its kind; write cn:, dns:, uri: or email:`},
		{certificate("CN:acme"), "it does not begin with its kind"},
		{certificate("spiffe://trust/*"), "it does not begin with its kind"},
		{certificate("*"), "it does not begin with its kind"},
		{certificate("cn:"), "it is empty"},
		{certificate("cn:*"), "it would claim everybody; write the part of the name"},
		{certificate("dns:*"), "it would claim everybody"},
		{certificate("dns:*.*"), "it would claim everybody"},
		{certificate("uri:*"), "it would claim everybody"},
		{certificate("uri:**"), "it would claim everybody"},
		{certificate("uri:*://*/**"), "it would claim everybody"},
		{certificate("email:*@*"), "it would claim everybody"},
		{certificate("cn:a**"), "two stars stand for a path"},
		{certificate("cn:a/**"), "two stars stand for a path"},
		{certificate("uri:spiffe://trust/**/x"), "two stars stand for a path"},
		{certificate("uri:spiffe://trust/a**"), "two stars stand for a path"},
		{certificate("uri:spiffe://trust/***"), "two stars stand for a path"},
		{certificate("uri:spiffe://*/acme"), "star in the scheme or the host"},
		{certificate("uri:spiffe://trust*/acme"), "star in the scheme or the host"},
		{certificate("uri:spiffe://trust*"), "star in the scheme or the host"},
		{certificate("uri:s*://trust/acme"), "star in the scheme or the host"},
		{certificate("uri:spiffe:///acme"), "it has no host"},
		{certificate("uri:trust/acme"), "it has no scheme"},
		{certificate("uri:trust/acme:1"), "it has no scheme"},
		{certificate("uri:://trust"), "it has no scheme"},
		{certificate("dns:.acme.example"), "empty label"},
		{certificate("dns:acme.example."), "empty label"},
		{certificate("dns:bücher.example"), "xn--"},
		{certificate("dns:acme/example"), "a DNS name has letters"},
		{certificate("cn: acme"), "begins or ends with a space"},
		{certificate("cn:ac\nme"), "cannot be seen"},
		{certificate("cn:ac\u202eme"), "cannot be seen"},
		{certificate("cn:ac\xffme"), "cannot be seen"},
		{certificate("cn:" + strings.Repeat("a", 257)), "it has 257 bytes"},
		{Claim{Tenant: "a", Issuers: []string{"Acme CA"}}, `tenant "a", issuer "Acme CA": it is not a SHA-256 of 64 hex digits; write what`},
		{Claim{Tenant: "a", Issuers: []string{strings.Repeat("ab", 31)}}, "it is not a SHA-256"},
		{Claim{Tenant: "a", Issuers: []string{strings.Repeat("xy", 32)}}, "it is not a SHA-256"},
		{serverName(""), `server name "": it is empty`},
		{serverName("*"), "it would claim everybody"},
		{serverName("*.*.example"), "the whole first label only"},
		{serverName("a*.example"), "the whole first label only"},
		{serverName("x.*.example"), "the whole first label only"},
		{serverName("**.example"), "the whole first label only"},
		{serverName("acme.example."), "empty label"},
		{serverName("*."), "it would claim everybody"},
		{serverName("192.0.2.1"), "it is an address"},
		{serverName("acme.example:8200"), "a DNS name has letters"},
	} {
		got, err := NewClaims("", c.claim)
		if got != nil || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%+v: got %v, want %q", c.claim, err, c.want)
		}
	}
}

func TestNewClaimsReportsAll(t *testing.T) {
	_, err := NewClaims("", Claim{Tenant: "a", Certificates: []string{"x:y", "cn:*"}, ServerNames: []string{"*"}},
		Claim{Tenant: "b"}, Claim{Tenant: "b", ServerNames: []string{"b.example"}})
	for _, want := range []string{`"x:y"`, `"cn:*"`, `server name "*"`, `"b" claims nothing`, `"b" has two claims; write all`} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	_, err = NewClaims("", Claim{Tenant: "a", Certificates: []string{"cn:" + strings.Repeat("long", 1000)}})
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("a long pattern makes a long error: %v", err)
	}
}

func TestOverlaps(t *testing.T) {
	at := func(tenant string, c Claim) Claim { c.Tenant = tenant; return c }
	ten := Claim{Networks: networks("10.0.0.0/8", "192.0.2.0/24")}
	tenAcme := Claim{Networks: networks("10.0.0.0/8"), ServerNames: []string{"acme.example"}}
	acme := Claim{ServerNames: []string{"x.example", "acme.example"}}
	for _, c := range []struct {
		name string
		a, b Claim
		want string
	}{
		{"one network", ten, Claim{Networks: networks("10.0.0.0/8")}, `tenants "a" and "b" both claim network 10.0.0.0/8, and nothing`},
		{"one network, one says more", ten, tenAcme, "both claim network 10.0.0.0/8"},
		{"one network, all the same", tenAcme, tenAcme, "both claim network 10.0.0.0/8"},
		{"one network, other names", tenAcme, Claim{Networks: networks("10.0.0.0/8"), ServerNames: []string{"b.example"}}, ""},
		{"one network, other kinds", tenAcme, Claim{Networks: networks("10.0.0.0/8"), Certificates: []string{"cn:x"}}, "both claim network 10.0.0.0/8"},
		{"one network, other certificates", Claim{Networks: networks("10.0.0.0/8"), Certificates: []string{"cn:x"}}, Claim{Networks: networks("10.0.0.0/8"), Certificates: []string{"cn:y"}}, ""},
		{"one network, a name and a star for it", tenAcme, Claim{Networks: networks("10.0.0.0/8"), ServerNames: []string{"*.EXAMPLE"}}, "both claim network 10.0.0.0/8"},
		{"one network, a name and a star for others", tenAcme, Claim{Networks: networks("10.0.0.0/8"), ServerNames: []string{"*.acme.example"}}, ""},
		{"a network and a part of it", ten, Claim{Networks: networks("10.0.0.0/9")}, ""},
		{"a network and none", tenAcme, acme, ""},
		{"one server name", acme, Claim{ServerNames: []string{"ACME.example"}}, `both claim server name "acme.example"`},
		{"one server name, one says more", acme, Claim{ServerNames: []string{"acme.example"}, Certificates: []string{"cn:x"}}, `both claim server name "acme.example"`},
		{"one certificate", Claim{Certificates: []string{"dns:*.x.example"}}, Claim{Certificates: []string{"cn:b", "dns:*.X.example"}}, `both claim certificate "dns:*.x.example"`},
		{"one name of two kinds", Claim{Certificates: []string{"dns:x.example"}}, Claim{Certificates: []string{"cn:x.example"}}, ""},
		{"other kinds", acme, Claim{Certificates: []string{"cn:x"}}, ""},
		{"one certificate of two issuers", Claim{Certificates: []string{"cn:x"}, Issuers: issuer("a")}, Claim{Certificates: []string{"cn:x"}, Issuers: issuer("b")}, ""},
		{"one certificate, one names its issuer", Claim{Certificates: []string{"cn:x"}, Issuers: issuer("a")}, Claim{Certificates: []string{"cn:x"}}, `both claim certificate "cn:x"`},
		{"one issuer", Claim{Issuers: issuer("a")}, Claim{Issuers: issuer("A")}, `both claim issuer "aaaa`},
	} {
		for _, claims := range [][]Claim{{at("a", c.a), at("b", c.b)}, {at("a", c.b), at("b", c.a)}} {
			_, err := NewClaims("", claims...)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			}
		}
	}
}
