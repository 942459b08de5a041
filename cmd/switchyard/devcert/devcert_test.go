package devcert

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// made writes certificates to a new folder.
func made(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "new", "certs")
	files, err := Make(Request{Hosts: []string{"localhost", "hub.example", "10.1.0.5", "::1"}, Clients: []string{"ms1", "admin"}, Valid: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(folder, files); err != nil {
		t.Fatal(err)
	}
	return folder
}

func pair(t *testing.T, folder, name string) tls.Certificate {
	t.Helper()
	c, err := tls.LoadX509KeyPair(filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ca(t *testing.T, folder string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no CA in %s", text)
	}
	return pool
}

// handshake returns the DNS name of the client, and what hub and client find in a handshake.
func handshake(t *testing.T, trusted *x509.CertPool, hub tls.Certificate, name string, clients ...tls.Certificate) (identity string, hubs, clientsError error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{hub}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert})
	client := tls.Client(b, &tls.Config{Certificates: clients, RootCAs: trusted, ServerName: name})
	done := make(chan error)
	go func() { // ends with the handshake, at the latest when the pipe is closed
		err := client.Handshake()
		if err == nil {
			_, err = client.Read(make([]byte, 1)) // an alert of the server comes after the handshake
		}
		done <- err
	}()
	hubs = server.Handshake()
	if hubs == nil {
		if peers := server.ConnectionState().PeerCertificates; len(peers) > 0 {
			identity = strings.Join(peers[0].DNSNames, " ")
		}
		server.Write([]byte{1})
	}
	a.Close()
	return identity, hubs, <-done
}

// A client with a certificate gets through, and the hub learns its name. Neither another host, nor a
// certificate of another CA, nor one for the other side does.
func TestHandshakes(t *testing.T) {
	folder, other := made(t), made(t)
	trusted := ca(t, folder)
	for _, host := range []string{"localhost", "hub.example", "10.1.0.5", "::1"} {
		identity, hubs, clients := handshake(t, trusted, pair(t, folder, "hub"), host, pair(t, folder, "ms1"))
		if hubs != nil || clients != nil || identity != "ms1.msgserver.test" {
			t.Errorf("%s: hub %v, client %v, identity %q", host, hubs, clients, identity)
		}
	}
	for name, refused := range map[string]struct {
		host        string
		hub, client tls.Certificate
	}{
		"another host":            {"other.example", pair(t, folder, "hub"), pair(t, folder, "ms1")},
		"no client certificate":   {"localhost", pair(t, folder, "hub"), tls.Certificate{}},
		"a client of another CA":  {"localhost", pair(t, folder, "hub"), pair(t, other, "ms1")},
		"a hub of another CA":     {"localhost", pair(t, other, "hub"), pair(t, folder, "ms1")},
		"the hub's as a client's": {"localhost", pair(t, folder, "hub"), pair(t, folder, "hub")},
		"a client's as the hub's": {"ms1.msgserver.test", pair(t, folder, "ms1"), pair(t, folder, "ms1")},
	} {
		if _, hubs, clients := handshake(t, trusted, refused.hub, refused.host, refused.client); hubs == nil && clients == nil {
			t.Errorf("%s: the handshake succeeds", name)
		}
	}
}

// The CA is for these hosts and the clients' domain, signs no other CA, and ends with what it signed.
func TestAuthority(t *testing.T) {
	folder := made(t)
	leaf := pair(t, folder, "hub").Leaf
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: ca(t, folder)})
	if err != nil {
		t.Fatal(err)
	}
	root := chains[0][1]
	if want := []string{"localhost", "hub.example", Domain}; !slices.Equal(root.PermittedDNSDomains, want) || !root.PermittedDNSDomainsCritical {
		t.Errorf("permits the names %q, critical: %v, want %q", root.PermittedDNSDomains, root.PermittedDNSDomainsCritical, want)
	}
	if len(root.PermittedIPRanges) != 2 || root.PermittedIPRanges[0].String() != "10.1.0.5/32" {
		t.Errorf("permits the addresses %v", root.PermittedIPRanges)
	}
	if !root.IsCA || !root.MaxPathLenZero || root.KeyUsage != x509.KeyUsageCertSign || !root.NotAfter.Equal(leaf.NotAfter) || time.Until(root.NotAfter) > time.Hour {
		t.Errorf("is a CA: %v, path length 0: %v, usage %v, ends %v", root.IsCA, root.MaxPathLenZero, root.KeyUsage, root.NotAfter)
	}
}

// Only the owner reads the files, and they are all there is: no key of the CA.
func TestFiles(t *testing.T) {
	folder := made(t)
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
		if info, err := f.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if want := []string{"admin.key", "admin.pem", "ca.pem", "hub.key", "hub.pem", "ms1.key", "ms1.pem"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
}

// What is there stays, and a failure leaves nothing behind.
func TestNothingIsReplaced(t *testing.T) {
	folder := t.TempDir()
	kept := filepath.Join(folder, "certs", "mine")
	if err := os.Mkdir(filepath.Dir(kept), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Dir(kept), []File{{"empty", nil}}); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.WriteFile(kept, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{filepath.Dir(kept), kept} {
		if err := Write(target, []File{{"mine", []byte("other")}}); err == nil || !strings.Contains(err.Error(), "folder") || strings.Contains(err.Error(), "unfinished") {
			t.Errorf("%s: %v", target, err)
		}
	}
	if err := Write(filepath.Join(folder, "new"), []File{{"nowhere/file", nil}}); err == nil {
		t.Error("a file that cannot be written is not an error")
	}
	if text, err := os.ReadFile(kept); err != nil || string(text) != "mine" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The CA vouches for no address if none was asked for: it issues a certificate, and nobody accepts it.
func TestAddressesAreConstrained(t *testing.T) {
	for _, c := range []struct {
		hosts   []string
		address string
		refused bool
	}{
		{[]string{"hub.example"}, "10.1.0.5", true},
		{[]string{"hub.example"}, "fd00::5", true},
		{[]string{"hub.example", "10.1.0.5"}, "10.1.0.5", false},
		{[]string{"hub.example", "10.1.0.5"}, "10.1.0.6", true},
		{[]string{"hub.example", "10.1.0.5"}, "fd00::5", true},
	} {
		ca, err := newSigner(Request{Hosts: c.hosts, Valid: time.Hour}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		leaf := template(Hub, x509.ExtKeyUsageServerAuth)
		leaf.IPAddresses = []net.IP{net.ParseIP(c.address)}
		files, err := ca.issue(leaf)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(files[0].Content)
		signed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca.certificate)
		_, err = signed.Verify(x509.VerifyOptions{Roots: roots})
		if (err != nil) != c.refused {
			t.Errorf("a CA for %q, and a hub at %s: %v", c.hosts, c.address, err)
		}
	}
}
