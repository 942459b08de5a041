package certificate

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A tenant claims connections by these names, and a certificate may have thousands of names.
// The limits bound the cost of one handshake.
const (
	mostIdentities  = 64
	longestIdentity = 256 // bytes, without the kind
)

// Identities returns the names in a verified certificate, each with its kind: "cn:NAME",
// "uri:URI", "dns:NAME", "email:ADDRESS". There are at most 64. A name that is longer than
// 256 bytes or has an invisible character is left out, and not shortened: what remains
// could be the name of another client.
func Identities(c *x509.Certificate) []string {
	if c == nil {
		return nil
	}
	var identities []string
	for kind, name := range names(c) {
		if len(identities) == mostIdentities {
			break
		}
		if isPlain(name) {
			identities = append(identities, kind+":"+name)
		}
	}
	return identities
}

// Issuers returns the fingerprints of all CAs in the verified chains of a client's
// certificate: the SHA-256 of each one's certificate in lower-case hex digits. A CA's name
// is not enough, because another CA may sign a certificate with the same name.
func Issuers(chains [][]*x509.Certificate) (fingerprints []string) {
	for _, chain := range chains {
		for _, ca := range chain[1:] {
			fingerprints = append(fingerprints, fmt.Sprintf("%x", sha256.Sum256(ca.Raw)))
		}
	}
	return fingerprints
}

// names iterates over all names in a certificate, with their kinds: cn first, then uri, dns and
// email. A DNS name loses the dot of the root, "hub.acme.example." is "hub.acme.example".
func names(c *x509.Certificate) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if !yield("cn", c.Subject.CommonName) {
			return
		}
		for _, uri := range c.URIs {
			if !yield("uri", uri.String()) {
				return
			}
		}
		for _, name := range c.DNSNames {
			if !yield("dns", strings.TrimSuffix(name, ".")) {
				return
			}
		}
		for _, address := range c.EmailAddresses {
			if !yield("email", address) {
				return
			}
		}
	}
}

func isPlain(name string) bool {
	return name != "" && len(name) <= longestIdentity && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}
