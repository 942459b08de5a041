package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// IsRemote reports whether a policy is an address, from which it is fetched.
func IsRemote(policy string) bool {
	return strings.HasPrefix(policy, "https://") || strings.HasPrefix(policy, "oci://")
}

// inRegistry is the address of a policy in a registry: host, repository, and a tag or a digest.
const inRegistry = `^oci://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$`

// inRegistryForm is compiled when a policy is an address: it takes 130 KiB, which other starts save.
var inRegistryForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(inRegistry) })

// checkAddressOf accepts the address of a policy.
func checkAddressOf(policy string) error {
	const remedy = `write an address such as "https://example.org/routes.toml"`
	u, err := url.Parse(policy)
	switch {
	case err != nil:
		return fmt.Errorf("it is not an address; %s", remedy) // which could have a password in it
	case u.User != nil:
		return fmt.Errorf("the address at %q has a user or a password in it, which logs would show; put them into the file registry.auth", u.Host)
	case !IsRemote(policy):
		return fmt.Errorf("%q begins with none of \"file:\", \"https://\" and \"oci://\"; %s", policy, remedy)
	case inRegistryForm().MatchString(policy):
		return nil
	case u.Scheme == "oci":
		return fmt.Errorf("%q names no tag or digest in a registry; write an address such as \"oci://example.org/acme/routes:v7\"", policy)
	case u.Hostname() == "" || strings.Trim(u.Path, "/") == "" || strings.HasSuffix(u.Path, "/") || u.Fragment != "":
		return fmt.Errorf("%q names no file on a host; %s", policy, remedy)
	}
	return nil
}

// checkSource requires that something says which content of an address may come into force: a digest in
// the address, a pinned sum, a signature, or the operator's word that any may.
func (r *reader) checkSource(t Tenant) {
	name := "tenant." + t.Name
	if !IsRemote(t.Policy) || strings.Contains(t.Policy, "@sha256:") && strings.HasPrefix(t.Policy, "oci://") || t.PolicySHA256 != "" || t.RequireSignature || t.InsecureSource ||
		!r.sound(name+".policy", name+".policy_sha256", name+".require_signature", name+".insecure_source") {
		return
	}
	r.fault(r.place(name+".policy"), "%s.policy: who controls %q would decide about all traffic; write policy_sha256 or require_signature = true, in a registry a digest instead of a tag, or insecure_source = true if that is meant", name, t.Policy)
}
