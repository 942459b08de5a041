// Package devcert makes a certificate authority (CA) and certificates for trying mutual TLS. The key
// of the CA is never written, so that it vouches for nothing else.
//
//	Make    newSigner ─▶ issue, for the hub and for each client ─▶ files in memory
//	Write   a temporary folder beside the new one, which then gets its name
package devcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Domain is the domain of the clients. The top-level domain test is reserved (RFC 6761), so no
// client on the Internet has such a name.
const Domain = "msgserver.test"

// Hub is the name of the files of the hub's certificate.
const Hub = "hub"

// A Request says what certificates are for.
type Request struct {
	Hosts   []string // names and addresses at which clients connect to the hub
	Clients []string // each is the client NAME.msgserver.test
	Valid   time.Duration
}

// A File is to be written for its owner only.
type File struct {
	Name    string
	Content []byte
}

// A signer is the CA. It exists only within Make.
type signer struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// Make returns ca.pem, and NAME.pem and NAME.key of the hub and of each client.
func Make(r Request, now time.Time) ([]File, error) {
	ca, err := newSigner(r, now)
	if err != nil {
		return nil, fmt.Errorf("make the CA: %w", err)
	}
	files := []File{{"ca.pem", encode("CERTIFICATE", ca.certificate.Raw)}}
	hub := template(Hub, x509.ExtKeyUsageServerAuth)
	hub.DNSNames, hub.IPAddresses, _ = split(r.Hosts)
	for _, leaf := range append([]*x509.Certificate{hub}, clients(r)...) {
		pair, err := ca.issue(leaf)
		if err != nil {
			return nil, fmt.Errorf("make the certificate of %s: %w", leaf.Subject.CommonName, err)
		}
		files = append(files, pair...)
	}
	return files, nil
}

// clients returns what the certificates of the clients are to say.
func clients(r Request) (all []*x509.Certificate) {
	for _, name := range r.Clients {
		leaf := template(name, x509.ExtKeyUsageClientAuth)
		leaf.DNSNames = []string{name + "." + Domain}
		all = append(all, leaf)
	}
	return all
}

// template returns what the certificates of hub and clients have in common: they sign handshakes, on
// one side only.
func template(name string, usage x509.ExtKeyUsage) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
}

// newSigner makes the CA. Its name constraints permit the hub's hosts and the clients' domain, so
// whoever trusts it, such as a browser, trusts it for these only.
func newSigner(r Request, now time.Time) (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	names, _, networks := split(r.Hosts)
	root := &x509.Certificate{
		Subject:                     pkix.Name{CommonName: "Switchyard, for trying mutual TLS"},
		NotBefore:                   now.Add(-5 * time.Minute), // clocks differ
		NotAfter:                    now.Add(r.Valid),
		KeyUsage:                    x509.KeyUsageCertSign,
		IsCA:                        true,
		BasicConstraintsValid:       true,
		MaxPathLenZero:              true,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         append(names, Domain),
		PermittedIPRanges:           networks,
	}
	if len(networks) == 0 { // without a constraint every address would be permitted
		root.ExcludedIPRanges = []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}}
	}
	ca := &signer{certificate: root, key: key}
	ca.certificate, err = ca.sign(root, key.Public())
	return ca, err
}

// split sorts hosts into names and addresses. The networks are those of the single addresses.
func split(hosts []string) (names []string, addresses []net.IP, networks []*net.IPNet) {
	for _, host := range hosts {
		addr, err := netip.ParseAddr(host)
		if err != nil {
			names = append(names, host)
			continue
		}
		ip := net.IP(addr.Unmap().AsSlice())
		addresses = append(addresses, ip)
		networks = append(networks, &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))})
	}
	return names, addresses, networks
}

// issue returns the files of a certificate, which is valid as long as the CA: its key, and the
// certificate, in PEM.
func (ca *signer) issue(leaf *x509.Certificate) ([]File, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf.NotBefore, leaf.NotAfter = ca.certificate.NotBefore, ca.certificate.NotAfter
	signed, err := ca.sign(leaf, key.Public())
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	name := leaf.Subject.CommonName
	return []File{{name + ".pem", encode("CERTIFICATE", signed.Raw)}, {name + ".key", encode("PRIVATE KEY", der)}}, nil
}

// sign gives a certificate a serial number and signs it. The number is random, because two
// certificates of one issuer must not share one, and nothing is kept by which to count.
func (ca *signer) sign(c *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	c.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, c, ca.certificate, key, ca.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// encode returns DER as PEM.
func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Write writes the files to a new folder that only its owner may enter, all or none. An empty
// folder of that name is replaced, anything else refused.
func Write(folder string, files []File) error {
	there, err := os.ReadDir(folder)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; name a new folder", err)
	case len(there) > 0:
		return fmt.Errorf("%s is there and not empty; nothing is replaced, so name another folder", folder)
	}
	empty := err == nil
	folder = filepath.Clean(folder)
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(folder), ".unfinished-*") // 0700
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished) // nothing is left of it after a rename
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(unfinished, f.Name), f.Content, 0o600); err != nil {
			return err
		}
	}
	if empty {
		if err := os.Remove(folder); err != nil { // which removes no folder with something in it
			return err
		}
	}
	return os.Rename(unfinished, folder)
}
