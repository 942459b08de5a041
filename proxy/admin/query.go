package admin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchyard/pdu"
	"switchyard/policy/command"
)

// What requests ask by their query. A handler first names all parameters that it knows (query,
// tenantQuery, tenantsOf), and then reads each by its kind. Every error is the client's, and says
// what to write instead.

// maxListed is how often a query may contain one parameter.
const maxListed = 1000

// A parameters is a request's query. Its first fault stays in err; what is read after it has no meaning.
type parameters struct {
	url.Values
	err error
}

// query reads a request's query, in which the parameters lists may occur any number of times and single
// ones once. It refuses unknown parameters: a misspelt redact of a capture would record what was to be
// left out.
func query(r *http.Request, lists []string, single ...string) (*parameters, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("the query is not one: %w", err)
	}
	known := slices.Concat(lists, single)
	for _, name := range slices.Sorted(maps.Keys(q)) { // so that a query has the same fault each time
		values := q[name]
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
	return &parameters{Values: q}, nil
}

// fail records a fault, unless there was one before.
func (q *parameters) fail(format string, args ...any) {
	if q.err == nil {
		q.err = fmt.Errorf(format, args...)
	}
}

// number reads a whole number; otherwise is its default.
func (q *parameters) number(name string, otherwise, min, max uint64) uint64 {
	if !q.Has(name) {
		return otherwise
	}
	n, err := strconv.ParseUint(q.Get(name), 10, 64)
	if err != nil || n < min || n > max {
		q.fail("%s=%.40s: write a whole number from %d to %d", name, q.Get(name), min, max)
	}
	return n
}

// truth reads a yes or no; the default is false.
func (q *parameters) truth(name string) bool {
	b, err := strconv.ParseBool(q.Get(name))
	if err != nil && q.Has(name) {
		q.fail("%s=%.40s: write true or false", name, q.Get(name))
	}
	return b
}

// duration reads a time span; the default is 0.
func (q *parameters) duration(name string) time.Duration {
	d, err := time.ParseDuration(q.Get(name))
	if (err != nil || d < 0) && q.Has(name) {
		q.fail("%s=%.40s: write a time such as 30s", name, q.Get(name))
	}
	return d
}

// commands reads commands, each a name or an id; nil if there are none.
func (q *parameters) commands(name string) (commands []pdu.CommandID) {
	for _, text := range q.Values[name] {
		id, wrong := command.ID(text)
		if wrong != nil {
			q.fail("%w", wrong)
		}
		commands = append(commands, id)
	}
	return commands
}

// tenantQuery reads a query about one tenant, which also has the single parameters.
func (s *Server) tenantQuery(r *http.Request, single ...string) (*parameters, Tenant, error) {
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
	if name == "" {
		return Tenant{}, fmt.Errorf("there are several tenants; name one of %s", namesOf(all))
	}
	for _, t := range all {
		if t.Name == name {
			return t, nil
		}
	}
	return Tenant{}, unknownTenant(name, all)
}

// tenantsOf finds the tenants of a request that has no parameter but their names.
func (s *Server) tenantsOf(r *http.Request) ([]Tenant, error) {
	q, err := query(r, []string{"tenant"})
	if err != nil {
		return nil, err
	}
	return s.tenantsNamed(q.Values["tenant"])
}

// tenantsNamed finds the tenants of those names; all if there are none.
func (s *Server) tenantsNamed(names []string) ([]Tenant, error) {
	all := s.backend.State().Tenants
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(t Tenant) bool { return t.Name == name }) {
			return nil, unknownTenant(name, all)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(t Tenant) bool { return !slices.Contains(names, t.Name) }), nil
}

func unknownTenant(name string, all []Tenant) error {
	return refuse(http.StatusNotFound, "unknown tenant %.40q; known tenants: %s", name, namesOf(all))
}

// tenantOrAll returns the name of the tenant in a query, which is served; "" if none is named.
func (s *Server) tenantOrAll(q *parameters) (name string, err error) {
	if name = q.Get("tenant"); name != "" {
		_, err = s.tenant(name)
	}
	return name, err
}

// namesOf lists tenants, for errors.
func namesOf(tenants []Tenant) string {
	names := make([]string, len(tenants))
	for i, t := range tenants {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}
