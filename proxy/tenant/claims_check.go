package tenant

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestPattern is the length in bytes of the longest pattern. Names that are matched
// are not longer either.
const longestPattern = 256

// A remedy is why a pattern is refused, and what to write instead.
type remedy string

func (r remedy) Error() string { return string(r) }

// compileClaim checks and compiles the claim of a tenant, which has to name something.
func compileClaim(raw Claim) (claim, error) {
	var faults []error
	if raw.Tenant == "" {
		faults = append(faults, errors.New("a claim has no tenant; write the tenant's name"))
	}
	if raw.IsEmpty() {
		faults = append(faults, fmt.Errorf("tenant %q claims nothing; name networks, certificates or server_names", raw.Tenant))
	}
	c, err := compileLists(raw, fmt.Sprintf("tenant %q", raw.Tenant))
	return c, errors.Join(append(faults, err)...)
}

// IsEmpty reports whether the claim names nothing.
func (c Claim) IsEmpty() bool {
	return len(c.Networks)+len(c.Certificates)+len(c.Issuers)+len(c.ServerNames) == 0
}

// compileLists compiles the lists of a claim of that owner, and reports every fault in them. Each text is
// brought into the form in which names are compared, so that a match is a comparison of bytes:
//
//	certificates   "dns:*.Acme.Example"   kind dns, *.acme.example
//	issuers        "AB:CD:…"              abcd…, 64 hex digits
//	server_names   "Acme.Example"         acme.example
func compileLists(raw Claim, owner string) (claim, error) {
	c := claim{tenant: raw.Tenant}
	var faults []error
	check := func(what, text string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s, %s %s: %w", owner, what, quoted(text), err))
		}
	}
	for _, network := range raw.Networks {
		check("network", network.String(), checkNetwork(network))
	}
	c.networks = slices.Clone(raw.Networks)
	c.certificates = compileTexts(raw.Certificates, "certificate", compileIdentity, check)
	c.issuers = compileTexts(raw.Issuers, "issuer", compileIssuer, check)
	c.serverNames = compileTexts(raw.ServerNames, "server name", compileServerName, check)
	return c, errors.Join(faults...)
}

// compileTexts compiles one of the lists of a claim, and passes the error of each text to check.
func compileTexts[T any](texts []string, what string, compile func(string) (T, error), check func(what, text string, err error)) (all []T) {
	for _, text := range texts {
		one, err := compile(text)
		check(what, text, err)
		all = append(all, one)
	}
	return all
}

// quoted returns text for an error message, shortened.
func quoted(text string) string {
	if len(text) > 64 {
		return fmt.Sprintf("%.64q...", text)
	}
	return fmt.Sprintf("%q", text)
}

// checkNetwork accepts a network in its one spelling, so that equal networks are equal.
func checkNetwork(network netip.Prefix) error {
	switch addr := network.Addr(); {
	case !network.IsValid():
		return remedy("it is not a network; write one like 10.1.0.0/16")
	case addr.Is4In6() && network.Bits() >= 96:
		return remedy("sources are compared as IPv4; write " + netip.PrefixFrom(addr.Unmap(), network.Bits()-96).Masked().String())
	case network != network.Masked():
		return remedy("it has an address inside of the network; write " + network.Masked().String())
	}
	return nil
}

// compileIdentity reads a pattern of identities as Claim describes it.
func compileIdentity(text string) (identityPattern, error) {
	kind, name, _ := strings.Cut(text, ":")
	separator, known := separators[kind]
	if !known {
		return identityPattern{}, remedy("it does not begin with its kind; write cn:, dns:, uri: or email: before the name")
	}
	name = fold(kind, name)
	err := checkName(name)
	if err == nil {
		switch kind {
		case kindDNS:
			err = checkDNS(name)
		case kindURI:
			err = checkURI(name)
		}
	}
	if err == nil {
		err = checkStars(kind, name)
	}
	if err != nil {
		return identityPattern{}, err
	}
	return identityPattern{kind, newPattern(name, separator)}, nil
}

// CheckIssuer returns what is wrong with a member of Claim.Issuers.
func CheckIssuer(text string) error {
	_, err := compileIssuer(text)
	return err
}

// compileIssuer reads the fingerprint of a CA's certificate.
func compileIssuer(text string) (string, error) {
	fingerprint := lower(strings.ReplaceAll(text, ":", ""))
	if sum, err := hex.DecodeString(fingerprint); err != nil || len(sum) != sha256.Size {
		return "", remedy(`it is not a SHA-256 of 64 hex digits; write what "openssl x509 -noout -fingerprint -sha256 -in ca.pem" prints behind the equals sign`)
	}
	return fingerprint, nil
}

// compileServerName reads the name of a server, or "*." and all but its first label.
func compileServerName(text string) (pattern, error) {
	name := lower(text)
	if err := checkName(name); err != nil {
		return pattern{}, err
	}
	if err := checkDNS(name); err != nil {
		return pattern{}, err
	}
	if strings.Contains(strings.TrimPrefix(name, "*."), "*") {
		return pattern{}, remedy("a star stands for the whole first label only; write it like *.acme.example")
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return pattern{}, remedy("it is an address, and clients do not ask for those by name; write it into networks if it is the source")
	}
	return newPattern(name, "."), nil
}

// checkName refuses what is not a pattern of any kind.
func checkName(name string) error {
	switch {
	case name == "":
		return remedy("it is empty; write a name, or leave it out")
	case len(name) > longestPattern:
		return remedy(fmt.Sprintf("it has %d bytes, and no name with more than %d is compared; write a shorter one", len(name), longestPattern))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return remedy("it has characters that cannot be seen, and no certificate with such is let in; write it without them")
	case strings.TrimSpace(name) != name:
		return remedy("it begins or ends with a space; write it without")
	case !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		return remedy("it would claim everybody; write the part of the name that is the tenant's beside the star, like *.acme.example")
	}
	return nil
}

// checkDNS refuses what no DNS name in a certificate can match.
func checkDNS(name string) error {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return remedy("it has an empty label; write it without a dot at either end, and with single ones between")
		}
	}
	if strings.ContainsFunc(name, func(r rune) bool {
		return r != '*' && r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	}) {
		return remedy("a DNS name has letters from a to z, digits, hyphens and dots; write other letters in their xn-- form")
	}
	return nil
}

// checkURI refuses a pattern that more than one owner of names could match: scheme and host must be
// written out.
func checkURI(name string) error {
	scheme, _, ok := strings.Cut(name, ":")
	n := authority(name)
	switch {
	case !ok || scheme == "" || strings.ContainsAny(scheme, "/?#"):
		return remedy("it has no scheme; write it whole, like uri:spiffe://example.org/acme/*")
	case strings.Contains(name[:n], "*"):
		return remedy("it has a star in the scheme or the host, and would claim what others sign; write them out and the star behind, like uri:spiffe://example.org/acme/*")
	case strings.HasSuffix(name[:n], "//"):
		return remedy("it has no host; write it whole, like uri:spiffe://example.org/acme/*")
	}
	return nil
}

// checkStars refuses two stars in a row, except at the end of a URI: uri:spiffe://example.org/acme/**
// claims all paths below /acme/, and one star only the next part of the path.
func checkStars(kind, name string) error {
	if kind == kindURI {
		name = strings.TrimSuffix(name, "/**")
	}
	if strings.Contains(name, "**") {
		return remedy("two stars stand for a path of any depth, at the end of a uri: and behind a slash; write one star")
	}
	return nil
}
