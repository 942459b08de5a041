package config

import (
	"fmt"
	"net/url"
	"strings"
)

// IsRemote reports whether a policy is an address, from which it is fetched.
func IsRemote(policy string) bool { return strings.HasPrefix(policy, "https://") }

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
		return fmt.Errorf("%q begins with neither \"file:\" nor \"https://\"; %s", policy, remedy)
	case u.Hostname() == "" || strings.Trim(u.Path, "/") == "" || strings.HasSuffix(u.Path, "/") || u.Fragment != "":
		return fmt.Errorf("%q names no file on a host; %s", policy, remedy)
	}
	return nil
}

// checkSource requires that something says which content of an address may come into force.
func (r *reader) checkSource(t Tenant) {
	name := "tenant." + t.Name
	if !IsRemote(t.Policy) || t.PolicySHA256 != "" || t.RequireSignature || t.InsecureSource ||
		!r.sound(name+".policy", name+".policy_sha256", name+".require_signature", name+".insecure_source") {
		return
	}
	r.fault(r.place(name+".policy"), "%s.policy: who controls %q would decide about all traffic; write policy_sha256 or require_signature = true, or insecure_source = true if that is meant", name, t.Policy)
}
