package certificate

import (
	"crypto/tls"
	"math/big"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/proxy/certificate/authority"
)

// New handshakes get the new certificate. Established connections stay open.
func TestReload(t *testing.T) {
	t.Parallel()
	y := newFixture(t)
	s, err := Load(y.files)
	check(t, err)
	client := y.client(y.clients.Client("acme"))
	first, shown := mustHandshake(t, s, client), y.server.X509
	if changed, err := s.Reload(); changed || err != nil {
		t.Errorf("with nothing changed: %t, %v", changed, err)
	}
	y.rotate(t)
	before := mustHandshake(t, s, client)
	if changed, err := s.Reload(); !changed || err != nil {
		t.Errorf("with another certificate: %t, %v", changed, err)
	}
	after := mustHandshake(t, s, client)
	if !first.shown().Equal(shown) || !before.shown().Equal(shown) || !after.shown().Equal(y.server.X509) {
		t.Error("another certificate was shown than the one that was loaded last")
	}
	if got := s.NotAfter(); !got.Equal(y.server.X509.NotAfter) {
		t.Errorf("it expires at %s, want %s", got, y.server.X509.NotAfter)
	}
	first.talk(t)
	before.talk(t)
}

// Files that cannot be loaded change nothing. The next reload tries again.
func TestReloadKeepsWhatIsGood(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	s := start(t, b.files)
	shown := b.server
	client := b.client(b.clients.Client("acme"))
	other := b.servers.Server("hub.example")
	expired := b.servers.Issue(authority.Leaf{Server: true, DNS: []string{"hub.example"}}.Expired())
	for _, c := range []struct {
		name             string
		certificate, key []byte
		clientCA         []byte
	}{
		{"empty", nil, nil, nil},
		{"only the certificate is new", other.PEM(), shown.KeyPEM(), b.clients.PEM()},
		{"only the key is new", shown.PEM(), other.KeyPEM(), b.clients.PEM()},
		{"expired", expired.PEM(), expired.KeyPEM(), b.clients.PEM()},
		{"no CA", other.PEM(), other.KeyPEM(), other.PEM()},
	} {
		b.file("server.pem", c.certificate)
		b.file("server.key", c.key)
		b.file("clients.pem", c.clientCA)
		for range 2 {
			if changed, err := s.Reload(); changed || err == nil {
				t.Errorf("%s: %t, %v; want an error each time", c.name, changed, err)
			}
		}
		if !mustHandshake(t, s, client).shown().Equal(shown.X509) {
			t.Errorf("%s: another certificate is shown", c.name)
		}
	}
	check(t, os.Remove(b.files.Key))
	if changed, err := s.Reload(); changed || err == nil {
		t.Errorf("the key is gone: %t, %v", changed, err)
	}
	b.file("clients.pem", b.clients.PEM())
	b.rotate(t)
	if changed, err := s.Reload(); !changed || err != nil || !mustHandshake(t, s, client).shown().Equal(b.server.X509) {
		t.Errorf("all is good again: %t, %v", changed, err)
	}
}

func TestExchange(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	s := start(t, b.files)
	client := b.client(nil)
	other := b.servers.Server("hub.example")
	files := b.of(other, "other")
	files.ClientCA = ""
	if changed, err := s.Exchange(files); !changed || err != nil {
		t.Fatalf("other files: %t, %v", changed, err)
	}
	if !mustHandshake(t, s, client).shown().Equal(other.X509) {
		t.Error("the other files are not in force")
	}
	if changed, err := s.Exchange(Files{Certificate: b.files.Certificate, Key: files.Key}); changed || err == nil {
		t.Errorf("files that do not belong together: %t, %v", changed, err)
	}
	b.rotate(t) // of the first files, which are no longer read
	if changed, err := s.Reload(); changed || err != nil {
		t.Errorf("reloaded after a failed exchange: %t, %v", changed, err)
	}
	files.MinVersion = tls.VersionTLS13
	if changed, err := s.Exchange(files); !changed || err != nil {
		t.Errorf("another version: %t, %v", changed, err)
	}
	client.MaxVersion = tls.VersionTLS12
	if m := handshake(t, s, client); Describe(m.serverErr) != ReasonProtocolVersion {
		t.Errorf("got %v with an old version", m.serverErr)
	}
	// The same content at other paths is not a change, but later reloads read those.
	moved := b.of(other, "moved")
	moved.ClientCA, moved.MinVersion = "", tls.VersionTLS13
	if changed, err := s.Exchange(moved); changed || err != nil {
		t.Errorf("files with other names: %t, %v", changed, err)
	}
	b.of(b.servers.Server("hub.example"), "moved")
	if changed, err := s.Reload(); !changed || err != nil {
		t.Errorf("reloaded from other names: %t, %v", changed, err)
	}
}

// Sessions are never resumed, neither while the CA is trusted nor after its removal.
func TestNoResumption(t *testing.T) {
	for _, version := range versions {
		y := newFixture(t)
		s := start(t, y.files)
		client := y.client(y.clients.Client("acme"))
		client.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		client.MinVersion, client.MaxVersion = version, version
		config := s.Config() // as a listener keeps it
		come := func() (*tls.Conn, error) {
			server, dialled := sockets(t)
			conn, other := tls.Server(server, config), tls.Client(dialled, client)
			done := make(chan error, 1)
			go func() { done <- other.Handshake() }()
			err := conn.Handshake()
			if err != nil {
				server.Close()
			}
			clientErr := <-done
			if err == nil {
				check(t, clientErr)
				handshakeResult{server: conn, client: other}.talk(t) // tickets come with it
			}
			return conn, err
		}
		for range 2 {
			conn, err := come()
			check(t, err)
			if state := conn.ConnectionState(); state.DidResume || len(state.VerifiedChains) == 0 {
				t.Errorf("%s: resumed %t, with %d verified chains", tls.VersionName(version), state.DidResume, len(state.VerifiedChains))
			}
		}
		y.clients = authority.New(t, "others")
		y.clients.Write(y.dir, "clients.pem")
		changed, err := s.Reload()
		if !changed || err != nil {
			t.Fatalf("with another CA: %t, %v", changed, err)
		}
		if _, err := come(); Describe(err) != ReasonUnknownCA {
			t.Errorf("%s: after its CA was removed: %v", tls.VersionName(version), err)
		}
	}
}

// While certificates are exchanged all the time, no handshake fails, and each gets a
// complete certificate.
func TestRotationUnderHandshakes(t *testing.T) {
	t.Parallel()
	const rotations, clients = 60, 3
	y := newFixture(t)
	s := start(t, y.files)
	var mu sync.Mutex // guards known
	known := map[string]bool{y.server.X509.SerialNumber.String(): true}
	seen := func(serial *big.Int) bool {
		mu.Lock()
		defer mu.Unlock()
		return known[serial.String()]
	}
	config := y.client(y.clients.Client("acme"))
	var stop atomic.Bool
	var handshakes atomic.Int64
	var all sync.WaitGroup
	defer all.Wait()
	defer stop.Store(true)
	listener := newListener(t, s)
	for range clients {
		all.Go(func() {
			for !stop.Load() {
				conn, err := tls.Dial("tcp", listener, config)
				if err != nil {
					t.Errorf("handshake: %v", err)
					return
				}
				if !seen(conn.ConnectionState().PeerCertificates[0].SerialNumber) {
					t.Error("the server sent an unknown certificate")
				}
				if _, err := conn.Read(make([]byte, 1)); err != nil { // the server has accepted
					t.Errorf("read: %v", err)
				}
				conn.Close()
				handshakes.Add(1)
			}
		})
	}
	for n := range rotations {
		certificate := y.servers.Server("hub.example")
		mu.Lock()
		known[certificate.X509.SerialNumber.String()] = true
		mu.Unlock()
		certificate.Write(y.dir, "server")
		if changed, err := s.Reload(); !changed || err != nil {
			t.Fatalf("reload %d: %t, %v", n, changed, err)
		}
		for deadline := time.Now().Add(deadline); handshakes.Load() < int64(n) && !t.Failed(); { // so that every certificate is used
			if time.Now().After(deadline) {
				t.Fatalf("%d handshakes for %d rotations", handshakes.Load(), n)
			}
			time.Sleep(time.Millisecond)
		}
		y.server = certificate
	}
	if !mustHandshake(t, s, config).shown().Equal(y.server.X509) {
		t.Error("the last certificate is not in force")
	}
}

// newListener accepts TLS connections of the source and sends one byte to each, until the
// test ends.
func newListener(t *testing.T, s *Source) (address string) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", s.Config())
	check(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(deadline))
				if _, err := conn.Write([]byte{1}); err != nil { // after the handshake
					t.Errorf("accept: %v", err)
				}
				conn.Read(make([]byte, 1)) // until the client closes
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	return listener.Addr().String()
}

func TestWarnings(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	old := b.clients.Issue(authority.Leaf{CommonName: "no CA"})
	for _, c := range []struct {
		name   string
		change func(*Files)
		want   string
	}{
		{"none", func(*Files) {}, ""},
		{"for a group", func(f *Files) { check(t, os.Chmod(f.Key, 0o640)) }, ""},
		{"for everybody", func(f *Files) { check(t, os.Chmod(f.Key, 0o644)) }, "key DIR/server.key: its mode is 0644, so others can read or change it; set it to 0600"},
		{"for a group that writes", func(f *Files) { check(t, os.Chmod(f.Key, 0o660)) }, "key DIR/server.key: its mode is 0660"},
		{"no names", func(f *Files) {
			*f = b.of(b.servers.Issue(authority.Leaf{Server: true, CommonName: "hub"}), "nameless")
		},
			"certificate DIR/nameless.pem: it has no name that a client could compare; ask"},
		{"a root that is over", func(f *Files) {
			over := authority.NewExpired(t, "over")
			*f = b.of(over.Server("hub.example"), "over")
			f.Certificate = b.file("over-chain.pem", mustRead(t, f.Certificate), over.PEM())
		}, "certificate DIR/over-chain.pem: certificate 2, which signed the one before: it expired at "},
		{"a leaf beside a CA", func(f *Files) { f.ClientCA = b.file("two.pem", b.clients.PEM(), old.PEM()) },
			"client_ca DIR/two.pem: certificate 2 admits no client: it is not a CA's; write"},
		{"an old CA beside a CA", func(f *Files) {
			f.ClientCA = b.file("three.pem", authority.NewExpired(t, "over").PEM(), b.clients.PEM())
		}, "client_ca DIR/three.pem: certificate 1 admits no client: it expired at "},
	} {
		b.rotate(t)
		files := b.files
		c.change(&files)
		got := strings.Join(start(t, files).Warnings(), "\n")
		if want := strings.ReplaceAll(c.want, "DIR", b.dir); want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", c.name, got, want)
		}
	}
}

// A certificate that was skipped as a CA does not admit its holder.
func TestLeftOutIsNotTrusted(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	alone := authority.New(t, "alone").Client("alone")
	files := b.clientCA(b.clients.PEM(), alone.PEM())
	if m := handshake(t, start(t, files), b.client(alone)); Describe(m.serverErr) != ReasonUnknownCA {
		t.Errorf("got %v", m.serverErr)
	}
}

// The validity period of a CA is checked in each handshake, not when its file is read: the
// file may be written before the period begins, or while the clock is wrong.
func TestTimeOfClientCA(t *testing.T) {
	b := fileMaker{newFixture(t), t}
	over := authority.NewExpired(t, "over")
	client := b.client(over.Issue(authority.Leaf{CommonName: "acme"}.Expired()))
	s := start(t, b.clientCA(b.clients.PEM(), over.PEM()))
	if m := handshake(t, s, client); Describe(m.serverErr) != ReasonExpired {
		t.Errorf("out of its time: %v", m.serverErr)
	}
	s.inForce.Load().config.Time = func() time.Time { return time.Now().Add(-2 * time.Hour) }
	mustHandshake(t, s, client)
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	check(t, err)
	return content
}
