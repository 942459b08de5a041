package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchyard/proxy/admin/api"
)

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

// answer answers with v as JSON.
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

// maxListed is how often a query may contain one parameter.
const maxListed = 1000

// query reads a request's query. It refuses unknown parameters: a misspelt redact of a capture would
// record what was to be left out. It refuses one that is there twice as well, unless it is among lists.
func query(r *http.Request, lists []string, single ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("the query is not one: %w", err)
	}
	known := slices.Concat(lists, single)
	for name, values := range q {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown part %.40q of the query; known are %s", name, strings.Join(known, ", "))
		}
		switch {
		case len(values) > maxListed:
			return nil, fmt.Errorf("%s is there %d times; at most %d can be named", name, len(values), maxListed)
		case len(values) > 1 && !slices.Contains(lists, name):
			return nil, fmt.Errorf("%s is there %d times; name one", name, len(values))
		}
	}
	return q, nil
}

// number reads a whole number from a query; otherwise is its default.
func number(q url.Values, name string, otherwise, min, max uint64) (uint64, error) {
	if !q.Has(name) {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(q.Get(name), 10, 64)
	if err != nil || n < min || n > max {
		return 0, fmt.Errorf("%s=%.40s: write a whole number from %d to %d", name, q.Get(name), min, max)
	}
	return n, nil
}

// tenantQuery reads a query about one tenant, which also has the single parameters.
func (s *Server) tenantQuery(r *http.Request, single ...string) (url.Values, Tenant, error) {
	q, err := query(r, nil, append([]string{"tenant"}, single...)...)
	if err != nil {
		return nil, Tenant{}, err
	}
	t, err := s.tenant(q.Get("tenant"))
	return q, t, err
}

// tenant finds the tenant of that name; "" finds the only tenant.
func (s *Server) tenant(name string) (Tenant, error) {
	all := s.backend.State().Tenants
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	for _, t := range all {
		if t.Name == name && name != "" {
			return t, nil
		}
	}
	if name == "" {
		return Tenant{}, fmt.Errorf("there are several tenants; name one of %s", namesOf(all))
	}
	return Tenant{}, refuse(http.StatusNotFound, "unknown tenant %.40q; known tenants: %s", name, namesOf(all))
}

// tenantsOf finds the tenants of a request that has no parameter but their names.
func (s *Server) tenantsOf(r *http.Request) ([]Tenant, error) {
	q, err := query(r, []string{"tenant"})
	if err != nil {
		return nil, err
	}
	return s.tenantsNamed(q["tenant"])
}

// tenantsNamed finds the tenants of those names; all if there are none.
func (s *Server) tenantsNamed(names []string) ([]Tenant, error) {
	all := s.backend.State().Tenants
	if len(names) == 0 {
		return all, nil
	}
	wanted := make(map[string]bool)
	for _, name := range names {
		if _, err := s.tenant(name); err != nil || name == "" {
			return nil, refuse(http.StatusNotFound, "unknown tenant %.40q; known tenants: %s", name, namesOf(all))
		}
		wanted[name] = true
	}
	var some []Tenant
	for _, t := range all {
		if wanted[t.Name] {
			some = append(some, t)
		}
	}
	return some, nil
}

// namesOf lists tenants, for errors.
func namesOf(tenants []Tenant) string {
	names := make([]string, len(tenants))
	for i, t := range tenants {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}
