//go:build full || race

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard/proxy/certificate"
	"switchyard/proxy/certificate/authority"
)

// secure is the configuration of a listener for two tenants that are distinguished by their
// peers' certificates, and of a plain one for the first of them.
const secure = `
[[listener]]
tenant = ""
tenants = ["acme", "globex"]
[listener.tls]
certificate = "server.pem"
key = "server.key"
client_ca = "clients.pem"
[[listener]]
address = "127.0.0.1:0"
tenant = "initech"
[tenant.acme.claims]
certificates = ["uri:spiffe://example.org/acme/*"]
[tenant.globex.claims]
certificates = ["cn:globex-*"]
server_names = ["hub.globex.example"]
[tenant.initech]
`

// authorities creates the files that secure names in dir.
func authorities(t testing.TB, dir string) (servers, clients *authority.Authority) {
	servers, clients = authority.New(t, "servers"), authority.New(t, "clients")
	clients.Write(dir, "clients.pem")
	writeServer(t, dir, servers)
	return servers, clients
}

func writeServer(t testing.TB, dir string, ca *authority.Authority) {
	t.Helper()
	c := ca.Server("hub.example", "hub.globex.example")
	for name, text := range map[string][]byte{"server.key": c.KeyPEM(), "server.pem": c.PEM()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// dialTLS connects, with the client's certificate if there is one.
func (p *process) dialTLS(ca *authority.Authority, serverName string, client *authority.Certificate) (*tls.Conn, error) {
	config := &tls.Config{RootCAs: ca.Pool(), ServerName: serverName}
	if client != nil {
		shown := client.TLS() // whatever CAs the server asks for
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	}
	conn, err := tls.Dial("tcp", p.address, config)
	if err == nil {
		p.t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// joinTLS makes a connection a peer.
func (p *process) joinTLS(ca *authority.Authority, serverName string, client *authority.Certificate) peer {
	p.t.Helper()
	conn, err := p.dialTLS(ca, serverName, client)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.join(conn)
}

// Tenants are distinguished by certificate and server name, unknown clients are refused, and no
// attempt disturbs existing connections.
func TestTenantsByCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servers, clients := authorities(t, dir)
	p := configured(t, dir, secure).at(`"claimed_by"`)
	const hub = "hub.example"
	a, b := p.joinTLS(servers, hub, clients.Client("one", "spiffe://example.org/acme/one")), p.joinTLS(servers, hub, clients.Client("two", "spiffe://example.org/acme/two"))
	c, d := p.joinTLS(servers, "hub.globex.example", clients.Client("globex-1")), p.joinTLS(servers, "hub.globex.example", clients.Client("globex-2"))
	end := converse(a, b)

	strangers := authority.New(t, "strangers")
	expired := clients.Issue(authority.Leaf{CommonName: "late", URIs: []string{"spiffe://example.org/acme/late"}}.Expired())
	for reason, attempt := range map[string]func() (net.Conn, error){
		"tls-unknown-ca": func() (net.Conn, error) {
			return p.dialTLS(servers, hub, strangers.Client("x", "spiffe://example.org/acme/x"))
		},
		"tls-expired":        func() (net.Conn, error) { return p.dialTLS(servers, hub, expired) },
		"tls-no-certificate": func() (net.Conn, error) { return p.dialTLS(servers, hub, nil) },
		"unclaimed": func() (net.Conn, error) {
			return p.dialTLS(servers, hub, clients.Client("globex-3")) // by the wrong name
		},
		"tls-not-tls": func() (net.Conn, error) {
			conn, err := net.Dial("tcp", p.address)
			if err == nil {
				_, err = conn.Write(spoken("in plain"))
			}
			return conn, err
		},
	} {
		conn, err := attempt()
		if err == nil {
			conn.SetReadDeadline(time.Now().Add(patience))
			for err == nil { // an alert may come before the end
				_, err = conn.Read(make([]byte, 100))
			}
			conn.Close()
		}
		if p.expect("connection refused", fmt.Sprintf(`"reason":%q`, reason)); os.IsTimeout(err) {
			t.Errorf("%s: the connection is still open", reason)
		}
	}

	plain := p.at(`"tenant":"initech"`)
	for reason, sent := range map[string]string{
		"tls-on-plain-port": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on",
		"proxy-header":      "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
		"http":              "GET / HTTP/1.1\r\nHost: example\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", plain.address)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(sent))
		expectEnd(t, conn)
		conn.Close()
		p.expect("session closed", fmt.Sprintf(`"reason":%q`, reason))
	}

	large := bytes.Repeat(spoken(strings.Repeat("over many records ", 5000)), 20)
	c.say(large)
	d.expect(large)
	c.settle()
	if n, err := end(); err != nil || n == 0 {
		t.Errorf("after %d PDUs between peers that were let in: %v", n, err)
	}
	a.settle()
	b.settle()
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
	p.expect("no longer listening", `"accepted":9`, `"open":4`, `"tls-expired":1`, `"tls-no-certificate":1`, `"tls-not-tls":1`, `"tls-unknown-ca":1`, `"unclaimed":1`)
	checkCounts(t, p)
}

// New handshakes use an exchanged certificate, existing connections continue, and an unusable
// certificate is refused and changes nothing.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servers, clients := authorities(t, dir)
	p := configured(t, dir, secure).at(`"claimed_by"`)
	client := clients.Client("one", "spiffe://example.org/acme/one")
	old, err := p.dialTLS(servers, "hub.example", client)
	if err != nil {
		t.Fatal(err)
	}
	a := p.join(old)
	serial := old.ConnectionState().PeerCertificates[0].SerialNumber

	good, err := os.ReadFile(filepath.Join(dir, "server.pem"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "server.pem"), "no certificate")
	p.expect("certificate refused; keeping the one in force", "server.pem")
	write(t, filepath.Join(dir, "server.pem"), string(good))
	p.expect("the refused certificate is gone; its files are those in force again", `"until"`)

	seen := p.logged()
	write(t, filepath.Join(dir, "server.pem"), "no certificate")
	p.signal(syscall.SIGHUP)
	p.expectFrom(seen, "certificate refused; keeping the one in force", "server.pem")
	if b := p.joinTLS(servers, "hub.example", client); b.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Cmp(serial) != 0 {
		t.Error("another certificate, though it was refused")
	}

	successors := authority.New(t, "successors")
	seen = p.logged()
	writeServer(t, dir, successors)
	p.expectFrom(seen, "certificate reloaded")
	b := p.joinTLS(successors, "hub.example", client)
	if b.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Cmp(serial) == 0 {
		t.Error("still the old certificate")
	}
	a.say(spoken("to who came later"))
	b.expect(spoken("to who came later"))

	seen = p.logged()
	authority.New(t, "other clients").Write(dir, "clients.pem")
	p.expectFrom(seen, "certificate reloaded")
	p.signal(syscall.SIGHUP)
	p.expectFrom(seen, "policy unchanged")
	if conn, err := p.dialTLS(successors, "hub.example", client); err == nil {
		if _, err = conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Error("a certificate of a CA that was taken out is let in")
		}
	}
	p.expectFrom(seen, "connection refused", "tls-unknown-ca")
	b.say(spoken("we stay"))
	a.expect(spoken("we stay"))
}

// The source that a listed proxy announces decides the tenant.
func TestTenantsByProxyHeader(t *testing.T) {
	t.Parallel()
	p := configured(t, t.TempDir(), `
[[listener]]
tenant = ""
tenants = ["acme", "globex"]
proxy_from = ["127.0.9.0/24"]
allow = ["10.0.0.0/8"]
handshake_timeout = "1s"
[tenant.acme.claims]
networks = ["10.1.0.0/16"]
[tenant.globex.claims]
networks = ["10.2.0.0/16", "127.0.0.0/8"]
`)
	through := func(header string) net.Conn {
		conn := from(t, "127.0.9.1", p.address)
		if _, err := conn.Write([]byte(header)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	a := p.join(through("PROXY TCP4 10.1.0.1 10.9.9.9 1000 8200\r\n"))
	b := p.join(through("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x0a\x01\x00\x02\x0a\x09\x09\x09\x03\xe8\x20\x08"))
	c := p.join(through("PROXY TCP4 10.2.0.1 10.9.9.9 1000 8200\r\n"))
	a.say(spoken("hello"))
	b.expect(spoken("hello"))
	for _, x := range []peer{a, b, c} {
		x.settle()
	}
	for header, reason := range map[string]string{
		"PROXY TCP4 11.1.0.1 10.9.9.9 1000 8200\r\n": "not-allowed",
		"PROXY TCP4 10.3.0.1 10.9.9.9 1000 8200\r\n": "unclaimed",
		"PROXY TCP4 10.1.0.1 10.9":                   "proxy-timeout",
		"PROXY TCP4 nobody knows\r\n":                "proxy-header",
		string(spoken("without a header")):           "proxy-header",
	} {
		conn := through(header)
		expectEnd(t, conn)
		p.expect("connection refused", fmt.Sprintf(`"reason":%q`, reason))
	}
	expectEnd(t, from(t, "127.0.0.1", p.address)) // not through the proxy, and not allowed
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitStopped {
		t.Errorf("exit code %d", code)
	}
	p.expect("session closed", `"peer":"10.1.0.2:1000"`)
	checkCounts(t, p)
}

// Open connections end when what let them in is withdrawn, if the listener says so: by a list
// of revoked certificates, and by allow. Others stay.
func TestRecheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servers, clients := authorities(t, dir)
	crl := filepath.Join(dir, "crl.pem")
	next := time.Now().Add(time.Hour)
	write(t, crl, string(clients.CRL(next)))
	const mutual = `
[[listener]]
tenant = "acme"
recheck = true
tls = { certificate = "server.pem", key = "server.key", client_ca = "clients.pem", crl = "crl.pem" }
[[listener]]
address = "127.0.0.1:0"
tenant = "globex"
recheck = true
allow = ["127.0.0.0/8"]
[tenant.acme]
[tenant.globex]
`
	p := configured(t, dir, mutual).at(`"tenant":"acme"`)
	bad, good := clients.Client("bad"), clients.Client("good")
	a, b := p.joinTLS(servers, "hub.example", bad), p.joinTLS(servers, "hub.example", good)
	p.at(`"tenant":"globex"`)
	plain, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	c := p.join(plain)

	write(t, crl, string(clients.CRL(next, bad.X509)))
	p.expect("session closed", `"reason":"certificate-revoked"`)
	expectEnd(t, a)
	p.at(`"tenant":"acme"`)
	if conn, err := p.dialTLS(servers, "hub.example", bad); err == nil {
		conn.Read(make([]byte, 1))
	}
	p.expect("connection refused", `"reason":"tls-revoked"`)

	write(t, filepath.Join(dir, "config.toml"), strings.Replace(mutual, "127.0.0.0/8", "127.0.0.2", 1))
	p.expect("session closed", `"reason":"not-allowed"`)
	expectEnd(t, c)
	b.settle()

	write(t, crl, string(clients.CRL(time.Now().Add(-time.Minute), bad.X509)))
	p.expect("about the certificate in force", "crl.pem", "its list 1 expired at")
	write(t, crl, "nothing")
	p.expect("certificate refused; keeping the one in force", "crl.pem")
	b.settle()
}

// check warns where another tenant's CA could vouch for a claim, and not where the claim names
// its issuer, or one CA alone vouches.
func TestCheckOfIssuers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, clients := authorities(t, dir)
	below := clients.Constrained("acme's", "acme.example")
	fingerprint := certificate.Issuers([][]*x509.Certificate{{nil, below.X509()}})[0]
	check := func(cas []byte, claims string) string {
		write(t, filepath.Join(dir, "clients.pem"), string(cas))
		config := filepath.Join(dir, "config.toml")
		text := strings.Replace(secure, "certificates = [\"uri:spiffe://example.org/acme/*\"]", claims, 1)
		write(t, config, strings.Replace(text, "[[listener]]", "[[listener]]\naddress = \"127.0.0.1:0\"", 1))
		out, _ := runHere(t, 0, "check", "--config", config)
		return out
	}
	const uri = `certificates = ["uri:spiffe://example.org/acme/*"]`
	both := append(clients.PEM(), below.PEM()...)
	for _, c := range []struct {
		name, claims, want string
		cas                []byte
	}{
		{"two CAs", uri, "client_ca has 2 CAs, and each can vouch for the names by which these tenants claim connections: acme, globex;", both},
		{"a CA that others are below", uri, "the CA in client_ca may let other CAs vouch", clients.PEM()},
		{"bound", uri + "\nissuers = [\"" + fingerprint + "\"]", "these tenants claim connections: globex;", both},
		{"covered by a constraint", `certificates = ["dns:*.acme.example"]`, "these tenants claim connections: globex;", both},
		{"one CA", uri, "", below.PEM()},
	} {
		out := check(c.cas, c.claims)
		if c.want == "" && strings.Contains(out, "vouch") || !strings.Contains(out, c.want) {
			t.Errorf("%s: got\n%s\nwant %q", c.name, out, c.want)
		}
	}
}
