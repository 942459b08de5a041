package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"switchyard/proxy/certificate/authority"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is how long a test waits for an event. It only costs time when it fails.
const deadline = time.Minute

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start loads valid files, without waiting for them to be stable.
func start(t *testing.T, files Files) *Source {
	t.Helper()
	s, err := load(files, 0)
	check(t, err)
	return s
}

// sockets returns both ends of a TCP connection over loopback.
func sockets(t *testing.T) (server, client *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	check(t, err)
	accepted, err := listener.Accept()
	check(t, err)
	for _, conn := range []net.Conn{accepted, dialled} {
		check(t, conn.SetDeadline(time.Now().Add(deadline)))
		t.Cleanup(func() { conn.Close() })
	}
	return accepted.(*net.TCPConn), dialled.(*net.TCPConn)
}

// A handshakeResult is the outcome of a handshake.
type handshakeResult struct {
	server, client       *tls.Conn
	serverErr, clientErr error
}

// handshake does a handshake between a client and the source. The server closes the
// connection if the handshake fails, as a listener does.
func handshake(t *testing.T, s *Source, client *tls.Config) handshakeResult {
	t.Helper()
	serverEnd, clientEnd := sockets(t)
	m := handshakeResult{server: tls.Server(serverEnd, s.Config()), client: tls.Client(clientEnd, client)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.clientErr = m.client.Handshake()
	}()
	if m.serverErr = m.server.Handshake(); m.serverErr != nil {
		serverEnd.Close()
	}
	<-done
	return m
}

// mustHandshake fails unless the handshake succeeds.
func mustHandshake(t *testing.T, s *Source, client *tls.Config) handshakeResult {
	t.Helper()
	m := handshake(t, s, client)
	check(t, errors.Join(m.serverErr, m.clientErr))
	m.talk(t)
	return m
}

// talk sends some bytes in each direction.
func (m handshakeResult) talk(t *testing.T) {
	t.Helper()
	for _, way := range [][2]*tls.Conn{{m.client, m.server}, {m.server, m.client}} {
		sent := make(chan error, 1)
		go func() {
			_, err := way[0].Write([]byte("hello"))
			sent <- err
		}()
		got := make([]byte, 5)
		_, err := io.ReadFull(way[1], got)
		check(t, errors.Join(err, <-sent))
		if string(got) != "hello" {
			t.Errorf("got %q", got)
		}
	}
}

// shown returns the certificate that the server sent.
func (m handshakeResult) shown() *x509.Certificate {
	return m.client.ConnectionState().PeerCertificates[0]
}

// A fixture has an authority for servers, one for clients, and the server's files.
type fixture struct {
	dir              string
	servers, clients *authority.Authority
	server           *authority.Certificate
	files            Files
}

// newFixture returns a fixture with mutual TLS.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	y := &fixture{dir: t.TempDir(), servers: authority.New(t, "servers"), clients: authority.New(t, "clients")}
	y.files.ClientCA = y.clients.Write(y.dir, "clients.pem")
	y.rotate(t)
	return y
}

// rotate writes another certificate of the server.
func (y *fixture) rotate(t *testing.T) {
	t.Helper()
	y.server = y.servers.Server("hub.example")
	y.files.Certificate, y.files.Key = y.server.Write(y.dir, "server")
}

// client returns the configuration of a client, with or without a certificate. The client
// sends it even if the server asks for other authorities.
func (y *fixture) client(certificate *authority.Certificate) *tls.Config {
	config := &tls.Config{RootCAs: y.servers.Pool(), ServerName: "hub.example"}
	if certificate != nil {
		shown := certificate.TLS()
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	}
	return config
}
