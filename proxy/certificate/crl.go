package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"time"
)

// crlType is the type of PEM blocks with lists of revoked certificates.
const crlType = "X509 CRL"

// A revokedError is the error of a handshake with a revoked certificate.
type revokedError struct{ certificate *x509.Certificate }

func (e *revokedError) Error() string {
	return fmt.Sprintf("the certificate with the serial number %x is revoked", e.certificate.SerialNumber)
}

// revocations are the revocation lists of a file. They are immutable.
type revocations struct {
	path  string
	lists []*x509.RevocationList
	// serials has the serial numbers of revoked certificates, as bytes, by the public key of
	// their CA.
	serials map[string]map[string]bool
}

// parseRevocations parses the revocation lists of the CAs. A certificate is revoked if any
// list of its CA contains it.
func parseRevocations(path string, content []byte, cas []*x509.Certificate) (*revocations, error) {
	lists, err := parseBlocks(roleCRL, path, content, blockKind{crlType, "list", "crl"}, x509.ParseRevocationList)
	if err != nil {
		return nil, err
	}
	r := &revocations{path: path, lists: lists, serials: make(map[string]map[string]bool)}
	for i, list := range lists {
		if what, remedy := r.add(list, cas); what != "" {
			return nil, wrong(roleCRL, path, fmt.Sprintf("its list %d %s", i+1, what), remedy)
		}
	}
	return r, nil
}

// add adds the entries of a list. It returns a description of the fault if the list is
// invalid, or "".
func (r *revocations) add(list *x509.RevocationList, cas []*x509.Certificate) (what, remedy string) {
	signers := slices.DeleteFunc(slices.Clone(cas), func(ca *x509.Certificate) bool {
		return !bytes.Equal(ca.RawSubject, list.RawIssuer) || list.CheckSignatureFrom(ca) != nil
	})
	if len(signers) == 0 {
		return "is signed by no CA of client_ca that may sign lists", "write the list of such a CA, or that CA into client_ca"
	}
	if hasCritical(list.Extensions) {
		return "does not list all certificates of its CA, or has a critical extension that is not known", "write a complete list of the CA's own"
	}
	for _, signer := range signers {
		key := string(signer.RawSubjectPublicKeyInfo)
		if r.serials[key] == nil {
			r.serials[key] = make(map[string]bool)
		}
		for _, entry := range list.RevokedCertificateEntries {
			if hasCritical(entry.Extensions) {
				return "has an entry with a critical extension, which may be about another CA's certificate", "write a list of the CA's own certificates"
			}
			r.serials[key][string(entry.SerialNumber.Bytes())] = true
		}
	}
	return "", ""
}

func hasCritical(extensions []pkix.Extension) bool {
	return slices.ContainsFunc(extensions, func(e pkix.Extension) bool { return e.Critical })
}

// find returns a revoked certificate in the chains, or nil. One chain with a revoked
// certificate is enough: a revoked intermediate CA is not trusted just because its
// certificate is also in client_ca.
func (r *revocations) find(chains [][]*x509.Certificate) *x509.Certificate {
	if r == nil {
		return nil
	}
	for _, chain := range chains {
		for i, ca := range chain[1:] {
			signed := chain[i]
			if serials := r.serials[string(ca.RawSubjectPublicKeyInfo)]; len(serials) > 0 && serials[string(signed.SerialNumber.Bytes())] {
				return signed
			}
		}
	}
	return nil
}

// verify implements tls.Config.VerifyConnection.
func (r *revocations) verify(state tls.ConnectionState) error {
	if c := r.find(state.VerifiedChains); c != nil {
		return &revokedError{c}
	}
	return nil
}

// warnings returns what is suspicious about the lists at the given time.
func (r *revocations) warnings(cas []*x509.Certificate, now time.Time) (all []string) {
	if r == nil {
		return nil
	}
	for i, list := range r.lists {
		switch {
		case !list.NextUpdate.IsZero() && now.After(list.NextUpdate):
			all = append(all, warning(roleCRL, r.path, fmt.Sprintf("its list %d expired at %s; certificates that were revoked since may be let in", i+1, list.NextUpdate.UTC().Format(time.RFC3339)), "write a new one there"))
		case now.Before(list.ThisUpdate):
			all = append(all, warning(roleCRL, r.path, fmt.Sprintf("its list %d is of %s, which is in the future", i+1, list.ThisUpdate.UTC().Format(time.RFC3339)), "set this machine's clock"))
		}
	}
	for i, ca := range cas {
		if r.serials[string(ca.RawSubjectPublicKeyInfo)] == nil {
			all = append(all, warning(roleCRL, r.path, fmt.Sprintf("it has no list of certificate %d of client_ca", i+1), "add that CA's list; until then none of its certificates is revoked"))
		}
	}
	return all
}

// Withdrawn returns why a client whose certificate was verified with these chains would now
// be refused: ReasonRevoked, ReasonExpired, ReasonUnknownCA, or "" if it would be accepted.
// A client without a certificate has no chains.
func (s *Source) Withdrawn(chains [][]*x509.Certificate, now time.Time) (reason string) {
	trust := s.inForce.Load().clients
	if trust == nil || len(chains) == 0 {
		return ""
	}
	if trust.revoked.find(chains) != nil {
		return ReasonRevoked
	}
	reason = ReasonUnknownCA
	for _, chain := range chains {
		signed, ca := chain[:len(chain)-1], chain[len(chain)-1]
		switch known, valid := trust.has(ca, now); {
		case valid && !slices.ContainsFunc(signed, func(c *x509.Certificate) bool { return now.After(c.NotAfter) }):
			return ""
		case known:
			reason = ReasonExpired
		}
	}
	return reason
}

// has reports whether a CA is trusted, and whether one of its present certificates is valid. The
// CA may have a new certificate for the same key.
func (t *clientTrust) has(ca *x509.Certificate, now time.Time) (known, valid bool) {
	for _, c := range t.cas {
		if bytes.Equal(c.RawSubject, ca.RawSubject) && bytes.Equal(c.RawSubjectPublicKeyInfo, ca.RawSubjectPublicKeyInfo) {
			what, _ := untimely(c, now)
			known, valid = true, valid || what == ""
		}
	}
	return known, valid
}
