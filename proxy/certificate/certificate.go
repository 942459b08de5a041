// Package certificate turns PEM files into what a listener's TLS handshakes need,
// and exchanges it when the files change. It listens to nothing and watches nothing.
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

// stable is how long a file must stay as it is to be read.
const stable = 50 * time.Millisecond

// Files says what a listener's certificate is read from.
type Files struct {
	Certificate string // PEM: the server's certificate, and after it what signed it, up to the root, which may be left out
	Key         string // PEM: the certificate's private key, not encrypted
	ClientCA    string // PEM: who signs the certificates that clients must show; "": clients need none
	MinVersion  uint16 // tls.VersionTLS12, which 0 means, or tls.VersionTLS13
}

// Paths returns the files that have a name, to be watched.
func (f Files) Paths() []string {
	return slices.DeleteFunc([]string{f.Certificate, f.Key, f.ClientCA}, func(path string) bool { return path == "" })
}

// A Source is the certificate that a listener shows, and whom it asks for theirs.
// Its methods may be called by anybody at any time.
type Source struct {
	stable  time.Duration // never changes
	inForce atomic.Pointer[credentials]

	mu    sync.Mutex // held while files are read and their content takes effect; no other lock is taken meanwhile
	files Files      // guarded by mu
}

// credentials are what one reading of the files found. They never change.
type credentials struct {
	config   *tls.Config
	sum      [sha256.Size]byte // of all that they were made of
	notAfter time.Time
	warnings []string
}

// Load reads and checks the files. An error names the file, what is wrong and what
// to do, and nothing that is in the file but dates and sizes.
func Load(files Files) (*Source, error) { return load(files, stable) }

func load(files Files, stable time.Duration) (*Source, error) {
	s := &Source{stable: stable}
	_, err := s.Exchange(files)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the files again. If their content is another and good, it holds for
// all handshakes that begin from now on; connections live on. With an error, what
// is in force stays.
func (s *Source) Reload() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exchange(s.files)
}

// Exchange is Reload with other files, which are those of the following reloads
// unless there is an error.
func (s *Source) Exchange(files Files) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exchange(files)
}

func (s *Source) exchange(files Files) (changed bool, err error) {
	contents, err := read(files, s.stable)
	if err != nil {
		return false, err
	}
	sum := contents.sum(files)
	if before := s.inForce.Load(); before != nil && before.sum == sum {
		s.files = files
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

// sum tells apart what would make other credentials.
func (c contents) sum(files Files) [sha256.Size]byte {
	hash := sha256.New()
	fmt.Fprintf(hash, "%d %t", files.MinVersion, files.ClientCA != "") // a hash takes anything
	for _, content := range [][]byte{c.certificate, c.key, c.clientCA} {
		fmt.Fprintf(hash, " %d ", len(content))
		hash.Write(content)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

func newCredentials(files Files, contents contents, now time.Time) (*credentials, error) {
	c := &credentials{}
	minVersion := files.MinVersion
	switch minVersion {
	case 0:
		minVersion = tls.VersionTLS12
	case tls.VersionTLS12, tls.VersionTLS13:
	default:
		return nil, fmt.Errorf("%s is no version to serve; write 1.2 or 1.3 as min_version", tls.VersionName(minVersion))
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
		// A resumed session would bring along what an earlier handshake found out
		// by other certificates. Peers stay for long, so that a whole handshake
		// each time costs little.
		SessionTicketsDisabled: true,
	}
	if files.ClientCA != "" {
		pool, warnings, err := clientCAs(files.ClientCA, contents.clientCA, now)
		if err != nil {
			return nil, err
		}
		c.warnings = append(c.warnings, warnings...)
		c.config.ClientCAs = pool
		c.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

// Config returns what to make TLS connections with. Each handshake asks it for what
// is in force, so it need not be exchanged.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.inForce.Load().config, nil },
		// What follows is decided again by what is in force, but does not depend on
		// that it is asked.
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true,
	}
}

// NotAfter returns when the certificate in force expires.
func (s *Source) NotAfter() time.Time { return s.inForce.Load().notAfter }

// Warnings returns what is odd, but not wrong, with the files in force, each with
// what to do.
func (s *Source) Warnings() []string { return slices.Clone(s.inForce.Load().warnings) }
