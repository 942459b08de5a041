package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/dial"
)

// Which hub send connects to. Without --hub it is the first listener of the configuration: what that
// asks of a peer is then known, and is done or asked for by name.

// targetOptions are the flags that say which listener of a hub to connect to, and how.
type targetOptions struct {
	hub, proxy                string
	tls                       bool
	ca, cert, key, serverName string
}

// flags adds the flags. They have the names of those of 'context add' where they mean the same.
func (t *targetOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&t.hub, "hub", "", "`address` of the hub (default the configuration's first listener)")
	f.StringVar(&t.proxy, "proxy", "", "send a PROXY header that names this `source`, such as 192.0.2.7")
	f.BoolVar(&t.tls, "tls", false, "use TLS, as with --ca, --cert or --server-name")
	f.StringVar(&t.ca, "ca", "", "PEM `file` of the CAs that vouch for the hub (default the system's, or the listener's certificate)")
	f.StringVar(&t.cert, "cert", "", "PEM `file` of the client's certificate, for mutual TLS")
	f.StringVar(&t.key, "key", "", "PEM `file` of its private key")
	f.StringVar(&t.serverName, "server-name", "", "server `name` (SNI) to ask for and to verify (default the host of the address)")
}

// target returns what the flags name, completed from the configuration if they name no hub. A flag
// always counts more than the configuration.
func (t *targetOptions) target(o *options) (dial.Target, error) {
	proxy, err := t.source()
	if err != nil {
		return dial.Target{}, usageError{err}
	}
	if (t.cert == "") != (t.key == "") {
		return dial.Target{}, usageError{errors.New("--cert and --key belong together; name both")}
	}
	target := dial.Target{Address: t.hub, Proxy: proxy}
	if t.hub == "" {
		if target.Address, err = t.complete(o); err != nil {
			return dial.Target{}, err
		}
	} else if err := checkAddress(t.hub); err != nil {
		return dial.Target{}, usageError{fmt.Errorf("--hub: %w; write host:port, such as 127.0.0.1:8200", err)}
	}
	if t.tls || t.ca != "" || t.cert != "" || t.serverName != "" {
		if target.TLS, err = dial.ClientTLS(t.ca, t.cert, t.key, t.serverName); err != nil {
			return dial.Target{}, dataError{fmt.Errorf("--%w", err)} // it begins with the flag's name
		}
	}
	return target, nil
}

// source reads --proxy, an address with or without a port. A hub looks at the address only.
func (t *targetOptions) source() (netip.AddrPort, error) {
	if t.proxy == "" {
		return netip.AddrPort{}, nil
	}
	if a, err := netip.ParseAddr(t.proxy); err == nil {
		return netip.AddrPortFrom(a, 1), nil
	}
	a, err := netip.ParseAddrPort(t.proxy)
	if err != nil {
		return a, fmt.Errorf("--proxy %s: write the address of a client, such as 192.0.2.7 or 192.0.2.7:5000", t.proxy)
	}
	return a, nil
}

// complete returns the address of the first listener of the configuration, and sets what it needs
// and no flag says:
//
//	tls.certificate   TLS. The certificate is on this machine, so it is trusted without its CA
//	tls.client_ca     an error, unless --cert and --key name a client's certificate
//	proxy_from        an error if this machine is such a proxy and --proxy names no client
func (t *targetOptions) complete(o *options) (string, error) {
	c, _, err := o.load()
	if err != nil {
		return "", err
	}
	l := c.Listeners[0]
	address, host, err := reachable("listener", l.Address, "--hub")
	if err != nil {
		return "", usageError{err}
	}
	if t.proxy == "" && slices.ContainsFunc(l.ProxyFrom, func(n netip.Prefix) bool { return n.Contains(host) }) {
		return "", usageError{fmt.Errorf("the listener at %s expects a PROXY header from %v; name a client by --proxy, such as --proxy 192.0.2.7", l.Address, host)}
	}
	if l.TLS.Certificate == "" {
		return address, nil
	}
	if l.TLS.ClientCA != "" && t.cert == "" {
		return "", usageError{fmt.Errorf("the listener at %s asks for a certificate of %s; name one by --cert and --key", l.Address, l.TLS.ClientCA)}
	}
	t.tls = true
	if t.ca == "" {
		t.ca = c.File(l.TLS.Certificate)
		if t.serverName == "" {
			t.serverName = nameIn(t.ca)
		}
	}
	return address, nil
}

// reachable returns the address to connect to for one that this machine listens at, and its host,
// which is invalid for a name. what listens there, and the flag that names another address, are for
// errors:
//
//	0.0.0.0:8200, :8200, localhost:8200   127.0.0.1:8200
//	[::]:8200                             [::1]:8200
//	hub.example:8200                      the same
//	127.0.0.1:0                           an error: only the server knows its port
func reachable(what, at, flag string) (address string, host netip.Addr, err error) {
	name, port, err := net.SplitHostPort(at)
	if err != nil {
		return "", host, err
	}
	if port == "0" {
		return "", host, fmt.Errorf("the %s at %s has any free port; say which by %s, as the server's log has it", what, at, flag)
	}
	host, err = netip.ParseAddr(name)
	switch {
	case name == "localhost" || err == nil && host == netip.IPv4Unspecified() || name == "":
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case err == nil && host == netip.IPv6Unspecified():
		host = netip.IPv6Loopback()
	case err != nil:
		return at, netip.Addr{}, nil // a name, which the connection resolves
	}
	return net.JoinHostPort(host.String(), port), host, nil
}

// nameIn returns a name that the first certificate of a file is for; "" if it has none. A connection
// by address would otherwise be refused, although the certificate is the right one. Of a wildcard,
// any name below it will do.
func nameIn(file string) string {
	text, _ := os.ReadFile(file) // a fault shows when the file is read as CA
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	c, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return ""
	case len(c.DNSNames) > 0:
		return strings.Replace(c.DNSNames[0], "*", "hub", 1)
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	}
	return ""
}

// checkAddress requires a host and a port to connect to.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q has no port from 1 to 65535", address)
	}
	return nil
}
