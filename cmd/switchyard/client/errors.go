package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"switchyard/policy/sanitize"
	"switchyard/policy/stablefile"
	"switchyard/proxy/admin/api"
)

// A Refusal is the server's answer to a wrong request, which will never succeed. All other
// errors mean that the server cannot be reached, or cannot answer now.
type Refusal struct {
	Status int
	text   string
	answer []byte // the body; nil if the server was not asked
}

func (r *Refusal) Error() string { return r.text }

// maxRefusal is how much of a refusal is read, in bytes.
const maxRefusal = 4 << 10

// errorOf returns the error of a response with another status than 200. The error quotes
// the response, with control characters escaped. What the status says about trying again:
//
//	404, not as JSON    no such path: the server is older          an error
//	401                 a token is missing or wrong                a Refusal, with the remedy
//	429, 5xx, 3xx       the server cannot answer now               an error
//	other 4xx           the request is wrong                       a Refusal
func (c *Client) errorOf(response *http.Response) error {
	// If the rest takes too long, the error quotes what has arrived until then.
	timer := time.AfterFunc(c.timeouts.answer, func() { response.Body.Close() })
	defer timer.Stop()
	status, limit := response.StatusCode, int64(maxRefusal)
	if status == http.StatusUnprocessableEntity { // has the outcome of a reload
		limit = maxAnswer
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, limit))
	var answer api.Error
	message := strings.TrimSpace(string(text[:min(len(text), maxRefusal)]))
	isJSON := json.Unmarshal(text, &answer) == nil && answer.Error != ""
	if isJSON {
		message = answer.Error
	}
	err := errors.New(sanitize.Lines(fmt.Sprintf("the server at %s answers %s: %s", c.server, response.Status, message)))
	switch {
	case status == http.StatusNotFound && !isJSON && bytes.HasPrefix(text, []byte("404 page not found")):
		return fmt.Errorf("the server at %s has no %s: it is older than this command; upgrade the server, or use the switchyard that it was started from", c.server, response.Request.URL.Path)
	case status == http.StatusUnauthorized:
		return &Refusal{status, fmt.Sprintf("%v; name the file with the token by --token-file, or by %s", err, TokenVariable), text}
	case status == http.StatusBadRequest && strings.Contains(message, "HTTP request to an HTTPS server"):
		return &Refusal{status, fmt.Sprintf("the server at %s answers by TLS alone; write https://, and name its CA with 'switchyard context add --ca' unless this machine knows it", c.server), text}
	case status == http.StatusForbidden && strings.Contains(message, "this token is for reading"):
		return &Refusal{status, fmt.Sprintf("%v; name its file by --token-file, or by %s", err, TokenVariable), text}
	case status == http.StatusTooManyRequests, status >= 500, status < 400:
		return err
	}
	return &Refusal{status, err.Error(), text}
}

// noAnswer returns the error of a request without a complete answer. The end of ctx comes first,
// since its cause says more than the error of the connection that it has closed.
func (c *Client) noAnswer(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask the server at %s: %w", c.server, context.Cause(ctx))
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the whole query
	}
	where := withConfiguration
	if c.scheme == "https" { // mostly another machine
		where = "there"
	}
	return fmt.Errorf("ask the server at %s: %w; %s", c.server, err, dialRemedy(err, where))
}

// errNotSwitchyard is the cause of an answer that no switchyard gives.
var errNotSwitchyard = errors.New("what answers there does not speak as switchyard does; is it the right address, and of the same version?")

// unexpected returns the error of an answer that cannot be decoded.
func (c *Client) unexpected(err error) error {
	return fmt.Errorf("the answer of %s: %w: %w", c.server, err, errNotSwitchyard)
}

// withConfiguration is where the server of this machine is to serve.
const withConfiguration = "with this configuration"

// dialRemedy says what to do when no server answers; where is where it is to serve.
func dialRemedy(err error, where string) string {
	timeout, isNet := errors.AsType[net.Error](err)
	if remedy := tlsRemedy(err); remedy != "" {
		return remedy
	}
	_, unnamed := errors.AsType[*net.DNSError](err)
	switch {
	case unnamed:
		return "write the server's name or address as this machine knows it"
	case errors.Is(err, fs.ErrPermission):
		return "become the user that it runs as"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return "does switchyard serve " + where + "?"
	case isNet && timeout.Timeout():
		return "it hangs, or the machine is overloaded; see its log"
	default:
		return "does switchyard serve " + where + ", and nothing else?"
	}
}

// tlsRemedy says what to do when a TLS handshake fails; "" if none did.
func tlsRemedy(err error) string {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, misnamed := errors.AsType[x509.HostnameError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	_, refused := errors.AsType[tls.AlertError](err)
	text := err.Error()
	switch {
	case unknown:
		return "name the CA that vouches for the server with 'switchyard context add --ca'"
	case misnamed:
		return "name the server as its certificate does, by the address or with 'switchyard context add --server-name'"
	case plain, strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "it answers without TLS: write http:// if that is meant, or set admin.tls there"
	case refused, strings.Contains(text, "remote error: tls"):
		return "the server requires a client certificate: name one that a CA in its admin.tls.client_ca has signed, with 'switchyard context add --cert --key'"
	case strings.Contains(text, "malformed HTTP response"):
		return "does it answer by TLS? Write https://"
	}
	return ""
}

// maxToken is how long a token may be, in bytes.
const maxToken = 4 << 10

// minNamedToken is how long a token behind a name is at least, in bytes.
const minNamedToken = 16

// maxTokens is the size in bytes up to which a file of tokens is read.
const maxTokens = 64 << 10

// CheckToken returns why the file holds no token. It reads the file.
func CheckToken(path string) error {
	_, err := readToken(path)
	return err
}

// readToken reads the first token of a file such as the server's: one token, or lines of a name and
// a token. Its content appears in no error.
func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", &Refusal{text: fmt.Sprintf("read the token: %v; name a file that you may read by --token-file, or by %s", err, TokenVariable)}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokens+1))
	first, _, several := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	token := string(bytes.TrimSpace(first))
	fields := strings.Fields(token)
	named := len(fields) == 2 && len(fields[1]) >= minNamedToken
	if named {
		token = fields[1]
	}
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case err != nil:
		return "", &Refusal{text: fmt.Sprintf("read the token: %v; name a file with a token", err)}
	case stablefile.CheckMark(text) != nil:
		return "", &Refusal{text: fmt.Sprintf("%s: %v", path, stablefile.CheckMark(text))}
	case token == "", several && !named, len(text) > maxTokens, len(token) > maxToken, strings.ContainsFunc(token, unprintable):
		return "", &Refusal{text: fmt.Sprintf("%s holds no token; name the file with the server's, of up to %d printable characters without blanks", path, maxToken)}
	}
	return token, nil
}
