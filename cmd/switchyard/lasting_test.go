//go:build full || race

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/admin/api"
	"switchyard/proxy/certificate/authority"
)

// What was refused, and what is suspicious, is shown for as long as that is so.
func TestRefusalsLast(t *testing.T) {
	t.Parallel()
	certificates := t.TempDir()
	authorities(t, certificates)
	in := func(name string) string { return filepath.Join(certificates, name) }
	dir, _, o := startOperated(t, everyone, "--set", "listener.0.tls.certificate="+in("server.pem"), "--set", "listener.0.tls.key="+in("server.key"))
	good, err := os.ReadFile(in("server.pem"))
	if err != nil {
		t.Fatal(err)
	}
	expect := func(status, policy, audit, refused, warnings int) {
		t.Helper()
		o.ask(status, "POST", "/api/v1/reload", "", "", nil)
		for range 2 { // the second time nothing has happened in between
			metrics := o.ask(200, "GET", "/metrics", "", "", nil)
			for _, want := range []string{
				fmt.Sprintf("switchyard_policy_refused{tenant=\"default\"} %d\n", policy),
				fmt.Sprintf("switchyard_audit_refused{tenant=\"default\"} %d\n", audit),
				fmt.Sprintf("switchyard_tls_certificate_refused{listener=\"127.0.0.1:0\"} %d\n", refused),
				fmt.Sprintf("switchyard_tls_certificate_warnings{listener=\"127.0.0.1:0\"} %d\n", warnings),
			} {
				if !strings.Contains(metrics, want) {
					t.Errorf("the metrics do not have %s", want)
				}
			}
		}
		var listeners struct {
			Listeners []struct {
				Error    string   `json:"certificate_error"`
				Warnings []string `json:"certificate_warnings"`
			}
		}
		o.ask(200, "GET", "/api/v1/listeners", "", "", &listeners)
		var tenants struct {
			Tenants []struct {
				Error string `json:"policy_error"`
				Audit string `json:"audit_error"`
			}
		}
		o.ask(200, "GET", "/api/v1/tenants", "", "", &tenants)
		if l := listeners.Listeners[0]; (l.Error != "") != (refused == 1) || len(l.Warnings) != warnings || (tenants.Tenants[0].Error != "") != (policy == 1) || (tenants.Tenants[0].Audit != "") != (audit == 1) {
			t.Errorf("got %+v, %+v", l, tenants)
		}
	}
	expect(200, 0, 0, 0, 0)
	save(t, dir, "audited.toml", "nonsense")
	configuration, err := os.ReadFile(filepath.Join(dir, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	save(t, dir, "config.toml", strings.Replace(string(configuration), "[tenant.default]", "[tenant.default]\naudit = \"file:audited.toml\"", 1))
	expect(422, 0, 1, 0, 0)
	save(t, dir, "routes.toml", "nonsense")
	expect(422, 1, 1, 0, 0)
	save(t, dir, "audited.toml", everyone)
	expect(422, 1, 0, 0, 0)
	save(t, certificates, "server.pem", "nonsense")
	expect(422, 1, 0, 1, 0)
	save(t, dir, "routes.toml", everyone)
	expect(422, 0, 0, 1, 0)
	save(t, certificates, "server.pem", string(good))
	if err := os.Chmod(in("server.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	expect(200, 0, 0, 0, 1)
	if err := os.Chmod(in("server.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(200, 0, 0, 0, 0)
}

// The answer to a reload says that a certificate has changed also if only the CAs or the revocation lists
// for clients have, which leave its expiry as it was.
func TestReloadNamesChangedCAs(t *testing.T) {
	t.Parallel()
	certificates := t.TempDir()
	_, clients := authorities(t, certificates)
	var args []string
	for key, file := range map[string]string{"certificate": "server.pem", "key": "server.key", "client_ca": "clients.pem", "crl": "crl.pem"} {
		args = append(args, "--set", "listener.0.tls."+key+"="+filepath.Join(certificates, file))
	}
	next := time.Now().Add(time.Hour)
	save(t, certificates, "crl.pem", string(clients.CRL(next)))
	_, _, o := startOperated(t, everyone, args...)
	expect := func(want string) {
		t.Helper()
		var r api.Reload
		o.ask(200, "POST", "/api/v1/reload", "", "", &r)
		if got := r.Listeners[0].Result; got != want {
			t.Errorf("the certificate is %s, want %s", got, want)
		}
	}
	expect(api.Unchanged)
	save(t, certificates, "crl.pem", string(clients.CRL(next, clients.Client("bad").X509)))
	expect(api.Changed)
	expect(api.Unchanged)
	save(t, certificates, "clients.pem", string(clients.PEM())+string(authority.New(t, "others").PEM()))
	expect(api.Changed)
}
