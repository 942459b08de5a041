package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"switchyard/policy"
	"switchyard/policy/command"
	"switchyard/policy/suggest"
	"switchyard/proxy/tenant"
)

// A check says which texts a key accepts.
type check struct {
	// pattern is the rule as a regular expression, for editors. It uses only what Go, JavaScript and
	// Rust read alike. It may accept more than accept, and leaves out odd spellings of numbers, such
	// as 1e3%.
	pattern string
	accept  func(text string) error // the error says what to write instead
}

// What texts may be. A pattern bounds the length where the text ends up in metric labels, file
// names or kernel calls; what only another package knows is asked there.
var (
	tenantName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	policyName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	sha256Sum  = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)
	congestion = regexp.MustCompile(`^[a-z0-9_-]{0,15}$`)
	serverName = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

// fileOrShipped is a policy that needs no network.
const fileOrShipped = `^(file:[^\x00]+|[a-z0-9][a-z0-9_-]*)$`

// anyOf returns the pattern of what one of the patterns matches. Each is anchored at both ends.
func anyOf(patterns ...string) string {
	for i, p := range patterns {
		patterns[i] = strings.TrimSuffix(strings.TrimPrefix(p, "^"), "$")
	}
	return "^(" + strings.Join(patterns, "|") + ")$"
}

// matching returns a check that accepts what the expression matches. problem says what another text is,
// and what to write instead.
func matching(expression *regexp.Regexp, problem string) check {
	return check{expression.String(), func(text string) error {
		if expression.MatchString(text) {
			return nil
		}
		return fmt.Errorf("%q is %s", text, problem)
	}}
}

// orNone returns a check that accepts an empty text as well.
func (c check) orNone() check {
	return check{anyOf("", c.pattern), func(text string) error {
		if text == "" {
			return nil
		}
		return c.accept(text)
	}}
}

// checkTenantName accepts a name that can be a metric label, part of a file name, and part of a
// key.
var checkTenantName = matching(tenantName, "not a tenant's name; write 1 to 40 of a-z, 0-9 and -")

// checkCongestionControl accepts what Linux can have for a name, or an empty name. Only
// the kernel knows which algorithms it has.
var checkCongestionControl = matching(congestion, `not a congestion control; write a name such as "cubic", or "" for the system's`)

// checkPolicy accepts the name of a shipped policy, of which only the form is known here, or a
// file.
var checkPolicy = check{anyOf(fileOrShipped, `^https://[^/?#@]+/([^?#]*[^/?#])(\?[^#]*)?#?$`, inRegistry), func(policy string) error {
	path, isFile := strings.CutPrefix(policy, filePolicy)
	switch {
	case isFile && path == "":
		return fmt.Errorf("%q names no file; write a path after it, such as %q", policy, filePolicy+"routes.toml")
	case isFile:
		return checkPath.accept(path)
	case policyName.MatchString(policy):
		return nil
	case strings.Contains(policy, "://"):
		return checkAddressOf(policy)
	case strings.ContainsAny(policy, `./\`):
		return fmt.Errorf("%q is not a shipped policy's name; for a file write %q", policy, filePolicy+policy)
	}
	return fmt.Errorf("%q is not a policy; write a shipped policy's name, such as \"teamtalk\", or a file, such as %q", policy, filePolicy+"routes.toml")
}}

// checkAudit accepts a policy that is not fetched.
var checkAudit = check{fileOrShipped, func(policy string) error {
	if IsRemote(policy) {
		return fmt.Errorf("%q is an address, and only a policy in force is fetched; download it, and write the file, such as %q", policy, filePolicy+"routes.toml")
	}
	return checkPolicy.accept(policy)
}}

// checkPath accepts every path that a system call can take, and an empty one.
var checkPath = check{`^[^\x00]*$`, func(path string) error {
	if strings.ContainsRune(path, 0) {
		return fmt.Errorf("%q is not a path; write one without a zero byte", path)
	}
	return nil
}}

// checkFile accepts every path but an empty one.
var checkFile = check{`^[^\x00]+$`, func(path string) error {
	if path == "" {
		return fmt.Errorf("%q names no file; write a path, or leave it out", path)
	}
	return checkPath.accept(path)
}}

// checkSHA256 accepts a hash.
var checkSHA256 = matching(sha256Sum, "not a SHA-256; write the 64 hex digits that sha256sum prints of the policy's file")

// checkMay accepts an action, or "handle" with a handler.
var checkMay = check{`^(` + strings.Join(policy.EffectNames, "|") + `)$`, func(word string) error {
	known := policy.EffectNames
	if slices.Contains(known, word) {
		return nil
	}
	if handler, ok := strings.CutPrefix(word, "handle "); ok {
		return fmt.Errorf("there is no handler %q; write one of %q", handler, known[len(policy.Actions):])
	}
	return fmt.Errorf("%q is not an action; %s", word, suggest.Hint(word, known, "write one of "+strings.Join(known, ", ")))
}}

// checkCommand accepts a command or a range of commands, also custom ones.
func checkCommand(custom command.Custom) check {
	return check{`^([A-Za-z_][A-Za-z0-9_]*|[0-9][0-9A-Fa-fx]*)(-([A-Za-z_][A-Za-z0-9_]*|[0-9][0-9A-Fa-fx]*))?$`, func(name string) error {
		if strings.TrimSpace(name) == "" {
			return fmt.Errorf("%q is not a command; write its name, such as \"CID_MSG_DATA\"", name)
		}
		if _, problems := custom.Parse(name); problems != nil {
			return problems[0]
		}
		return nil
	}}
}

// checkCertificate accepts what may be a pattern of names in certificates. Package tenant
// checks its stars.
var checkCertificate = check{`^(cn|dns|uri|email):\s*\S`, func(pattern string) error {
	kind, rest, ok := strings.Cut(pattern, ":")
	switch {
	case !ok || !slices.Contains([]string{"cn", "dns", "uri", "email"}, kind):
		return fmt.Errorf("%q does not say which name of a certificate it is about; write \"cn:\", \"dns:\", \"uri:\" or \"email:\" before the name", pattern)
	case strings.TrimSpace(rest) == "":
		return fmt.Errorf("%q has no name behind the colon; write one, such as \"%s:*.example.org\"", pattern, kind)
	}
	return nil
}}

// checkIssuer accepts the SHA-256 of a certificate, as package tenant compares it.
var checkIssuer = check{`^:*([0-9A-Fa-f]:*){64}$`, func(fingerprint string) error {
	if err := tenant.CheckIssuer(fingerprint); err != nil {
		return fmt.Errorf("%q: %w", fingerprint, err)
	}
	return nil
}}

// checkServerName accepts a host's name, or a pattern with a star as its first part.
var checkServerName = check{serverName.String(), func(name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return fmt.Errorf("%q is an address, and TLS clients never ask for one; write a host's name, or claim networks", name)
	}
	if !serverName.MatchString(name) {
		return fmt.Errorf("%q is not a server's name; write one such as \"acme.example\", or \"*.acme.example\" for all that end so", name)
	}
	return nil
}}
