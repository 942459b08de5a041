//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// An identity is the TLS certificate of the contenders: PEM files with a self-signed certificate and
// its key. All contenders have the same one, so that handshakes cost the same.
type identity struct {
	certificate, key string
	parsed           *x509.Certificate
}

// newIdentity makes an identity in dir, valid for a day.
func newIdentity(dir string) (identity, error) {
	id := identity{certificate: filepath.Join(dir, "certificate.pem"), key: filepath.Join(dir, "key.pem")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return id, fmt.Errorf("make a key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return id, fmt.Errorf("make a certificate: %w", err)
	}
	if id.parsed, err = x509.ParseCertificate(der); err != nil {
		return id, fmt.Errorf("make a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return id, fmt.Errorf("make a key: %w", err)
	}
	return id, errors.Join(writePEM(id.certificate, "CERTIFICATE", der), writePEM(id.key, "PRIVATE KEY", secret))
}

func writePEM(name, kind string, der []byte) error {
	return os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// trusted returns the configuration of clients that trust it.
func (id *identity) trusted() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(id.parsed)
	return &tls.Config{RootCAs: pool}
}
