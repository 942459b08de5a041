package admin

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
)

// An endpoint has the methods of one path, by HTTP method.
type endpoint map[string]method

// A method is a handler and what a request for it needs.
type method struct {
	needs  right
	answer responder
	body   bool // the request has a body; others must have none, as it would not be read
	lasts  bool // a stream; HEAD is refused, as it could not be noticed that its client has left
	health bool // a health check: OPTIONS is as good as GET, and healthConnections are for it
}

// A responder answers, or returns an error and has written nothing.
type responder func(http.ResponseWriter, *http.Request) error

//go:embed openapi.json
var document []byte

// table returns all endpoints, which openapi.json describes. What a path needs is in its line
// and is checked in one place (respond), so that no handler can forget it. A path is found by its
// exact text: there are no patterns, and no redirects of `/api/v1/tenants/`.
func (s *Server) table() map[string]endpoint {
	get := func(needs right, answer responder) endpoint {
		return endpoint{http.MethodGet: {needs: needs, answer: answer}}
	}
	health := func(answer responder) endpoint {
		return endpoint{http.MethodGet: {needs: nothing, answer: answer, health: true}}
	}
	last := func(needs right, answer responder) endpoint {
		return endpoint{http.MethodGet: {needs: needs, answer: answer, lasts: true}}
	}
	post := func(needs right, answer responder) endpoint {
		return endpoint{http.MethodPost: {needs: needs, answer: answer}}
	}
	take := func(needs right, answer responder) method { return method{needs: needs, answer: answer, body: true} }
	all := map[string]endpoint{
		"/livez":                    health(s.livez),
		"/healthz":                  health(s.livez),
		"/readyz":                   health(s.readyz),
		"/version":                  get(read, s.version),
		"/api/v1/openapi.json":      get(nothing, s.openapi),
		"/api/v1/server":            get(read, s.server),
		"/api/v1/snapshot":          get(read, s.snapshotNow),
		"/api/v1/last-hour":         get(read, s.lastHourOf),
		"/api/v1/tenants":           get(read, s.tenants),
		"/api/v1/connections":       get(read, s.connectionsOf),
		"/api/v1/connections/close": {http.MethodPost: take(operate, s.closeConnection)},
		"/api/v1/disconnects":       get(read, s.disconnects),
		"/api/v1/listeners":         get(read, s.listeners),
		"/api/v1/policies":          get(read, s.policies),
		"/api/v1/policies/compare":  get(read, s.comparePolicies),
		"/api/v1/routes":            get(read, s.routes),
		"/api/v1/command":           get(read, s.command),
		"/api/v1/presence":          get(read, s.presence),
		"/api/v1/cluster":           get(read, s.cluster),
		"/api/v1/evaluate":          {http.MethodPost: take(read, s.evaluate)},
		"/api/v1/compare":           {http.MethodPost: take(operate, s.compare)},
		"/api/v1/reload":            post(operate, s.reload),
		"/api/v1/drain":             post(operate, s.drain),
		"/api/v1/upgrade":           {http.MethodGet: {needs: read, answer: s.lastUpgrade}, http.MethodPost: take(operate, s.upgrade)},
		"/api/v1/log-level":         {http.MethodGet: {needs: read, answer: s.logLevel}, http.MethodPut: take(operate, s.setLogLevel)},
		"/api/v1/releases":          get(read, s.releases),
		"/api/v1/releases/history":  get(read, s.releaseHistory),
		"/api/v1/releases/receipt":  get(read, s.receipt),
		"/api/v1/events":            last(read, s.events),
		"/api/v1/capture":           last(read, s.capture),
		"/api/v1/tap":               last(read, s.tap),
	}
	for _, name := range []string{Promote, Pause, Resume, Rollback, Retry, Kill, Revive} {
		all["/api/v1/releases/"+name] = endpoint{http.MethodPost: take(operate, s.verb(name))}
	}
	if s.options.Metrics != nil {
		all["/metrics"] = get(read, plain(s.options.Metrics.ServeHTTP))
	}
	if s.options.Profiles {
		all["/debug/pprof/"] = last(operate, profile(pprof.Index))
		for name, answer := range map[string]http.HandlerFunc{"cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
			all["/debug/pprof/"+name] = last(operate, profile(answer))
		}
		for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
			all["/debug/pprof/"+name] = last(operate, profile(pprof.Handler(name).ServeHTTP))
		}
	}
	return all
}

// plain makes a responder of an http.HandlerFunc.
func plain(h http.HandlerFunc) responder {
	return func(w http.ResponseWriter, r *http.Request) error {
		h(w, r)
		return nil
	}
}

// profile makes a responder of a handler of net/http/pprof, whose client decides how long the
// answer takes.
func profile(h http.HandlerFunc) responder {
	return plain(func(w http.ResponseWriter, r *http.Request) {
		clearDeadlines(w)
		// net/http/pprof refuses profiles that are longer than the server's WriteTimeout.
		h(w, r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, &http.Server{})))
	})
}

// serveHTTP answers a request, unless the server is closed. net/http calls it in the goroutine of the
// connection. It holds s.open meanwhile, so that Close can wait for it: after Close the Backend must not
// be called.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.open.TryRLock() { // Close has it for good
		fail(w, refuse(http.StatusServiceUnavailable, "%v", ErrStopping))
		return
	}
	defer s.open.RUnlock()
	if c := callerOf(r); c.conn == nil || !c.limiter.answer(c.conn) {
		return // its connection was closed
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if err := s.respond(w, r); err != nil {
		s.extendWriteDeadline(w)
		fail(w, err)
	}
}

// respond finds the endpoint, checks the client's rights, and answers. The origin is checked before
// anything else, so that a page of another site learns nothing, not even which paths exist. The
// method is checked before the rights, as openapi.json says it to everybody.
func (s *Server) respond(w http.ResponseWriter, r *http.Request) error {
	if err := checkOrigin(r); err != nil {
		return err
	}
	path := r.URL.Path
	if r.Method == http.MethodOptions && path == "/" {
		path = "/readyz" // haproxy's check, unless it is configured with another method and path
	}
	found, listed := s.endpoints[path]
	m, ok := found.method(r.Method)
	if callerOf(r).conn.health {
		w.Header().Set("Connection", "close")
		if !m.health {
			return refuse(http.StatusServiceUnavailable, "too many connections are open; close some, or ask by admin.socket")
		}
	}
	if !listed {
		return s.respondUnlisted(w, r)
	}
	if !ok {
		w.Header().Set("Allow", found.methods())
		return refuse(http.StatusMethodNotAllowed, "%s takes %s, not %.20s", r.URL.Path, found.methods(), r.Method)
	}
	if err := s.authorize(r, m.needs); err != nil {
		return err
	}
	if r.ContentLength != 0 && !m.body {
		w.Header().Set("Connection", "close") // else net/http would read the body first
		return fmt.Errorf("%s %s takes no body; send none", r.Method, r.URL.Path)
	}
	return m.answer(w, r)
}

// respondUnlisted answers a path that is not in the table.
func (s *Server) respondUnlisted(w http.ResponseWriter, r *http.Request) error {
	ofPage := r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/assets/")
	switch {
	case s.options.Page == nil || !ofPage:
		return refuse(http.StatusNotFound, "there is no %.80q; /api/v1/openapi.json lists what there is", r.URL.Path)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		return refuse(http.StatusMethodNotAllowed, "%.80s takes GET, HEAD, not %.20s", r.URL.Path, r.Method)
	default:
		w.Header().Del("Cache-Control")
		s.options.Page.ServeHTTP(w, r)
		return nil
	}
}

// method finds the method of that name. HEAD is GET without the body, except for streams.
// OPTIONS is GET for health checks.
func (e endpoint) method(name string) (m method, ok bool) {
	get, has := e[http.MethodGet]
	switch name {
	case http.MethodHead:
		return get, has && !get.lasts
	case http.MethodOptions:
		return get, has && get.health
	}
	m, ok = e[name]
	return m, ok
}

// methods lists the endpoint's methods, for the header Allow.
func (e endpoint) methods() string {
	var names []string
	for name, m := range e {
		if names = append(names, name); name == http.MethodGet && !m.lasts {
			names = append(names, http.MethodHead)
		}
		if m.health {
			names = append(names, http.MethodOptions)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// openapi answers with the description of this interface.
func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Write(document)
	return nil
}

// version answers with the text of Options.Version.
func (s *Server) version(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte(s.options.Version))
	return nil
}
