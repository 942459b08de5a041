//go:build full || race

package certificate

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/certificate/authority"
)

// Files full of unfinished PEM blocks do not take quadratic time.
func TestHostileFilesTakeNoTime(t *testing.T) {
	t.Parallel()
	y := newFixture(t)
	good := contents{certificate: y.server.PEM(), key: y.server.KeyPEM(), clientCA: y.clients.PEM(), crl: y.clients.CRL(time.Now().Add(time.Hour))}
	y.files.CRL = "crl.pem"
	for _, line := range []string{"-----BEGIN CERTIFICATE-----\n", "-----BEGIN A-----\n-----END B-----\n", "-----BEGIN ", "-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nA: b\n", "-----"} {
		filled := bytes.Repeat([]byte(line), largest/len(line))
		for _, c := range []contents{{filled, good.key, good.clientCA, good.crl}, {good.certificate, filled, good.clientCA, good.crl}, {good.certificate, good.key, filled, good.crl},
			{good.certificate, good.key, good.clientCA, bytes.Repeat(filled, largestCRL/largest)}} {
			start := time.Now()
			if _, err := newCredentials(y.files, c, start); err == nil {
				t.Errorf("%q was taken", line)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("%q took %s", line, took)
			}
		}
	}
}

// Whatever the files contain, loading returns either credentials, or an error that quotes
// nothing of them.
func FuzzFiles(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nc2VjcmV0c2VjcmV0\n-----END CERTIFICATE-----\n"), byte(0))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nc2VjcmV0c2VjcmV0\n-----END PRIVATE KEY-----\n"), byte(1))
	f.Add([]byte("-----BEGIN SECRETSECRETSECRET-----\nc2VjcmV0c2VjcmV0\n-----END SECRETSECRETSECRET-----\n"), byte(2))
	ca := authority.New(f, "ca")
	server := ca.Intermediate("below").Server("hub.example")
	good := contents{server.PEM(), server.KeyPEM(), ca.PEM(), ca.CRL(time.Now().Add(time.Hour))}
	f.Add(good.certificate, byte(0))
	f.Add(good.key, byte(1))
	f.Add(good.clientCA, byte(2))
	f.Add(good.crl, byte(3))
	files := Files{Certificate: "c", Key: "k", ClientCA: "a", CRL: "r"}
	f.Fuzz(func(t *testing.T, content []byte, which byte) {
		c := good
		*[]*[]byte{&c.certificate, &c.key, &c.clientCA, &c.crl}[which%4] = content
		made, err := newCredentials(files, c, time.Now())
		if (made == nil) != (err != nil) {
			t.Fatalf("got %v, %v", made, err)
		}
		if err == nil {
			return
		}
		for line := range strings.Lines(string(content)) {
			if line = strings.TrimSpace(line); len(line) > 9 && strings.Contains(err.Error(), line) {
				t.Errorf("the error %q has %q", err, line)
			}
		}
	})
}
