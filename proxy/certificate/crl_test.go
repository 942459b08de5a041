package certificate

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/certificate/authority"
)

func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }

// Revoked certificates are refused, also those of a CA between, and no others.
func TestRevokedCertificates(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	bad, good := b.clients.Client("acme"), b.clients.Client("acme")
	between := b.clients.Intermediate("between")
	namesake := authority.New(t, "clients").Issue(authority.Leaf{CommonName: "acme"})
	b.files.CRL = b.file("crl.pem", b.clients.CRL(tomorrow(), bad.X509, between.X509()))
	s := start(t, b.files)
	for _, c := range []struct {
		name string
		leaf *authority.Certificate
		want string
	}{
		{"good", good, ""},
		{"revoked", bad, ReasonRevoked},
		{"of a revoked CA", between.Client("acme"), ReasonRevoked},
		{"of a CA of the same name", namesake, ReasonUnknownCA},
	} {
		for _, version := range versions {
			config := b.client(c.leaf)
			config.MaxVersion = version
			if m := handshake(t, s, config); Describe(wrapped(m.serverErr)) != c.want {
				t.Errorf("%s, %s: got %v, want %q", c.name, tls.VersionName(version), m.serverErr, c.want)
			}
		}
	}
}

// An intermediate is revoked although it is in client_ca, too, where its list needs it.
func TestRevokedCAOfTheBundle(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	between := b.clients.Intermediate("between")
	b.files.ClientCA = b.file("both.pem", b.clients.PEM(), between.PEM())
	b.files.CRL = b.file("crl.pem", between.CRL(tomorrow()), b.clients.CRL(tomorrow(), between.X509()))
	if m := handshake(t, start(t, b.files), b.client(between.Client("acme"))); Describe(m.serverErr) != ReasonRevoked {
		t.Errorf("got %v", m.serverErr)
	}
}

func TestListsThatAreRefused(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	good := b.clients.CRL(tomorrow())
	delta := &x509.RevocationList{Number: big.NewInt(2), ThisUpdate: time.Now(), NextUpdate: tomorrow(),
		ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}}
	key := authority.New(t, "other").Issue(authority.Leaf{}).Key
	der, err := x509.CreateRevocationList(rand.Reader, delta, &x509.Certificate{Subject: pkix.Name{CommonName: "x"}, SubjectKeyId: []byte{1}, KeyUsage: x509.KeyUsageCRLSign}, key)
	check(t, err)
	for _, c := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", nil, "it has no PEM block of a list"},
		{"a certificate", b.clients.PEM(), "it has no PEM block of a list"},
		{"cut", good[:len(good)-20], "only 0 of its 1 lists are whole"},
		{"no list", pem.EncodeToMemory(&pem.Block{Type: crlType, Bytes: []byte("secret")}), "its list 1 cannot be parsed"},
		{"of another CA", b.servers.CRL(tomorrow()), "its list 1 is signed by no CA of client_ca"},
		{"of a CA of the same name", append(good, authority.New(t, "clients").CRL(tomorrow())...), "its list 2 is signed by no CA of client_ca"},
		{"of a stranger", pem.EncodeToMemory(&pem.Block{Type: crlType, Bytes: der}), "signed by no CA"},
	} {
		b.files.CRL = b.file("crl.pem", c.content)
		if _, err := load(b.files, 0); err == nil || !strings.Contains(err.Error(), "crl "+b.files.CRL) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if what, _ := (&revocations{serials: map[string]map[string]bool{}}).add(criticalList(t, b.clients), []*x509.Certificate{b.clients.X509()}); !strings.Contains(what, "critical extension") {
		t.Errorf("a list of a part: got %q", what)
	}
}

// criticalList returns a sound list that claims to be one of a part.
func criticalList(t *testing.T, ca *authority.Authority) *x509.RevocationList {
	t.Helper()
	block, _ := pem.Decode(ca.CRL(tomorrow()))
	list, err := x509.ParseRevocationList(block.Bytes)
	check(t, err)
	list.Extensions = append(list.Extensions, pkix.Extension{Id: []int{2, 5, 29, 28}, Critical: true})
	return list
}

// A changed list applies from the next reload on, and a bad one changes nothing.
func TestListIsReloaded(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	leaf := b.clients.Client("acme")
	b.files.CRL = b.file("crl.pem", b.clients.CRL(tomorrow()))
	s := start(t, b.files)
	mustHandshake(t, s, b.client(leaf))
	b.file("crl.pem", b.clients.CRL(tomorrow(), leaf.X509))
	if changed, err := s.Reload(); !changed || err != nil {
		t.Errorf("got %t, %v", changed, err)
	}
	b.file("crl.pem", []byte("nothing"))
	if changed, err := s.Reload(); changed || err == nil {
		t.Errorf("a bad list: got %t, %v", changed, err)
	}
	if m := handshake(t, s, b.client(leaf)); Describe(m.serverErr) != ReasonRevoked {
		t.Errorf("got %v", m.serverErr)
	}
}

// An expired list still counts, and is warned of when its time comes, without a reload.
func TestWarningsAboutLists(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	leaf := b.clients.Client("acme")
	other := authority.New(t, "more clients")
	b.files.ClientCA = b.file("two.pem", b.clients.PEM(), other.PEM())
	b.files.CRL = b.file("crl.pem", b.clients.CRL(tomorrow(), leaf.X509))
	s := start(t, b.files)
	trust := s.inForce.Load().clients
	for _, c := range []struct {
		at   time.Time
		want []string
	}{
		{time.Now().Add(time.Hour), []string{"no list of certificate 2"}},
		{tomorrow().Add(time.Hour), []string{"its list 1 expired at", "no list of certificate 2"}},
		{time.Now().Add(-48 * time.Hour), []string{"in the future", "no list of certificate 2"}},
	} {
		got := trust.revoked.warnings(trust.cas, c.at)
		if len(got) != len(c.want) {
			t.Errorf("at %v: got %q, want %q", c.at, got, c.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], c.want[i]) {
				t.Errorf("at %v: got %q, want %q", c.at, got[i], c.want[i])
			}
		}
	}
	b.files.CRL = b.file("crl.pem", b.clients.CRL(time.Now().Add(-time.Hour), leaf.X509))
	s = start(t, b.files)
	if got := s.Warnings(); len(got) == 0 || !strings.Contains(got[0], "expired") {
		t.Errorf("got %q", got)
	}
	if m := handshake(t, s, b.client(leaf)); Describe(m.serverErr) != ReasonRevoked {
		t.Errorf("got %v", m.serverErr)
	}
}

// What let a client in can be withdrawn later.
func TestWithdrawn(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	leaf := b.clients.Client("acme")
	s := start(t, b.files)
	chains := mustHandshake(t, s, b.client(leaf)).server.ConnectionState().VerifiedChains
	withdrawn := func(what, want string, at time.Time) {
		t.Helper()
		if got := s.Withdrawn(chains, at); got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	withdrawn("as it was", "", time.Now())
	withdrawn("after its time", ReasonExpired, leaf.X509.NotAfter.Add(time.Second))
	if got := s.Withdrawn(nil, tomorrow()); got != "" {
		t.Errorf("without a certificate: got %q", got)
	}

	b.files.CRL = b.file("crl.pem", b.clients.CRL(tomorrow(), leaf.X509))
	_, err := s.Exchange(b.files)
	check(t, err)
	withdrawn("in a list", ReasonRevoked, time.Now())

	b.files.CRL, b.files.ClientCA = "", b.file("new.pem", b.clients.Renamed("renamed").PEM())
	_, err = s.Exchange(b.files)
	check(t, err)
	withdrawn("its CA is gone", ReasonUnknownCA, time.Now())

	b.files.ClientCA = b.file("again.pem", b.clients.Renamed("clients").PEM())
	_, err = s.Exchange(b.files)
	check(t, err)
	withdrawn("its CA has another certificate", "", time.Now())

	old := chains[0][len(chains[0])-1]
	chains[0][len(chains[0])-1] = b.clients.Expired("clients").X509()
	withdrawn("the CA's certificate has expired, and the new one has not", "", time.Now())

	b.files.ClientCA = b.file("both.pem", b.clients.Expired("clients").PEM(), authority.New(t, "more clients").PEM())
	_, err = s.Exchange(b.files)
	check(t, err)
	chains[0][len(chains[0])-1] = old
	withdrawn("the CA's certificate that is there now has expired", ReasonExpired, time.Now())

	b.files.ClientCA = ""
	_, err = s.Exchange(b.files)
	check(t, err)
	withdrawn("clients need none", "", time.Now())
}
