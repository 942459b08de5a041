package client

import (
	"bytes"
	"context"
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
)

// A Refusal is the server's answer to a request that is wrong: another one may be
// answered, the same one never. All other errors are of a server that cannot be asked,
// or not now.
type Refusal struct {
	Status int
	text   string
}

func (r *Refusal) Error() string { return r.text }

// maxRefusal is how much of a refusal is read, in bytes.
const maxRefusal = 4 << 10

// refused makes an error of an answer that is none. It repeats what the answer says, so
// that is made harmless.
func (c *Client) refused(response *http.Response) error {
	// However long the rest takes, what was said until then is told.
	timer := time.AfterFunc(c.times.answer, func() { response.Body.Close() })
	defer timer.Stop()
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	var spoken struct{ Error string }
	known := json.Unmarshal(text, &spoken) == nil && spoken.Error != ""
	said := strings.TrimSpace(string(text))
	if known {
		said = spoken.Error
	}
	status := response.StatusCode
	err := errors.New(sanitize.Lines(fmt.Sprintf("the server at %s answers %s: %s", c.at, response.Status, said)))
	switch {
	case status == http.StatusNotFound && !known && bytes.HasPrefix(text, []byte("404 page not found")):
		return fmt.Errorf("the server at %s has no %s: it is older than this command; upgrade the server, or use the switchyard that it was started from", c.at, response.Request.URL.Path)
	case status == http.StatusUnauthorized:
		return &Refusal{status, fmt.Sprintf("%v; name the file with the token by --token-file, or by %s", err, TokenVariable)}
	case status == http.StatusTooManyRequests, status >= 500, status < 400:
		return err
	}
	return &Refusal{status, err.Error()}
}

// unanswered makes an error of a request that no answer came to.
func (c *Client) unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask the server at %s: %w", c.at, context.Cause(ctx))
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the whole of the query
	}
	return fmt.Errorf("ask the server at %s: %w; %s", c.at, err, dialRemedy(err))
}

// dialRemedy says what to do when nobody answers.
func dialRemedy(err error) string {
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "become the user that it runs as"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return "does switchyard serve with this configuration?"
	case isNet && timeout.Timeout():
		return "it hangs, or the machine is overloaded; see its log"
	default:
		return "does switchyard serve with this configuration, and nothing else there?"
	}
}

// maxToken is how long a token may be, in bytes.
const maxToken = 4 << 10

// readToken reads the token in a file. No error tells what is in it.
func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", &Refusal{0, fmt.Sprintf("read the token: %v; name a file that you may read by --token-file, or by %s", err, TokenVariable)}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	token := string(bytes.TrimSpace(text))
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case err != nil:
		return "", &Refusal{0, fmt.Sprintf("read the token: %v; name a file with a token", err)}
	case token == "", len(text) > maxToken, strings.ContainsFunc(token, odd):
		return "", &Refusal{0, fmt.Sprintf("%s holds no token; name the file with the server's, of up to %d printable characters without blanks", path, maxToken)}
	}
	return token, nil
}
