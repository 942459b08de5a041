package tenant

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// A peer is in every group whose lists all match, and in no other.
func TestGroupsOf(t *testing.T) {
	g, err := NewGroups(
		Claim{Tenant: "inside", Networks: networks("10.0.0.0/8")},
		Claim{Tenant: "admin", Networks: networks("10.1.0.0/16", "192.0.2.7/32")},
		Claim{Tenant: "signed", Certificates: []string{"cn:admin", "dns:*.ops.example"}, Issuers: issuer("a")},
		Claim{Tenant: "named", Networks: networks("10.0.0.0/8"), ServerNames: []string{"*.acme.example"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		arrival Arrival
		want    []string
	}{
		{Arrival{Source: netip.MustParseAddr("10.2.0.1")}, []string{"inside"}},
		{Arrival{Source: netip.MustParseAddr("::ffff:10.1.2.3")}, []string{"inside", "admin"}},
		{Arrival{Source: netip.MustParseAddr("192.0.2.7")}, []string{"admin"}},
		{Arrival{Source: netip.MustParseAddr("192.0.2.8"), ServerName: "a.acme.example"}, nil},
		{Arrival{Source: netip.MustParseAddr("10.2.0.1"), ServerName: "A.acme.example"}, []string{"inside", "named"}},
		{Arrival{Identities: []string{"dns:a.ops.example"}, Issuers: issuer("a")}, []string{"signed"}},
		{Arrival{Identities: []string{"dns:a.ops.example"}, Issuers: issuer("b")}, nil},
		{Arrival{}, nil},
	} {
		if got := g.Of(tt.arrival); !slices.Equal(got, tt.want) {
			t.Errorf("%+v is in %q, want %q", tt.arrival, got, tt.want)
		}
	}
}

func TestNewGroupsRefuses(t *testing.T) {
	var many []Claim
	for i := range MaxGroups + 1 {
		many = append(many, Claim{Tenant: fmt.Sprint("g", i), Networks: networks("10.0.0.0/8")})
	}
	for want, groups := range map[string][]Claim{
		`group "a" names no peer; write networks`:                       {{Tenant: "a"}},
		`group "a", certificate "cn:*": it would claim everybody`:       {{Tenant: "a", Certificates: []string{"cn:*"}}},
		"33 groups, at most 32 are possible; put some of them together": many,
	} {
		if g, err := NewGroups(groups...); g != nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
