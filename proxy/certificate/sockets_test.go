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

// soon is how long anything may take in a test that is going to pass.
const soon = 20 * time.Second

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start loads files that are good, and does not wait for them to be at rest.
func start(t *testing.T, files Files) *Source {
	t.Helper()
	s, err := load(files, 0)
	check(t, err)
	return s
}

// sockets returns both ends of a connection over loopback.
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
		check(t, conn.SetDeadline(time.Now().Add(soon)))
		t.Cleanup(func() { conn.Close() })
	}
	return accepted.(*net.TCPConn), dialled.(*net.TCPConn)
}

// A meeting is a handshake that is over.
type meeting struct {
	server, client       *tls.Conn
	serverErr, clientErr error
}

// meet lets a client of that configuration come to the source. The server ends the
// connection if its handshake fails, as a listener would.
func meet(t *testing.T, s *Source, client *tls.Config) meeting {
	t.Helper()
	serverEnd, clientEnd := sockets(t)
	m := meeting{server: tls.Server(serverEnd, s.Config()), client: tls.Client(clientEnd, client)}
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

// meetWell is meet for those that must be let in.
func meetWell(t *testing.T, s *Source, client *tls.Config) meeting {
	t.Helper()
	m := meet(t, s, client)
	check(t, errors.Join(m.serverErr, m.clientErr))
	m.talk(t)
	return m
}

// talk sends some bytes each way.
func (m meeting) talk(t *testing.T) {
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

// shown returns the certificate that the server showed.
func (m meeting) shown() *x509.Certificate { return m.client.ConnectionState().PeerCertificates[0] }

// A yard is an authority for servers and one for clients, and the server's files.
type yard struct {
	dir              string
	servers, clients *authority.Authority
	server           *authority.Certificate
	files            Files
}

// newYard makes one with mutual TLS.
func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{dir: t.TempDir(), servers: authority.New(t, "servers"), clients: authority.New(t, "clients")}
	y.files.ClientCA = y.clients.Write(y.dir, "clients.pem")
	y.rotate(t)
	return y
}

// rotate writes another certificate for the server.
func (y *yard) rotate(t *testing.T) {
	t.Helper()
	y.server = y.servers.Server("hub.example")
	y.files.Certificate, y.files.Key = y.server.Write(y.dir, "server")
}

// client returns the configuration of a client, with a certificate, or with none.
// It shows the certificate whomever the server asks for.
func (y *yard) client(certificate *authority.Certificate) *tls.Config {
	config := &tls.Config{RootCAs: y.servers.Pool(), ServerName: "hub.example"}
	if certificate != nil {
		shown := certificate.TLS()
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	}
	return config
}
