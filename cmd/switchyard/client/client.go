// Package client makes requests to the admin interface of a running server, which
// proxy/admin serves and its openapi.json describes. Callers decide what to do with the answers and
// how to display them.
//
// The client does not trust what listens at the server's address: an answer takes bounded
// time and bounded memory, and an error says what to do and holds no control characters.
// Text in answers is passed on unchanged; callers make it harmless before they write it to
// a terminal.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
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

// A Target says how to reach the server.
type Target struct {
	Socket    string      // path of its Unix socket; empty for none
	Address   string      // host:port; empty for none
	TLS       *tls.Config // for Address; nil for plain TCP, which is for the loopback
	TokenFile string      // file with the token for Address; empty for none
}

// timeouts are how long the client waits for the server.
type timeouts struct {
	dial   time.Duration // until the connection is accepted
	answer time.Duration // until a stream begins, and until any other answer is complete
	slow   time.Duration // in place of answer, for requests that make the server load something
	line   time.Duration // between two lines of a stream
}

var defaultTimeouts = timeouts{dial: 5 * time.Second, answer: 10 * time.Second, slow: slowTime, line: 15 * time.Second}

// slowTime lets the server finish first, which knows why a policy is not loaded. With the default
// wasm.load_time of 30 s, it gives one up after 300 s on a busy machine, and may load two in a row.
const slowTime = 10 * time.Minute

// A Client makes requests to one server. It may be used by several goroutines.
type Client struct {
	server    string // address or path of the server, for people
	host      string
	token     string
	scheme    string
	http      http.Client
	timeouts  timeouts
	transport *http.Transport
}

// Connect chooses how to reach the server: by the socket, which needs no token, if
// something accepts connections there, and else by the address. It makes no request.
func Connect(t Target) (*Client, error) { return connect(t, defaultTimeouts) }

func connect(target Target, t timeouts) (*Client, error) {
	network, address := "tcp", target.Address
	var socketErr error
	if target.Socket != "" {
		if socketErr = tryDial(target.Socket, t.dial); socketErr == nil {
			network, address = "unix", target.Socket
		}
	}
	c := &Client{server: address, host: address, scheme: "http", timeouts: t}
	switch {
	case network == "unix":
		c.host = "localhost"
	case socketErr != nil && address == "":
		return nil, fmt.Errorf("ask the server by its socket: %w; %s", socketErr, dialRemedy(socketErr, withConfiguration))
	case address == "":
		return nil, errors.New("admin.address is empty in this configuration, so there is no server to ask; set it, and restart the server")
	case strings.HasSuffix(address, ":0"):
		return nil, fmt.Errorf("admin.address is %s, any free port; say which by --set admin.address=, as the server's log has it", address)
	}
	if target.TLS != nil && network == "tcp" {
		c.scheme = "https"
	}
	if target.TokenFile != "" && network == "tcp" {
		var err error
		if c.token, err = readToken(target.TokenFile); err != nil {
			return nil, err
		}
	}
	c.transport = &http.Transport{ // without Proxy, which would learn what is asked
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: t.dial}).DialContext(ctx, network, address)
		},
		TLSClientConfig:        target.TLS,
		TLSHandshakeTimeout:    t.dial,
		ResponseHeaderTimeout:  t.answer,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           4,
		IdleConnTimeout:        time.Minute,
		DisableCompression:     true,
	}
	c.http = http.Client{
		Transport: c.transport,
		// Following a redirect would send the token to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// tryDial returns why no connection to a Unix socket is accepted.
func tryDial(path string, within time.Duration) error {
	conn, err := net.DialTimeout("unix", path, within)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Server returns the address or path of the server.
func (c *Client) Server() string { return c.server }

// Close closes idle connections. A stream stays open until its own Close.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Open requests a stream, which lasts until the caller closes it or ctx ends. The caller
// bounds how long the server may be silent in it, and how much it may send.
func (c *Client) Open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	return c.send(ctx, http.MethodGet, path, query, nil)
}

// send makes a request, with a body of JSON unless that is nil. Any status but 200 and 202 is an
// error, redirects included. The caller closes the body, and bounds the time until it has read it.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body []byte) (io.ReadCloser, error) {
	u := url.URL{Scheme: c.scheme, Host: c.host, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.noAnswer(ctx, err)
	}
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusAccepted {
		return response.Body, nil
	}
	defer response.Body.Close()
	return nil, c.errorOf(response)
}
