//go:build linux

package load

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// certificate returns a server's configuration and one of clients that trust it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

func TestStreams(t *testing.T) {
	server, client := certificate(t)
	for name, plan := range map[string]Plan{"saturating": saturating(), "paced": paced()} {
		plan.TLS = client
		res, _ := playEnough(t, 1, func() *testHub { return new(testHub) }, server, plan)
		requireSound(t, res)
		if res.Order != OneOrder {
			t.Errorf("%s: order is %s, want one", name, res.Order)
		}
	}
}

func TestStreamsWithoutTrust(t *testing.T) {
	server, _ := certificate(t)
	h := startHub(t, &testHub{}, server)
	plan := paced()
	plan.Addresses, plan.TLS = []string{h.address()}, &tls.Config{RootCAs: x509.NewCertPool()}
	if _, err := Run(t.Context(), plan); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("ended with %v", err)
	}
}
