// Package certificate makes TLS configurations from PEM files, checks them, and exchanges
// them while connections stay open. Its callers listen and watch the files.
package certificate

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A reload, and the handshakes meanwhile:
//
//	files ──▶ read, each unchanged for 50 ms ──▶ sum of all contents
//	            same sum as before    the TLS configuration stays, its warnings are judged again
//	            another sum           parse and check
//	              a fault             the error is returned, the old content stays in force
//	              sound               inForce is exchanged
//
//	handshake ──▶ GetConfigForClient ──▶ what is in force at that moment
//
// Certificate and key are two files, which tools replace one after the other. Between the two
// writes they do not match, so a reload at that time fails; the next reload, after the second
// write, succeeds.

// stable is how long a file must stay unchanged to be read.
const stable = 50 * time.Millisecond

// Files names the files of a listener's TLS.
type Files struct {
	Certificate string // PEM: the server's certificate, followed by its issuers; the root may be left out
	Key         string // PEM: the private key of the certificate, not encrypted
	ClientCA    string // PEM: the CAs of client certificates; "": clients need none
	CRL         string // PEM file with revocation lists of those CAs; "": none
	MinVersion  uint16 // tls.VersionTLS12, which 0 means, or tls.VersionTLS13
}

// A Source holds the TLS configuration of a listener. Its methods may be called
// concurrently.
type Source struct {
	stable  time.Duration // never changes
	inForce atomic.Pointer[credentials]

	mu    sync.Mutex // held during a reload; no other lock is taken meanwhile
	files Files      // guarded by mu
}

// credentials are the result of reading the files once. They are immutable, so that each
// handshake uses one consistent set of files.
type credentials struct {
	config   *tls.Config
	sum      [sha256.Size]byte // of the files and options they were made from
	notAfter time.Time
	warnings []string
	clients  *clientTrust // nil if clients need no certificate
}

// Load reads and checks the files. An error names the file, the fault and the remedy. Of
// the content of a file it has dates and sizes only.
func Load(files Files) (*Source, error) { return load(files, stable) }

func load(files Files, stable time.Duration) (*Source, error) {
	s := &Source{stable: stable}
	_, err := s.Exchange(files)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the files again. If their content has changed and is valid, it applies to
// handshakes from now on; connections stay open. On an error, the old content stays in
// force.
func (s *Source) Reload() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exchange(s.files)
}

// Exchange is Reload with other files, for a listener whose configuration now names them. If it
// succeeds, later reloads read these files.
func (s *Source) Exchange(files Files) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exchange(files)
}

// exchange puts the content of the files in force, unless that is in force already or has a fault. Called
// under mu; handshakes continue meanwhile.
func (s *Source) exchange(files Files) (changed bool, err error) {
	contents, err := read(files, s.stable)
	if err != nil {
		return false, err
	}
	sum := contents.sum(files)
	if before := s.inForce.Load(); before != nil && before.sum == sum {
		s.files = files
		s.inForce.Store(before.judgedAgain(files, contents, time.Now()))
		return false, nil
	}
	c, err := newCredentials(files, contents, time.Now())
	if err != nil {
		return false, err
	}
	c.sum = sum
	s.files = files
	s.inForce.Store(c)
	return true, nil
}

// judgedAgain returns the same credentials with the warnings of now: certificates expire, and
// the mode of a file is corrected.
func (c *credentials) judgedAgain(files Files, contents contents, now time.Time) *credentials {
	again := *c
	if fresh, err := newCredentials(files, contents, now); err != nil {
		again.warnings = []string{err.Error()} // which would be refused by now
	} else {
		again.warnings = fresh.warnings
	}
	return &again
}

// sum is a hash of everything that the credentials depend on.
func (c contents) sum(files Files) [sha256.Size]byte {
	hash := sha256.New()
	fmt.Fprintf(hash, "%d %t %t", files.MinVersion, files.ClientCA != "", files.CRL != "") // writing to a hash never fails
	for _, content := range [][]byte{c.certificate, c.key, c.clientCA, c.crl} {
		fmt.Fprintf(hash, " %d ", len(content))
		hash.Write(content)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// newCredentials parses and checks the contents. Validity periods are checked against now.
func newCredentials(files Files, contents contents, now time.Time) (*credentials, error) {
	c := &credentials{}
	minVersion := files.MinVersion
	switch minVersion {
	case 0:
		minVersion = tls.VersionTLS12
	case tls.VersionTLS12, tls.VersionTLS13:
	default:
		return nil, fmt.Errorf("%s is not a version to serve; write 1.2 or 1.3 as min_version", tls.VersionName(minVersion))
	}
	shown, warnings, err := pair(files, contents, now)
	if err != nil {
		return nil, err
	}
	c.warnings = warnings
	c.notAfter = shown.Leaf.NotAfter
	c.config = &tls.Config{
		Certificates: []tls.Certificate{shown},
		MinVersion:   minVersion,
		// A resumed session would rely on the certificates of an earlier handshake.
		// Connections last long, so a full handshake each time costs little.
		SessionTicketsDisabled: true,
	}
	if files.ClientCA != "" {
		trust, warnings, err := clientCAs(files.ClientCA, contents.clientCA, now)
		if err != nil {
			return nil, err
		}
		c.warnings = append(c.warnings, warnings...)
		c.clients = trust
		c.config.ClientCAs = trust.pool
		if files.CRL != "" {
			if trust.revoked, err = parseRevocations(files.CRL, contents.crl, trust.cas); err != nil {
				return nil, err
			}
			c.config.VerifyConnection = trust.revoked.verify
		}
		c.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

// Config returns the configuration for a TLS listener. Each handshake asks it for the
// credentials in force, so the listener need not be reconfigured.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.inForce.Load().config, nil },
		// The credentials in force set these again. They are here in case a handshake
		// does not ask.
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true,
	}
}

// NotAfter returns when the certificate in force expires.
func (s *Source) NotAfter() time.Time { return s.inForce.Load().notAfter }

// Sum returns a hash of the content of all files in force. It says nothing about the content.
func (s *Source) Sum() [sha256.Size]byte { return s.inForce.Load().sum }

// Vouchers returns why more than one CA can vouch for names in client certificates, or ""
// if at most one can.
func (s *Source) Vouchers() string { return s.inForce.Load().clients.vouchers() }

// Warnings returns what is suspicious, but not wrong, in the files in force, each with a
// remedy.
func (s *Source) Warnings() []string {
	c := s.inForce.Load()
	all := slices.Clone(c.warnings)
	if c.clients != nil {
		all = append(all, c.clients.revoked.warnings(c.clients.cas, time.Now())...)
	}
	return all
}
