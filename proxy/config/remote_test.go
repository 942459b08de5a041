package config

import (
	"strings"
	"testing"
)

func TestAddressesOfPolicies(t *testing.T) {
	for policy, want := range map[string]string{
		"https://example.org/a/routes.toml":                              "",
		"https://example.org:8443/routes?v=1":                            "",
		"https://[::1]/p":                                                "",
		"http://127.0.0.1/routes.toml":                                   "begins with none of",
		"oci://example.org/acme/routes:v7":                               "",
		"oci://127.0.0.1:5000/routes@sha256:" + strings.Repeat("0f", 32): "",
		"oci://example.org/acme/routes":                                  "names no tag or digest",
		"oci://example.org:v7":                                           "it is not an address",
		"oci://example.org/Acme:v7":                                      "names no tag or digest",
		"oci://example.org/routes@sha256:12":                             "names no tag or digest",
		"ftp://example.org/routes.toml":                                  "begins with none of",
		"https://example.org":                                            "names no file on a host",
		"https://example.org/a/":                                         "names no file on a host",
		"https:///routes.toml":                                           "names no file on a host",
		"https://example.org/a#b":                                        "names no file on a host",
		"https://me:secret@example.org/a":                                "registry.auth",
		"https://example.org:port/routes.toml":                           "it is not an address",
		"https://me:sec ret@example.org/%zz.xml":                         "it is not an address",
	} {
		err := checkPolicy.accept(policy)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", policy, err, want)
		case err != nil && strings.Contains(err.Error(), "sec"):
			t.Errorf("%s: the error shows the password: %v", policy, err)
		}
	}
}

// A setting must say which content of an address may come into force.
func TestSourcesAreBound(t *testing.T) {
	const policy = "[tenant.acme]\npolicy = \"https://example.org/routes.toml\"\n"
	for more, want := range map[string]bool{
		"":                          false,
		"insecure_source = false\n": false,
		"insecure_source = true\n":  true,
		"require_signature = true\n[signatures]\nkeys = [\"a.pub\"]\n": true,
		"policy_sha256 = \"" + strings.Repeat("0f", 32) + "\"\n":       true,
	} {
		_, err := load("config.toml", []byte(policy+more+"[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"acme\"\n"), nil, nil)
		if (err == nil) != want {
			t.Errorf("%q: %v", more, err)
		}
	}
	for policy, want := range map[string]bool{"oci://example.org/routes:v1": false, "oci://example.org/routes@sha256:" + strings.Repeat("0f", 32): true} {
		_, err := load("config.toml", []byte("[tenant.default]\npolicy = \""+policy+"\"\n"), nil, nil)
		if (err == nil) != want {
			t.Errorf("%s: %v", policy, err)
		}
	}
}
