// Package dial connects to a hub as a msg_server does, with a PROXY header and TLS where its listener
// asks for them. What is said on the connection is the business of its callers: send, demo, and for
// the configuration of TLS, contexts.
package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/pires/go-proxyproto"
)

// handshakeTime is how long the PROXY header and the TLS handshake may take together.
const handshakeTime = 10 * time.Second

// A Target is a listener of a hub.
type Target struct {
	Address string         // host:port
	Proxy   netip.AddrPort // the client that a PROXY header names; the zero value sends no header
	TLS     *tls.Config    // nil: plain TCP; an empty ServerName is the host of Address
}

// Dial returns a connection that is ready for PDUs. The caller closes it.
func (t Target) Dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", t.Address, err)
	}
	ready, err := t.handshake(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ready, nil
}

// handshake sends what must come before the first PDU: the header is plain, also ahead of TLS.
func (t Target) handshake(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if t.Proxy.IsValid() {
		stop := context.AfterFunc(ctx, func() { conn.SetWriteDeadline(time.Now()) })
		_, err := t.header().WriteTo(conn)
		stop()
		if err != nil {
			return nil, fmt.Errorf("send the PROXY header to %s: %w", t.Address, err)
		}
	}
	if t.TLS == nil {
		return conn, nil
	}
	config := t.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(t.Address)
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake with %s, as a client of %s: %w", t.Address, config.ServerName, err)
	}
	return secured, nil
}

// header returns the PROXY header. The hub reads the source only; the destination is of the same
// family, as the header has one for both.
func (t Target) header() *proxyproto.Header {
	destination := netip.IPv4Unspecified()
	if t.Proxy.Addr().Is6() {
		destination = netip.IPv6Unspecified()
	}
	return proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(t.Proxy), net.TCPAddrFromAddrPort(netip.AddrPortFrom(destination, 1)))
}

// ClientTLS returns the client's side of TLS for a hub, or for its admin interface. ca is the PEM file
// of the CAs that vouch for the server; without one, the system's do. cert and key are the PEM files of
// the client's own certificate, both or neither. serverName is the name that the server's certificate
// must have; if it is empty, the caller sets it to the host before it connects. An error begins with what the file is
// for, and names the file, the fault and the remedy.
func ClientTLS(ca, cert, key, serverName string) (*tls.Config, error) {
	c := &tls.Config{ServerName: serverName, MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("ca: %w; name a PEM file that you may read", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca: %s has no certificate; name a PEM file with BEGIN CERTIFICATE", ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cert %s, key %s: %w; name the PEM files of a certificate and its key", cert, key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
