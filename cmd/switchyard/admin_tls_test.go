//go:build full || race

package main

import (
	"bytes"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard/proxy/certificate/authority"
)

// Over TLS an operator reaches the server from another machine: by its CA, its name, a certificate of
// the client if one is required, and a token. What is missing is answered with what to set.
func TestAdminTLS(t *testing.T) {
	t.Parallel()
	dir, home := t.TempDir(), t.TempDir()
	ca, clients := authority.New(t, "CA"), authority.New(t, "clients")
	ca.Server("hub.example.org").Write(dir, "hub")
	clients.Client("anna").Write(home, "anna")
	clients.Write(dir, "clients.pem")
	ca.Write(home, "ca.pem")
	authority.New(t, "others").Write(home, "others.pem")
	for _, folder := range []string{dir, home} {
		save(t, folder, "read.token", "a-token-to-read-with")
		save(t, folder, "operate.token", operateToken)
	}
	settings := "[admin]\nread_token_file = \"read.token\"\noperate_token_file = \"operate.token\"\ntls.certificate = \"hub.pem\"\ntls.key = \"hub.key\"\n"
	save(t, dir, "config.toml", settings)
	p := start(t, dir)
	address := p.expect(`"msg":"admin"`)["address"].(string)
	ask := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := run(args, []string{"XDG_CONFIG_HOME=" + home, "XDG_CACHE_HOME=" + home}, &out, &out); code != want {
			t.Errorf("%q: exit code %d, want %d: %s", args, code, want, out.String())
		}
		return out.String()
	}
	file := func(name string) string { return filepath.Join(home, name) }
	add := func(name string, more ...string) {
		t.Helper()
		ask(exitStopped, append([]string{"context", "add", name, "--server", "https://" + address}, more...)...)
	}
	add("hub", "--ca", file("ca.pem"), "--server-name", "hub.example.org", "--token-file", file("read.token"))
	if text := ask(exitStopped, "tenants", "--context", "hub"); !strings.Contains(text, "default") {
		t.Errorf("got %s", text)
	}
	ask(exitStopped, "health", "--context", "hub")
	if text := ask(exitUsage, "reload", "--context", "hub"); !strings.Contains(text, "this token is for reading; send the one in admin.operate_token_file") {
		t.Errorf("got %s", text)
	}
	ask(exitStopped, "reload", "--context", "hub", "--token-file", file("operate.token"))
	ask(exitStopped, "top", "--once", "--interval", "1s", "--context", "hub")
	// On the hub's own machine its configuration says enough.
	local := []string{"--config", filepath.Join(dir, "config.toml"), "--set", "admin.address=" + address}
	ask(exitStopped, append(local, "reload")...)
	ask(exitStopped, append(local, "health", "--ready")...)

	for want, more := range map[string][]string{
		"name the CA that vouches for the server": {"--ca", file("others.pem"), "--server-name", "hub.example.org"},
		"name the server as its certificate does": {"--ca", file("ca.pem"), "--server-name", "wrong.example.org"},
		"401 Unauthorized: this needs a token":    {"--ca", file("ca.pem"), "--server-name", "hub.example.org"},
	} {
		add("wrong", append(more, "--replace")...)
		code := exitUsage
		if strings.HasPrefix(want, "name the") {
			code = exitUnavailable
		}
		if text := ask(code, "tenants", "--context", "wrong"); !strings.Contains(text, want) || strings.Contains(text, operateToken) {
			t.Errorf("%q: got %s, want %q", more, text, want)
		}
	}
	// What is wrong in a file is found when the context is added, and if it is later, with each command.
	for want, spoil := range map[string]func(){
		"later.pem has no certificate; name a PEM file":                                    func() { os.WriteFile(file("later.pem"), []byte(operateToken), 0o600) },
		"may be read by every user of this machine; if it is the right file, run chmod o=": func() { os.Chmod(file("later.token"), 0o604) },
	} {
		ca.Write(home, "later.pem")
		save(t, home, "later.token", operateToken)
		os.Chmod(file("later.token"), 0o600) // whatever the umask
		more := []string{"--ca", file("later.pem"), "--server-name", "hub.example.org", "--token-file", file("later.token"), "--replace"}
		add("later", more...)
		spoil()
		for _, args := range [][]string{{"tenants", "--context", "later"}, append([]string{"context", "add", "later", "--server", "https://" + address}, more...)} {
			if text := ask(exitUsage, args...); !strings.Contains(text, want) || strings.Contains(text, operateToken) {
				t.Errorf("%q: got %s, want %q", args, text, want)
			}
		}
	}
	if text := ask(exitUsage, "tenants", "--server", "http://"+address); !strings.Contains(text, "answers by TLS alone; write https://") {
		t.Errorf("plain HTTP: %s", text)
	}
	if status, text := scrape(t, "https://"+address+"/metrics", operateToken, &tls.Config{RootCAs: ca.Pool(), ServerName: "hub.example.org"}); status != 200 || !strings.Contains(text, `switchyard_tls_certificate_not_after_timestamp_seconds{listener="admin"}`) {
		t.Errorf("metrics: %d %s", status, text)
	}
	if log := p.log(); strings.Contains(log, operateToken) || strings.Contains(log, "a-token-to-read-with") {
		t.Error("the log has a token")
	}

	// A renewed certificate takes effect without a restart.
	renewed := authority.New(t, "another CA")
	renewed.Server("hub.example.org").Write(dir, "hub")
	renewed.Write(home, "renewed.pem")
	p.expect(`"msg":"certificate reloaded"`, `"listener":"admin"`)
	ask(exitStopped, append(local, "log-level")...)
	add("renewed", "--ca", file("renewed.pem"), "--server-name", "hub.example.org", "--token-file", file("read.token"))
	ask(exitStopped, "tenants", "--context", "renewed")
}

// With client_ca a client needs a certificate of those CAs as well.
func TestAdminMutualTLS(t *testing.T) {
	t.Parallel()
	dir, home := t.TempDir(), t.TempDir()
	ca, clients := authority.New(t, "CA"), authority.New(t, "clients")
	ca.Server("127.0.0.1").Write(dir, "hub")
	ca.Write(home, "ca.pem")
	clients.Write(dir, "clients.pem")
	certificate, key := clients.Client("anna").Write(home, "anna")
	save(t, dir, "config.toml", "[admin]\ntls.certificate = \"hub.pem\"\ntls.key = \"hub.key\"\ntls.client_ca = \"clients.pem\"\noperate_token_file = \"operate.token\"\n")
	save(t, dir, "operate.token", operateToken)
	p := start(t, dir)
	address := p.expect(`"msg":"admin"`)["address"].(string)
	env := []string{"XDG_CONFIG_HOME=" + home}
	ask := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := run(args, env, &out, &out); code != want {
			t.Errorf("%q: exit code %d, want %d: %s", args, code, want, out.String())
		}
		return out.String()
	}
	ask(exitStopped, "context", "add", "anna", "--server", "https://"+address, "--ca", filepath.Join(home, "ca.pem"), "--cert", certificate, "--key", key)
	ask(exitStopped, "context", "add", "nobody", "--server", "https://"+address, "--ca", filepath.Join(home, "ca.pem"))
	ask(exitStopped, "peers", "--context", "anna")
	if text := ask(exitUnavailable, "peers", "--context", "nobody"); !strings.Contains(text, "the server requires a client certificate") {
		t.Errorf("got %s", text)
	}
	if text := ask(exitUsage, "reload", "--context", "anna"); !strings.Contains(text, "send the one in admin.operate_token_file") {
		t.Errorf("got %s", text)
	}
	ask(exitStopped, "log-level", "warn", "--context", "anna", "--token-file", filepath.Join(dir, "operate.token"))
	if line := p.expect(`"msg":"admin request"`); line["by"] != "token, certificate cn:anna" {
		t.Errorf("the log says that it was %v", line["by"])
	}
}
