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

	"switchyard/cmd/yardbench/check"
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
		res := play(t, startHub(t, &testHub{}, server), plan)
		requireSound(t, res)
		if res.Order != OneOrder {
			t.Errorf("%s: order is %s, want one", name, res.Order)
		}
	}
}

func TestStreamsNoticeFaults(t *testing.T) {
	server, client := certificate(t)
	h := startHub(t, &testHub{deliver: func(to *hubPeer, n int, p []byte) [][]byte {
		switch {
		case to.number == 5 && n == 40:
			return nil
		case to.number == 4 && n == 60:
			to.close()
		}
		return [][]byte{p}
	}}, server)
	plan := paced()
	plan.TLS, plan.Drain = client, time.Second
	res := play(t, h, plan)
	if res.Sound() || len(res.Ended) != 1 || !strings.Contains(res.Ended[0], "connection 4") {
		t.Errorf("ended: %q", res.Ended)
	}
	if f := res.Faults; f.Lost < 2 || f != (check.Faults{Lost: f.Lost}) {
		t.Errorf("found %v, want one lost, and what the closed connection missed", f)
	}
}

func TestStreamsWindow(t *testing.T) {
	server, client := certificate(t)
	h := startHub(t, &testHub{deliver: func(to *hubPeer, n int, p []byte) [][]byte {
		if to.number == 5 {
			return nil
		}
		return [][]byte{p}
	}}, server)
	plan := saturating()
	plan.TLS, plan.Window, plan.Batch, plan.Drain = client, 60, 16, time.Second
	plan.Duration = 3 * time.Second // for every sender to fill its window, whatever else the machine does
	if res := play(t, h, plan); res.Faults != (check.Faults{Lost: 3 * 48}) {
		t.Errorf("found %v, want %d lost", res.Faults, 3*48)
	}
}

func TestStreamsWithoutTrust(t *testing.T) {
	server, _ := certificate(t)
	h := startHub(t, &testHub{}, server)
	plan := paced()
	plan.Address, plan.TLS = h.address(), &tls.Config{RootCAs: x509.NewCertPool()}
	if _, err := Run(t.Context(), plan); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("ended with %v", err)
	}
}
