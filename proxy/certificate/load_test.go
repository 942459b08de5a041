package certificate

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/certificate/authority"
)

// A fileMaker writes variants of the fixture's files. Content that must not leak has the
// word secret.
type fileMaker struct {
	*fixture
	t *testing.T
}

func (b fileMaker) file(name string, content ...[]byte) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	check(b.t, os.WriteFile(path, bytes.Join(content, nil), 0o600))
	return path
}

// of returns the files with another certificate.
func (b fileMaker) of(c *authority.Certificate, name string) Files {
	b.t.Helper()
	f := b.files
	f.Certificate, f.Key = c.Write(b.dir, name)
	return f
}

// certificate returns the files with another content of the certificate's file.
func (b fileMaker) certificate(content ...[]byte) Files {
	b.t.Helper()
	f := b.files
	f.Certificate = b.file("c.pem", content...)
	return f
}

func (b fileMaker) key(content ...[]byte) Files {
	b.t.Helper()
	f := b.files
	f.Key = b.file("k.pem", content...)
	return f
}

func (b fileMaker) clientCA(content ...[]byte) Files {
	b.t.Helper()
	f := b.files
	f.ClientCA = b.file("ca.pem", content...)
	return f
}

func block(kind string, content []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
}

var secret = []byte("secret-secret-secret-secret")

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, bits)
	check(t, err)
	return key
}

func TestLoadRefuses(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	server := authority.Leaf{Server: true, DNS: []string{"secret-name.example"}}
	with := func(change func(*authority.Leaf)) Files {
		t.Helper()
		leaf := server
		change(&leaf)
		return b.of(b.servers.Issue(leaf), "other")
	}
	future := time.Date(2124, 5, 6, 7, 8, 9, 0, time.UTC)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	check(t, err)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	check(t, err)
	x25519DER, err := x509.MarshalPKCS8PrivateKey(x25519)
	check(t, err)
	below := b.servers.Intermediate("secret-name")
	chained := below.Server("hub.example")
	cut := b.server.PEM()
	cut = cut[:len(cut)-40]

	for _, c := range []struct {
		name  string
		files func() Files
		want  string // with the folder in place of DIR
	}{
		{"no certificate", func() Files { return Files{Key: "k"} }, "there is no certificate; write the path of a PEM file"},
		{"no key", func() Files { return Files{Certificate: b.files.Certificate} }, "there is no key; write the path"},
		{"missing file", func() Files { return Files{Certificate: b.dir + "/none"} }, "certificate DIR/none: no such file or directory; write the path"},
		{"directory", func() Files { return Files{Certificate: b.dir} }, "certificate DIR: not a regular file; write"},
		{"device", func() Files { return Files{Certificate: "/dev/zero"} }, "certificate /dev/zero: not a regular file; write"},
		{"too large", func() Files { return b.certificate(make([]byte, largest+1)) }, "certificate DIR/c.pem: too large; write"},
		{"TLS 1.1", func() Files { f := b.files; f.MinVersion = tls.VersionTLS11; return f }, "TLS 1.1 is not a version to serve; write 1.2 or 1.3"},

		{"empty", func() Files { return b.certificate() }, "certificate DIR/c.pem: it has no PEM block of a certificate; write"},
		{"text", func() Files { return b.certificate(secret) }, "it has no PEM block of a certificate"},
		{"binary", func() Files { return b.certificate(b.server.X509.Raw) }, "-inform der"},
		{"a key for a certificate", func() Files { return b.certificate(b.server.KeyPEM()) }, "it has no PEM block of a certificate"},
		{"another block", func() Files { return b.certificate(block("SECRET-SECRET-SECRET", secret)) }, "it has no PEM block of a certificate"},
		{"nonsense in a block", func() Files { return b.certificate(block("CERTIFICATE", secret)) }, "its certificate 1 cannot be parsed; see"},
		{"nonsense in a second block", func() Files { return b.certificate(b.server.PEM(), block("CERTIFICATE", secret)) }, "its certificate 2 cannot be parsed; see"},
		{"cut short", func() Files { return b.certificate(b.server.PEM(), cut) }, "only 1 of its 2 certificates are whole; write it again"},
		{"cut short at once", func() Files { return b.certificate(cut) }, "only 0 of its 1 certificates are whole; write it again"},

		{"a certificate for a key", func() Files { return b.key(b.server.PEM()) }, "key DIR/k.pem: it has no PEM block of a private key that is whole; write"},
		{"text for a key", func() Files { return b.key(secret) }, "it has no PEM block of a private key"},
		{"nonsense for a key", func() Files { return b.key(block("PRIVATE KEY", secret)) }, "its private key cannot be parsed; see"},
		{"nonsense for an RSA key", func() Files { return b.key(block("RSA PRIVATE KEY", secret)) }, "its private key cannot be parsed"},
		{"nonsense for an EC key", func() Files { return b.key(block("EC PRIVATE KEY", secret)) }, "its private key cannot be parsed"},
		{"a key cut short", func() Files { return b.key(b.server.KeyPEM()[:60]) }, "it has no PEM block of a private key that is whole"},
		{"two keys", func() Files { return b.key(b.server.KeyPEM(), b.server.KeyPEM()) }, "it has more than one private key; leave"},
		{"an encrypted key", func() Files { return b.key(block("ENCRYPTED PRIVATE KEY", secret)) }, "it is encrypted, and the server cannot ask for a passphrase; decrypt it"},
		{"a key encrypted the old way", func() Files {
			return b.key(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: secret}))
		}, "it is encrypted"},
		{"a key that does not sign", func() Files { return b.key(block("PRIVATE KEY", x25519DER)) }, "its private key cannot sign; make"},
		{"somebody else's key", func() Files { return b.key(b.servers.Server().KeyPEM()) }, "key DIR/k.pem: it does not belong to the certificate; write the key that DIR/server.pem was made with"},
		{"an RSA key for another kind", func() Files { return b.key(block("PRIVATE KEY", marshal(t, rsaKey(t, 2048)))) }, "it does not belong to the certificate"},

		{"expired", func() Files { return with(func(l *authority.Leaf) { *l = l.Expired() }) }, "certificate DIR/other.pem: it expired at 20"},
		{"not yet valid", func() Files {
			return with(func(l *authority.Leaf) { l.NotBefore, l.NotAfter = future, future.AddDate(1, 0, 0) })
		}, "it is not valid until 2124-05-06T07:08:09Z, and now it is 20"},
		{"small RSA", func() Files { return with(func(l *authority.Leaf) { l.Key = rsaKey(t, 1024) }) }, "its RSA key has 1024 bits; make one with 2048 or more"},
		{"P-224", func() Files { return with(func(l *authority.Leaf) { l.Key = p224 }) }, "its key is on the curve P-224, which TLS does not use; ask"},
		{"a client's", func() Files { return with(func(l *authority.Leaf) { l.Server = false }) }, "it is not for servers; ask for one with the extended key usage serverAuth"},
		{"the wrong order", func() Files {
			return Files{Certificate: b.file("c.pem", below.PEM(), chained.LeafPEM()), Key: b.file("k.pem", chained.KeyPEM())}
		},
			"key DIR/k.pem: it belongs to certificate 2 of the chain, and not to the first; put that one first in DIR/c.pem"},
		{"a chain of others", func() Files { return b.certificate(b.server.PEM(), b.clients.PEM()) }, "its certificate 2 did not sign certificate 1; put the server's certificate first"},
		{"a gap", func() Files {
			return Files{Certificate: b.file("c.pem", chained.LeafPEM(), b.servers.PEM()), Key: b.file("k.pem", chained.KeyPEM())}
		},
			"its certificate 2 did not sign certificate 1"},
		{"a chain of one key", func() Files { return b.certificate(b.server.PEM(), b.servers.Renamed("other").PEM()) }, "its certificate 2 did not sign certificate 1"},
		{"a chain of one name", func() Files { return b.certificate(b.server.PEM(), authority.New(t, "servers").PEM()) }, "its certificate 2 did not sign certificate 1"},

		{"an empty CA file", func() Files { return b.clientCA() }, "client_ca DIR/ca.pem: it has no PEM block of a certificate"},
		{"no CA", func() Files { return b.clientCA(b.clients.Client("secret-name").PEM()) }, "client_ca DIR/ca.pem: it is not a CA's; write the certificate of the CA"},
		{"two that are not CAs", func() Files { return b.clientCA(b.clients.Client("a").PEM(), b.clients.Client("b").PEM()) }, "none of its 2 certificates is a CA's that is valid now, nor is the last: it is not a CA's"},
		{"a key for a CA", func() Files { return b.clientCA(b.server.KeyPEM()) }, "client_ca DIR/ca.pem: it has no PEM block of a certificate"},
		{"a CA cut short", func() Files { return b.clientCA(b.clients.PEM(), cut) }, "only 1 of its 2 certificates are whole"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := c.files()
			s, err := load(files, 0)
			want := strings.ReplaceAll(c.want, "DIR", b.dir)
			if s != nil || err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("got %v, want %q", err, want)
			}
			for _, path := range []string{files.Certificate, files.Key, files.ClientCA, files.CRL} {
				requireNoLeak(t, err, path)
			}
		})
	}
}

// requireNoLeak checks that an error quotes no piece of a file.
func requireNoLeak(t *testing.T, err error, path string) {
	t.Helper()
	const piece = 10
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > largest {
		return
	}
	content, readErr := os.ReadFile(path)
	check(t, readErr)
	text := err.Error()
	for i := range max(0, len(content)-piece) {
		if strings.Contains(text, string(content[i:i+piece])) {
			t.Errorf("the error has %q of the file: %s", content[i:i+piece], text)
			return
		}
	}
	if strings.Contains(text, "secret") {
		t.Errorf("the error has a name of the certificate: %s", text)
	}
}

// The number of CAs is limited by what TLS can send to clients.
func TestManyClientCAs(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	files := func(n int) Files {
		content := [][]byte{b.clients.PEM()}
		for range n {
			content = append(content, authority.New(t, strings.Repeat("x", 4100)).PEM())
		}
		return b.clientCA(content...)
	}
	s := start(t, files(15))
	for _, version := range versions {
		client := b.client(b.clients.Client("acme"))
		client.MinVersion, client.MaxVersion = version, version
		mustHandshake(t, s, client)
	}
	want := "client_ca " + b.dir + "/ca.pem: the names of its CAs have 65"
	if _, err := load(files(16), 0); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("with one more: %v, want %q", err, want)
	}
}

func marshal(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	return der
}

// All usual forms of keys and chains are read.
func TestLoadTakes(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	server := authority.Leaf{Server: true, DNS: []string{"hub.example"}}
	withKey := func(key crypto.Signer) *authority.Certificate {
		leaf := server
		leaf.Key = key
		return b.servers.Issue(leaf)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	rsa2048 := rsaKey(t, 2048).(*rsa.PrivateKey)
	ec := b.server.Key.(*ecdsa.PrivateKey)
	ecDER, err := x509.MarshalECPrivateKey(ec)
	check(t, err)
	chained := b.servers.Intermediate("below").Intermediate("further").Server("hub.example")
	rsaServer := withKey(rsa2048)
	for name, files := range map[string]Files{
		"ECDSA":              b.files,
		"Ed25519":            b.of(withKey(ed), "ed"),
		"RSA":                b.of(rsaServer, "rsa"),
		"PKCS 1":             {Certificate: b.file("r.pem", rsaServer.PEM()), Key: b.file("r.key", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa2048)))},
		"EC with parameters": b.key(block("EC PARAMETERS", []byte{6, 8}), block("EC PRIVATE KEY", ecDER)),
		"a chain":            b.of(chained, "chain"),
		"a chain and root":   {Certificate: b.file("root.pem", chained.PEM(), b.servers.PEM()), Key: b.file("root.key", chained.KeyPEM())},
		"all in one":         {Certificate: b.file("one.pem", b.server.KeyPEM(), b.server.PEM()), Key: filepath.Join(b.dir, "one.pem")},
		"text around":        {Certificate: b.file("text.pem", []byte("Subject: hub\n"), b.server.PEM(), []byte("end\n")), Key: b.files.Key},
	} {
		t.Run(name, func(t *testing.T) {
			mustHandshake(t, start(t, files), b.client(b.clients.Client("acme")))
		})
	}
}
