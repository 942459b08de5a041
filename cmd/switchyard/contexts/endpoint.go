package contexts

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"switchyard/cmd/switchyard/dial"
)

// An Endpoint is where a server's admin interface is.
type Endpoint struct {
	Socket  string // path of a Unix socket; empty for an address
	Address string // host:port
	TLS     bool
}

// Parse reads the address of a server:
//
//	https://hub.example.org:8281    over TLS; the port is 8280 if there is none
//	http://127.0.0.1:8280           plain, on this machine's loopback only
//	hub.example.org:8281            http:// on the loopback, else https://
//	unix:/run/switchyard/admin.sock a Unix socket; or its path alone
func Parse(server string) (e Endpoint, err error) {
	const remedy = "write https://HOST:PORT, http://127.0.0.1:PORT, or unix:PATH"
	if path, ok := strings.CutPrefix(server, "unix:"); ok || strings.HasPrefix(server, "/") {
		path = strings.TrimPrefix(path, "//")
		if !filepath.IsAbs(path) {
			return e, fmt.Errorf("%q has no absolute path; write unix:/PATH", server)
		}
		return Endpoint{Socket: path}, nil
	}
	text, bare := server, !strings.Contains(server, "://")
	if bare {
		text = "https://" + server
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Hostname() == "", u.Scheme != "http" && u.Scheme != "https":
		return e, fmt.Errorf("%q is not an address of a server; %s", server, remedy)
	case u.User != nil:
		return e, fmt.Errorf("the address of a server has no user or password; %s, and name the token's file by --token-file", remedy)
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "":
		return e, fmt.Errorf("%q has more than host and port; %s", server, remedy)
	}
	port := u.Port()
	if port == "" {
		port = "8280"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return e, fmt.Errorf("%q has no port from 1 to 65535; %s", server, remedy)
	}
	e.Address = net.JoinHostPort(u.Hostname(), port)
	loopback := isLoopback(u.Hostname())
	e.TLS = u.Scheme == "https" && !(bare && loopback)
	if !e.TLS && !loopback {
		return e, fmt.Errorf("%q: without TLS, everybody on the way can read the token; write https://, or ask by a tunnel to the loopback", server)
	}
	return e, nil
}

// isLoopback reports whether only this machine is behind a host. Without TLS, no other one is asked.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// Check reports what is wrong with the context. It reads no file, so that a context can be added
// before its token is there.
func (c Context) Check() error {
	e, err := Parse(c.Server)
	switch {
	case c.Server == "":
		return errors.New("it has no server; write https://HOST:PORT")
	case err != nil:
		return err
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("cert and key belong together; name both")
	case !e.TLS && (c.CA != "" || c.Cert != "" || c.ServerName != ""):
		return fmt.Errorf("ca, cert, key and server_name are for TLS, and %s is asked without it; write https://", c.Server)
	}
	return nil
}

// TLSConfig returns the client's side of TLS; nil if the server is asked without it. An error names
// the file, the fault and the remedy.
func (c Context) TLSConfig() (*tls.Config, error) {
	e, err := Parse(c.Server)
	if err != nil || !e.TLS {
		return nil, err
	}
	if err := CheckPrivate(c.Key); err != nil {
		return nil, err
	}
	return dial.ClientTLS(c.CA, c.Cert, c.Key, c.ServerName)
}

// CheckPrivate refuses a file with a token or a key that every user of the machine may read. A file
// that does not exist is not its business.
func CheckPrivate(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 && os.PathSeparator == '/' {
		return fmt.Errorf("%s may be read by every user of this machine; if it is the right file, run chmod o= %s", path, path)
	}
	return nil
}
