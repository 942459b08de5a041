package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"switchyard/policy/sanitize"
	"switchyard/policy/stablefile"
)

const (
	userAgent   = "switchyard"
	remedyLogin = "put user and password for that host into the file registry.auth"
)

// maxFile is the size in bytes up to which a file of the configuration is read.
const maxFile = 1 << 20

// newClient returns an HTTP client for the requests of one attempt. It reads the files of the
// options, which may have changed since the last attempt.
func newClient(name string, o Options) (*http.Client, error) {
	g := new(guard)
	var err error
	if g.source, g.registry, err = origin(name); err != nil {
		return nil, err
	}
	if g.logins, err = readAuth(o.Auth); err != nil {
		return nil, fmt.Errorf("registry.auth: %w", err)
	}
	roots, err := readCA(o.CA)
	if err != nil {
		return nil, fmt.Errorf("registry.ca: %w", err)
	}
	g.base = &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // so that a limit of bytes is one of bytes on the wire
		ForceAttemptHTTP2:      true,
	}
	return &http.Client{Transport: g}, nil
}

// origin returns where the first request for a policy goes, and whether that is a registry. A
// registry on this machine is asked without TLS.
func origin(name string) (u *url.URL, isRegistry bool, err error) {
	if !strings.HasPrefix(name, ociScheme) {
		u, err = url.Parse(name)
		return u, false, err
	}
	ref, err := reference(name)
	if err != nil {
		return nil, true, err
	}
	u = &url.URL{Scheme: "https", Host: ref.Host()}
	if isLoopback(u.Hostname()) {
		u.Scheme = "http"
	}
	return u, true, nil
}

// readCA returns the system's CAs and those of the file, or nil, which is the system's, without a file.
func readCA(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: there is no certificate in PEM", path)
	}
	return roots, nil
}

// readFile reads a file of the configuration once no process is writing to it.
func readFile(path string) ([]byte, error) {
	return stablefile.Read(path, 50*time.Millisecond, maxFile)
}

// A guard refuses requests that another machine must not trigger by a redirect or a challenge, and
// sends credentials only to the host that they belong to. For example, with the source
// oci://registry.example/routes and credentials for registry.example:
//
//	request to                 TLS          Authorization
//	registry.example           required     by the registry's client, after a challenge
//	storage.example, by a      required     none, unless registry.auth has some for that host
//	redirect
//	http://169.254.169.254     refused: not encrypted
//
// A registry on this machine is asked without TLS, and may redirect without TLS to this machine.
type guard struct {
	base     *http.Transport
	source   *url.URL // see origin
	registry bool     // source is a registry, whose client sets the credentials for that host
	logins   logins
}

// RoundTrip implements http.RoundTripper. It returns a *busyError if the machine answers
// that it is busy.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !g.mayBePlain(r.URL) {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, &remedied{fmt.Errorf("it leads to %q, which is not encrypted", r.URL.Scheme+"://"+r.URL.Host), "serve it by https"}
	}
	r = r.Clone(r.Context()) // a RoundTripper must not change the request
	if !g.registry || !strings.EqualFold(r.URL.Host, g.source.Host) {
		r.Header.Del("Authorization")
		if l, ok := g.logins[strings.ToLower(r.URL.Host)]; ok {
			r.SetBasicAuth(l.user, l.password)
		}
	}
	resp, err := g.base.RoundTrip(r)
	if err == nil && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable) {
		resp.Body.Close()
		return nil, &busyError{resp.Status, retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	return resp, err
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (g *guard) CloseIdleConnections() { g.base.CloseIdleConnections() }

// mayBePlain reports whether a request may go without TLS: only a request to this machine
// for a policy on this machine, unless the address says https.
func (g *guard) mayBePlain(u *url.URL) bool {
	return g.source.Scheme != "https" && u.Scheme == "http" && isLoopback(g.source.Hostname()) && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// A busyError is an answer that asks the client to retry later.
type busyError struct {
	status string
	after  time.Duration // 0 if the answer does not say when
}

func (e *busyError) Error() string { return "the answer is " + strconv.Quote(e.status) }

// retryAfter parses the Retry-After header: seconds or a date. It returns 0 for anything
// else.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, int(maxBackOff/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// A remedied is an error with a remedy in its text.
type remedied struct {
	error
	remedy string
}

func (e *remedied) Unwrap() error { return e.error }

// A redacted is an error whose text is safe to log.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }
func (e *redacted) Unwrap() error { return e.err }

// query matches the query of an address. Redirects to storage carry a key in it.
var query = regexp.MustCompile(`\?[^\s"]*`)

// redact returns an error whose text is short, harmless and without queries of addresses. The text
// may come from the other machine, and goes to logs and to operators. The error that it wraps is for
// errors.As only and is never printed.
func redact(err error) error {
	if err == nil {
		return nil
	}
	text := err
	if e, ok := errors.AsType[*url.Error](err); ok && errors.Is(e, e.Err) {
		text = e.Err // the log line already contains the address
	}
	return &redacted{sanitize.Cut(sanitize.Text(query.ReplaceAllString(text.Error(), "")), 500), err}
}
