// Package authority makes certificate authorities and certificates for tests, in memory and
// as PEM files.
package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An Authority signs certificates. A root signs its own certificate.
type Authority struct {
	t           testing.TB
	certificate *x509.Certificate
	key         crypto.Signer
	above       *Authority // nil for a root
}

// A Leaf describes a certificate to issue. The zero Leaf is for a client without names,
// valid from an hour ago until in a day.
type Leaf struct {
	CommonName          string
	DNS, URIs, Emails   []string
	Addresses           []netip.Addr
	Server              bool // for servers instead of clients
	NotBefore, NotAfter time.Time
	Key                 crypto.Signer // nil: a new ECDSA P-256 key
}

// A Certificate is a certificate with its key and its intermediate authorities.
type Certificate struct {
	X509  *x509.Certificate
	Key   crypto.Signer
	t     testing.TB
	chain []*x509.Certificate // X509 first, without the root
}

// New returns a root.
func New(t testing.TB, name string) *Authority {
	t.Helper()
	a := &Authority{t: t, key: newKey(t)}
	a.certificate = a.sign(ca(name), a.key.Public())
	return a
}

// NewExpired returns a root that expired an hour ago. Certificates that it signs are
// otherwise valid.
func NewExpired(t testing.TB, name string) *Authority {
	t.Helper()
	return New(t, name).Expired(name)
}

// over is a validity period in the past.
func over() (notBefore, notAfter time.Time) {
	return time.Now().Add(-48 * time.Hour), time.Now().Add(-time.Hour)
}

// Renamed returns a root with another name and the same key.
func (a *Authority) Renamed(name string) *Authority {
	a.t.Helper()
	renamed := &Authority{t: a.t, key: a.key}
	renamed.certificate = renamed.sign(ca(name), a.key.Public())
	return renamed
}

// Expired returns a root of that name with the same key, whose certificate expired an hour ago.
func (a *Authority) Expired(name string) *Authority {
	a.t.Helper()
	expired := &Authority{t: a.t, key: a.key}
	template := ca(name)
	template.NotBefore, template.NotAfter = over()
	expired.certificate = expired.sign(template, a.key.Public())
	return expired
}

// Intermediate returns an authority that is signed by a.
func (a *Authority) Intermediate(name string) *Authority {
	a.t.Helper()
	key := newKey(a.t)
	return &Authority{t: a.t, certificate: a.sign(ca(name), key.Public()), key: key, above: a}
}

// Constrained returns an authority that is signed by a, and may sign for names below that
// DNS name only, as far as they are DNS names. It may sign no other authority.
func (a *Authority) Constrained(name, below string) *Authority {
	a.t.Helper()
	template := ca(name)
	template.PermittedDNSDomainsCritical, template.PermittedDNSDomains = true, []string{below}
	template.MaxPathLenZero = true
	key := newKey(a.t)
	return &Authority{t: a.t, certificate: a.sign(template, key.Public()), key: key, above: a}
}

// Server issues a certificate for a server with these names and 127.0.0.1.
func (a *Authority) Server(names ...string) *Certificate {
	a.t.Helper()
	return a.Issue(Leaf{Server: true, DNS: names, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
}

// Client issues a certificate for a client.
func (a *Authority) Client(commonName string, uris ...string) *Certificate {
	a.t.Helper()
	return a.Issue(Leaf{CommonName: commonName, URIs: uris})
}

// Expired returns the Leaf with a validity period that ended an hour ago.
func (l Leaf) Expired() Leaf {
	l.NotBefore, l.NotAfter = over()
	return l
}

// Issue issues any certificate.
func (a *Authority) Issue(l Leaf) *Certificate {
	a.t.Helper()
	if l.Key == nil {
		l.Key = newKey(a.t)
	}
	c := &Certificate{X509: a.sign(l.template(a.t), l.Key.Public()), Key: l.Key, t: a.t}
	c.chain = []*x509.Certificate{c.X509}
	for between := a; between.above != nil; between = between.above {
		c.chain = append(c.chain, between.certificate)
	}
	return c
}

// template returns the certificate without what its authority adds.
func (l Leaf) template(t testing.TB) *x509.Certificate {
	c := &x509.Certificate{
		Subject:        pkix.Name{CommonName: l.CommonName},
		DNSNames:       l.DNS,
		EmailAddresses: l.Emails,
		NotBefore:      l.NotBefore,
		NotAfter:       l.NotAfter,
		KeyUsage:       x509.KeyUsageDigitalSignature,
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if l.Server {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, text := range l.URIs {
		uri, err := url.Parse(text)
		check(t, err)
		c.URIs = append(c.URIs, uri)
	}
	for _, addr := range l.Addresses {
		c.IPAddresses = append(c.IPAddresses, net.IP(addr.AsSlice()))
	}
	return c
}

func ca(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
}

// sign signs with the key of the authority. A root's own certificate is self-signed.
func (a *Authority) sign(template *x509.Certificate, key crypto.PublicKey) *x509.Certificate {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	check(a.t, err)
	template.SerialNumber = serial
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	parent := a.certificate
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	check(a.t, err)
	certificate, err := x509.ParseCertificate(der)
	check(a.t, err)
	return certificate
}

// CRL returns a list, in PEM, of these revoked certificates, which is valid until next.
func (a *Authority) CRL(next time.Time, revoked ...*x509.Certificate) []byte {
	a.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: next.Add(-24 * time.Hour), NextUpdate: next}
	for _, c := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.certificate, a.key)
	check(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// X509 returns the authority's own certificate.
func (a *Authority) X509() *x509.Certificate { return a.certificate }

// Pool returns a pool that trusts the authority.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte { return encode(a.certificate) }

// Write writes the authority's certificate to a file and returns its path.
func (a *Authority) Write(dir, name string) string {
	a.t.Helper()
	return write(a.t, filepath.Join(dir, name), a.PEM())
}

// TLS returns the certificate for a tls.Config.
func (c *Certificate) TLS() tls.Certificate {
	shown := tls.Certificate{PrivateKey: c.Key, Leaf: c.X509}
	for _, one := range c.chain {
		shown.Certificate = append(shown.Certificate, one.Raw)
	}
	return shown
}

// PEM returns the certificate, followed by its intermediates.
func (c *Certificate) PEM() []byte { return encode(c.chain...) }

// LeafPEM returns the certificate alone.
func (c *Certificate) LeafPEM() []byte { return encode(c.X509) }

// KeyPEM returns the key.
func (c *Certificate) KeyPEM() []byte {
	c.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	check(c.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Write writes NAME.pem and NAME.key and returns their paths. It replaces existing files
// atomically.
func (c *Certificate) Write(dir, name string) (certificate, key string) {
	c.t.Helper()
	return write(c.t, filepath.Join(dir, name+".pem"), c.PEM()), write(c.t, filepath.Join(dir, name+".key"), c.KeyPEM())
}

func encode(certificates ...*x509.Certificate) []byte {
	var text bytes.Buffer
	for _, c := range certificates {
		pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // writing to a Buffer cannot fail
	}
	return text.Bytes()
}

func write(t testing.TB, path string, content []byte) string {
	t.Helper()
	check(t, os.WriteFile(path+".new", content, 0o600))
	check(t, os.Rename(path+".new", path))
	return path
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
