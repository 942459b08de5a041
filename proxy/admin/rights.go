package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"switchyard/proxy/certificate"
)

// Who may do what:
//
//	                                  read                     operate
//	the Unix socket                   yes                      yes
//	TCP, without a token              if no read token is set  no
//	TCP, with a token for reading     yes                      no
//	TCP, with one for operating       yes                      yes
//
// TLS changes none of that: a client certificate alone lets a client read if no read token is set.
//
// Health checks, openapi.json and the dashboard's page need no right; they contain nothing of what
// peers send.

// A right is what a client may do. Each includes those before it.
type right int

const (
	nothing right = iota
	read
	operate
)

// String returns the word for the right in answers, and in the key of the file with its tokens.
func (r right) String() string { return [...]string{"nothing", "read", "operate"}[r] }

// A caller is the client of a connection.
type caller struct {
	socket  bool   // it uses the Unix socket, which only the server's user can open
	name    string // for the log
	user    string // of the socket
	limiter *connLimiter
	conn    *openConn // in limiter; nil if it was not admitted
}

type callerKey struct{}

// withCaller admits a new connection, and stores its caller in its context.
func (s *Server) withCaller(ctx context.Context, conn net.Conn) context.Context {
	c := caller{name: conn.RemoteAddr().String(), limiter: s.limiterFor(conn)}
	client, _, _ := net.SplitHostPort(c.name)
	if u, ok := conn.(*net.UnixConn); ok {
		user, process := owner(u)
		c.socket, c.user, c.name = true, "socket, "+user, "socket, "+user+process
		client = c.name
	}
	c.conn = s.admit(conn, client)
	return context.WithValue(ctx, callerKey{}, c)
}

// who describes the client of a request, for the log and the history of policies: the user of the
// socket, or the token by its name, if it has one, and a name in the client's certificate.
func (s *Server) who(r *http.Request) string {
	if c := callerOf(r); c.socket {
		return c.user
	}
	_, name, _ := s.rightOf(r)
	who := strings.TrimSpace("token " + name)
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		if names := certificate.Identities(r.TLS.PeerCertificates[0]); len(names) > 0 {
			who += fmt.Sprintf(", certificate %.100s", names[0])
		}
	}
	return who
}

// callerOf returns the client of a request, which withCaller stored.
func callerOf(r *http.Request) caller {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c
}

// A refusal is an error with an HTTP status.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// checkOrigin refuses requests that a browser was made to send by another site: cross-site requests,
// by their headers, and DNS rebinding, by the Host. A request without a Host, as load balancers send it
// with HTTP/1.0, is not a browser's. Over TLS any Host will do: a browser has compared the certificate
// with the name that it shows, and other machines know the server by other names.
func checkOrigin(r *http.Request) error {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if !callerOf(r).socket && r.TLS == nil && r.Host != "" && !isLoopback(r.Host) {
		return refuse(http.StatusForbidden, "host %.80q is not this machine's loopback; ask for 127.0.0.1, [::1] or localhost", r.Host)
	}
	ours := true
	for _, origin := range r.Header.Values("Origin") {
		u, err := url.Parse(origin)
		ours = ours && err == nil && u.Scheme == scheme && strings.EqualFold(u.Host, r.Host)
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		ours = ours && (site == "none" || site == "same-origin")
	}
	if !ours {
		return refuse(http.StatusForbidden, "a page of another site asked; open the address itself")
	}
	return nil
}

// isLoopback reports whether a Host header, with or without a port, names the loopback.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}

// authorize returns an error if the client lacks the right.
func (s *Server) authorize(r *http.Request, needed right) error {
	if needed == nothing || callerOf(r).socket {
		return nil
	}
	has, _, err := s.rightOf(r)
	switch {
	case err != nil:
		return err
	case has >= needed:
		return nil
	case needed == operate && s.tokens.operate.path == "":
		return refuse(http.StatusForbidden, "this address does not allow operating; set admin.operate_token_file, or use admin.socket")
	case has == nothing || r.Header.Get("Authorization") == "":
		return refuse(http.StatusUnauthorized, "this needs a token; send the one in admin.%s_token_file, as Authorization: Bearer TOKEN", needed)
	default:
		return refuse(http.StatusForbidden, "this token is for reading; send the one in admin.operate_token_file")
	}
}

// rightOf returns the right of a client over TCP, by its token, and the token's name.
func (s *Server) rightOf(r *http.Request) (has right, name string, err error) {
	if len(r.Header.Values("Authorization")) == 0 {
		if s.tokens.read.path == "" {
			return read, "", nil
		}
		return nothing, "", nil
	}
	token, err := bearer(r)
	if err != nil {
		return nothing, "", err
	}
	if has, name = s.tokens.rightOf(token); has == nothing {
		s.logFew(slog.LevelWarn, "admin refused a token", "client", callerOf(r).name, "path", r.URL.Path)
		return nothing, "", refuse(http.StatusUnauthorized, "the token is wrong; send what is in the file of admin.read_token_file or admin.operate_token_file")
	}
	return has, name, nil
}

// bearer returns the token that a request shows; "" if it shows none.
func bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", refuse(http.StatusUnauthorized, "write the token as Authorization: Bearer TOKEN, once")
	}
	return strings.TrimSpace(token), nil
}
