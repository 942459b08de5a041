package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"switchyard/proxy/admin/api"
)

// A handler either writes its answer and returns nil, or writes nothing and returns an error, which
// serveHTTP writes by fail. So no error is ever written into an answer that has begun.
//
// net/http gives a request clientTimeout in all. A handler that may work for longer divides the time
// itself, so that a client is only held to what the client has to do:
//
//	read the request    clientTimeout    set by net/http, and again by readBody
//	work                no limit         clearDeadlines
//	write the answer    clientTimeout    extendWriteDeadline, once the work is done

// fail answers with an error, and with its status if it is a refusal, else 400.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if r, ok := errors.AsType[*refusal](err); ok {
		status = r.status
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="switchyard"`)
	}
	answer(w, status, api.Error{Error: err.Error()})
}

// answer answers with v as JSON. It encodes all of v before it writes anything, so that an error can
// still be answered by its status. Characters such as < stay as they are: no browser takes the answer
// for a page, as its type is JSON and X-Content-Type-Options is set.
func answer(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil { // does not happen with package api's types
		return refuse(http.StatusInternalServerError, "write the answer: %v", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b.Bytes())
	return nil
}

// byName returns the counts with plain strings as keys.
func byName[K comparable, N any](counts map[K]N) map[string]N {
	named := make(map[string]N, len(counts))
	for of, n := range counts {
		named[fmt.Sprint(of)] = n
	}
	return named
}

// clearDeadlines allows the answer to begin late.
func clearDeadlines(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	c.SetReadDeadline(time.Time{})
	c.SetWriteDeadline(time.Time{})
}

// extendWriteDeadline gives the client clientTimeout to read what is written next.
func (s *Server) extendWriteDeadline(w http.ResponseWriter) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.clientTimeout))
}

// readBody reads a request's body of the given type and at most max bytes, which the client
// must send within clientTimeout.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, want string, max int64) ([]byte, error) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != want {
		return nil, refuse(http.StatusUnsupportedMediaType, "the body is of type %.80q; send %s, and say so by Content-Type", r.Header.Get("Content-Type"), want)
	}
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.clientTimeout))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes; send less", max)
	}
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	return b, nil
}
