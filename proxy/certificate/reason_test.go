package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"switchyard/pdu/pdutest"
)

// Bytes that are not a handshake, as they arrive at public TLS ports.
func TestDescribe(t *testing.T) {
	y := newFixture(t)
	s := start(t, y.files)
	send := func(content string) func(*testing.T, *net.TCPConn) {
		return func(t *testing.T, conn *net.TCPConn) {
			_, err := conn.Write([]byte(content))
			check(t, err)
		}
	}
	for _, c := range []struct {
		name   string
		client func(*testing.T, *net.TCPConn)
		want   string
	}{
		{"a PDU", send(string(pdutest.Heartbeat())), ReasonNotTLS},
		{"a request of HTTP", send("GET / HTTP/1.1\r\nHost: hub.example\r\n\r\n"), ReasonNotTLS},
		{"a header of PROXY", send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), ReasonNotTLS},
		{"zeros", send(string(make([]byte, 100))), ReasonNotTLS},
		{"nothing", send(""), ReasonTimeout},
		{"a handshake cut short", send("\x16\x03\x01\x02\x00\x01\x00"), ReasonTimeout},
		{"a handshake of nonsense", send("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"), ReasonOther},
		{"gone at once", func(_ *testing.T, conn *net.TCPConn) { conn.Close() }, ReasonClosed},
		{"gone in the middle", func(t *testing.T, conn *net.TCPConn) {
			send("\x16\x03\x01\x02\x00\x01\x00")(t, conn)
			conn.Close()
		}, ReasonClosed},
		{"gone by reset", func(t *testing.T, conn *net.TCPConn) {
			check(t, conn.SetLinger(0))
			conn.Close()
		}, ReasonClosed},
	} {
		server, client := sockets(t)
		c.client(t, client)
		if c.want == ReasonTimeout {
			check(t, server.SetDeadline(time.Now().Add(20*time.Millisecond)))
		}
		err := tls.Server(server, s.Config()).Handshake()
		if got := Describe(err); got != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

// A client that refuses the server's certificate sends an alert and closes.
func TestDescribeRemoteAlert(t *testing.T) {
	y := newFixture(t)
	for _, version := range versions {
		config := y.client(y.clients.Client("acme"))
		config.MaxVersion = version
		config.RootCAs = y.clients.Pool()
		m := handshake(t, start(t, y.files), config)
		if got := Describe(m.serverErr); got != ReasonClosed || m.clientErr == nil {
			t.Errorf("%s: got %q, %v; the client %v", tls.VersionName(version), got, m.serverErr, m.clientErr)
		}
	}
}

func TestDescribeWrapped(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{tls.RecordHeaderError{}, ReasonNotTLS},
		{context.DeadlineExceeded, ReasonTimeout},
		{context.Canceled, ReasonClosed},
		{io.EOF, ReasonClosed},
		{net.ErrClosed, ReasonClosed},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, ReasonUnknownCA},
		{&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, ReasonExpired},
		{&tls.CertificateVerificationError{Err: errors.New("any")}, ReasonBadCertificate},
		{errors.New("any"), ReasonOther},
	} {
		if got := Describe(wrapped(c.err)); got != c.want {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
	}
}

// wrapped wraps an error as callers may do.
func wrapped(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("handshake: %w", err)
}
