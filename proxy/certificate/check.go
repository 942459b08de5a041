package certificate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// A server whose certificate is refused by clients looks healthy: it listens, and every
// handshake fails at the client. So whatever clients would refuse is an error when the files are
// read. Whatever they would refuse later, or only some would refuse, is a warning. TLS sends
// this chain:
//
//	certificate 1  CN=hub.acme.example   with the key in the key file
//	certificate 2  CN=Acme CA 7          signed 1
//	(certificate 3 CN=Acme Root          signed 2; may be left out, as clients have it)

// leastRSA is how many bits an RSA key must have to be safe.
const leastRSA = 2048

// mostNamed is how many bytes the names of all client CAs may have. TLS sends them to
// clients in one message of 64 KiB; 1 KiB is left for the rest of it.
const mostNamed = 64<<10 - 1<<10

// pair returns the server's certificate with its key, after checking that clients can
// accept it.
func pair(files Files, contents contents, now time.Time) (shown tls.Certificate, warnings []string, err error) {
	chain, err := parseCertificates(roleCertificate, files.Certificate, contents.certificate)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	key, err := parseKey(files.Key, contents.key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf := chain[0]
	if what, remedy := unlike(chain, key); what != "" {
		return tls.Certificate{}, nil, wrong(roleKey, files.Key, what, fmt.Sprintf(remedy, files.Certificate))
	}
	for _, find := range []func() (what, remedy string){
		func() (string, string) { return unusable(leaf.PublicKey) },
		func() (string, string) { return untimely(leaf, now) },
		func() (string, string) { return purposeless(leaf) },
		func() (string, string) { return disordered(chain) },
	} {
		if what, remedy := find(); what != "" {
			return tls.Certificate{}, nil, wrong(roleCertificate, files.Certificate, what, remedy)
		}
	}
	shown = tls.Certificate{PrivateKey: key, Leaf: leaf}
	for i, c := range chain {
		shown.Certificate = append(shown.Certificate, c.Raw)
		if what, remedy := untimely(c, now); what != "" {
			what = fmt.Sprintf("certificate %d, which signed the one before: %s", i+1, what)
			warnings = append(warnings, warning(roleCertificate, files.Certificate, what, remedy))
		}
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.URIs) == 0 {
		warnings = append(warnings, warning(roleCertificate, files.Certificate, "it has no name that a client could compare",
			"ask for one with the server's name as a subject alternative name"))
	}
	return shown, append(warnings, exposed(files.Key)...), nil
}

// unlike returns why a key does not belong to the first certificate of the chain. The
// remedy has a %s for the certificate's file. Like the functions below, it returns "" if
// all is well.
func unlike(chain []*x509.Certificate, key crypto.Signer) (what, remedy string) {
	for i, c := range chain {
		public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		switch {
		case !ok || !public.Equal(key.Public()):
		case i == 0:
			return "", ""
		default:
			return fmt.Sprintf("it belongs to certificate %d of the chain, and not to the first", i+1), "put that one first in %s"
		}
	}
	return "it does not belong to the certificate", "write the key that %s was made with"
}

// unusable returns why a server cannot sign handshakes with a key.
func unusable(key crypto.PublicKey) (what, remedy string) {
	const other = "ask for a certificate with a key of ECDSA P-256, Ed25519 or RSA with 2048 bits"
	switch key := key.(type) {
	case *rsa.PublicKey:
		return weak(key)
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P224() {
			return "its key is on the curve P-224, which TLS does not use", other
		}
	case ed25519.PublicKey:
	default:
		return "its key is of a kind that TLS does not use", other
	}
	return "", ""
}

// weak returns why signatures by a key cannot be trusted.
func weak(key crypto.PublicKey) (what, remedy string) {
	if key, ok := key.(*rsa.PublicKey); ok && key.N.BitLen() < leastRSA {
		return fmt.Sprintf("its RSA key has %d bits", key.N.BitLen()), fmt.Sprintf("make one with %d or more", leastRSA)
	}
	return "", ""
}

// untimely returns why a certificate is not valid at that time.
func untimely(c *x509.Certificate, now time.Time) (what, remedy string) {
	date := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case now.After(c.NotAfter):
		return fmt.Sprintf("it expired at %s, and now it is %s", date(c.NotAfter), date(now)), "write a new one there"
	case now.Before(c.NotBefore):
		return fmt.Sprintf("it is not valid until %s, and now it is %s", date(c.NotBefore), date(now)), "set this machine's clock, or reload when it is time"
	}
	return "", ""
}

// purposeless returns why clients do not accept a certificate as a server's.
func purposeless(c *x509.Certificate) (what, remedy string) {
	serves := func(u x509.ExtKeyUsage) bool { return u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageAny }
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && !slices.ContainsFunc(c.ExtKeyUsage, serves) {
		return "it is not for servers", "ask for one with the extended key usage serverAuth"
	}
	return "", ""
}

// disordered returns where a chain is broken.
func disordered(chain []*x509.Certificate) (what, remedy string) {
	for i, signer := range chain[1:] {
		if what, remedy := weak(signer.PublicKey); what != "" {
			return fmt.Sprintf("certificate %d: %s", i+2, what), remedy
		}
		signed := chain[i]
		if !bytes.Equal(signed.RawIssuer, signer.RawSubject) || signed.CheckSignatureFrom(signer) != nil {
			return fmt.Sprintf("its certificate %d did not sign certificate %d", i+2, i+1),
				"put the server's certificate first, and after each the one that signed it"
		}
	}
	return "", ""
}

// exposed returns a warning if too many users can read a key file. On Windows, the mode
// does not say that.
func exposed(path string) []string {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || info.Mode()&0o027 == 0 {
		return nil
	}
	what := fmt.Sprintf("its mode is %04o, so others can read or change it", info.Mode().Perm())
	return []string{warning(roleKey, path, what, "set it to 0600, or to 0640 for a group")}
}

// clientTrust is what client certificates are verified against. It is immutable. It has two users:
// crypto/tls in each handshake, and Withdrawn for open connections.
type clientTrust struct {
	cas  []*x509.Certificate // CAs that may sign client certificates, even if they are not valid now
	pool *x509.CertPool      // of cas

	revoked *revocations // nil if there are no lists
}

// vouchers is Source.Vouchers. t is nil if clients need no certificate.
func (t *clientTrust) vouchers() string {
	switch {
	case t == nil:
		return ""
	case len(t.cas) > 1:
		return fmt.Sprintf("client_ca has %d CAs", len(t.cas))
	case !t.cas[0].MaxPathLenZero:
		return "the CA in client_ca may let other CAs vouch, as it has no pathlen of 0"
	}
	return ""
}

// clientCAs returns the CAs of client certificates.
func clientCAs(path string, content []byte, now time.Time) (trust *clientTrust, warnings []string, err error) {
	certificates, err := parseCertificates(roleClientCA, path, content)
	if err != nil {
		return nil, nil, err
	}
	trust = &clientTrust{pool: x509.NewCertPool()}
	usable, named := 0, 0
	what, remedy := "", ""
	for i, c := range certificates {
		if what, remedy = unfit(c); what == "" {
			trust.cas = append(trust.cas, c)
			trust.pool.AddCert(c) // its validity period is checked in each handshake
			named += len(c.RawSubject) + 2
			what, remedy = untimely(c, now)
		}
		if what == "" {
			usable++
			continue
		}
		warnings = append(warnings, warning(roleClientCA, path, fmt.Sprintf("certificate %d admits no client: %s", i+1, what), remedy))
	}
	switch {
	case named > mostNamed:
		return nil, nil, wrong(roleClientCA, path, fmt.Sprintf("the names of its CAs have %d bytes; each handshake sends them all, in at most %d bytes", named, mostNamed),
			"write fewer, or one that signs them all")
	case usable > 0:
		return trust, warnings, nil
	case len(certificates) == 1:
		return nil, nil, wrong(roleClientCA, path, what, remedy)
	}
	what = fmt.Sprintf("none of its %d certificates is a CA's that is valid now, nor is the last: %s", len(certificates), what)
	return nil, nil, wrong(roleClientCA, path, what, remedy)
}

// unfit returns why a certificate may not sign those of clients. One that is not a CA's
// would admit its own holder.
func unfit(c *x509.Certificate) (what, remedy string) {
	if !c.IsCA || !c.BasicConstraintsValid {
		return "it is not a CA's", "write the certificate of the CA that signs those of clients"
	}
	return weak(c.PublicKey)
}
