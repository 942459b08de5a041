// Package client asks the running server what proxy/admin answers, as described by
// the openapi.json there. What is done with the answers, and how they look, is its
// callers' business.
//
// The server is not trusted to be one: whatever listens at its address, an answer
// takes bounded time and bounded memory, and an error says what to do, and nothing that
// a terminal would obey. Texts in answers are as they came, and have to be made harmless
// before a terminal sees them.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// TokenVariable is the environment variable that names the file with the token.
const TokenVariable = "SWITCHYARD_ADMIN_TOKEN_FILE"

// Where says how to reach the server.
type Where struct {
	Socket    string // path of its Unix socket; empty for none
	Address   string // host:port on the loopback; empty for none
	TokenFile string // file with the token for Address; empty for none
}

// times are how long the server is waited for.
type times struct {
	dial   time.Duration // until it accepts
	answer time.Duration // until its answer begins, and until one that does not go on is whole
	line   time.Duration // between two lines of an answer that goes on
}

var patience = times{dial: 5 * time.Second, answer: 10 * time.Second, line: 15 * time.Second}

// A Client asks one server. It may be used by several goroutines.
type Client struct {
	at     string // who is asked, for people
	host   string
	token  string
	http   http.Client
	times  times
	direct *http.Transport
}

// Connect chooses how to reach the server. The socket, of which no token is wanted, is
// taken if somebody answers there; else the address. Nothing is asked yet.
func Connect(w Where) (*Client, error) { return connect(w, patience) }

func connect(w Where, t times) (*Client, error) {
	network, address := "tcp", w.Address
	var unreached error
	if w.Socket != "" {
		if unreached = answers(w.Socket, t.dial); unreached == nil {
			network, address = "unix", w.Socket
		}
	}
	c := &Client{at: address, host: address, times: t}
	switch {
	case network == "unix":
		c.host = "localhost"
	case unreached != nil && address == "":
		return nil, fmt.Errorf("ask the server by its socket: %w; %s", unreached, dialRemedy(unreached))
	case address == "":
		return nil, errors.New("admin.address is empty in this configuration, so nobody can be asked; set it, and restart the server")
	case strings.HasSuffix(address, ":0"):
		return nil, fmt.Errorf("admin.address is %s, any free port; say which by --set admin.address=, as the server's log has it", address)
	case w.TokenFile != "":
		var err error
		if c.token, err = readToken(w.TokenFile); err != nil {
			return nil, err
		}
	}
	c.direct = &http.Transport{ // and no proxy: it is this machine that is asked
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: t.dial}).DialContext(ctx, network, address)
		},
		ResponseHeaderTimeout:  t.answer,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           4,
		IdleConnTimeout:        time.Minute,
		DisableCompression:     true,
	}
	c.http = http.Client{
		Transport: c.direct,
		// A token is not for whoever the answer names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// answers reports why nobody answers at a Unix socket.
func answers(path string, within time.Duration) error {
	conn, err := net.DialTimeout("unix", path, within)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Server returns the address or path that is asked.
func (c *Client) Server() string { return c.at }

// Close gives back connections that are not in use. An open stream has its own Close.
func (c *Client) Close() { c.direct.CloseIdleConnections() }

// Open asks for an answer that goes on, until the caller has closed it or ctx ends. How
// long the server may be silent in it, and how much it may say, is the caller's.
func (c *Client) Open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	u := url.URL{Scheme: "http", Host: c.host, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unanswered(ctx, err)
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	return nil, c.refused(response)
}
