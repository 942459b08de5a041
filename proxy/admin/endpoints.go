package admin

import (
	_ "embed"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
)

// An endpoint is what is at one path, by method. GET answers HEAD as well.
type endpoint map[string]method

// A method is who answers, and the right that it takes to ask.
type method struct {
	needs  right
	answer http.HandlerFunc
}

//go:embed openapi.json
var document []byte

// table is all that is answered. It is what openapi.json describes.
func (s *Server) table() map[string]endpoint {
	get := func(needs right, answer http.HandlerFunc) endpoint { return endpoint{http.MethodGet: {needs, answer}} }
	post := func(needs right, answer http.HandlerFunc) endpoint {
		return endpoint{http.MethodPost: {needs, answer}}
	}
	all := map[string]endpoint{
		"/livez":               get(nothing, s.livez),
		"/readyz":              get(nothing, s.readyz),
		"/version":             get(read, s.version),
		"/api/v1/openapi.json": get(nothing, s.openapi),
		"/api/v1/tenants":      get(read, s.tenants),
		"/api/v1/connections":  get(read, s.connectionsOf),
		"/api/v1/listeners":    get(read, s.listeners),
		"/api/v1/policies":     get(read, s.policies),
		"/api/v1/routes":       get(read, s.routes),
		"/api/v1/presence":     get(read, s.presence),
		"/api/v1/evaluate":     post(read, s.evaluate),
		"/api/v1/compare":      post(operate, s.compare),
		"/api/v1/reload":       post(operate, s.reload),
		"/api/v1/drain":        post(operate, s.drain),
		"/api/v1/log-level":    {http.MethodGet: {read, s.logLevel}, http.MethodPut: {operate, s.setLogLevel}},
		"/api/v1/events":       get(read, s.events),
		"/api/v1/capture":      get(read, s.capture),
		"/api/v1/tap":          get(read, s.tap),
	}
	if s.facts.Metrics != nil {
		all["/metrics"] = get(read, s.facts.Metrics.ServeHTTP)
	}
	if s.facts.Profiles {
		all["/debug/pprof/"] = get(operate, s.goesOn(pprof.Index))
		for name, answer := range map[string]http.HandlerFunc{"cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
			all["/debug/pprof/"+name] = get(operate, s.goesOn(answer))
		}
		for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
			all["/debug/pprof/"+name] = get(operate, s.goesOn(pprof.Handler(name).ServeHTTP))
		}
	}
	return all
}

// serveHTTP answers a request that may be answered.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.open.TryRLock() {
		fail(w, refuse(http.StatusServiceUnavailable, "%v", ErrStopping))
		return
	}
	defer s.open.RUnlock()
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if refused := foreign(r); refused != nil {
		fail(w, refused)
		return
	}
	found, ok := s.endpoints[r.URL.Path]
	if !ok {
		s.elsewhere(w, r)
		return
	}
	name := r.Method
	if name == http.MethodHead {
		name = http.MethodGet
	}
	m, ok := found[name]
	if !ok {
		w.Header().Set("Allow", found.methods())
		fail(w, refuse(http.StatusMethodNotAllowed, "%s takes %s, not %.20s", r.URL.Path, found.methods(), r.Method))
		return
	}
	if refused := s.allow(r, m.needs); refused != nil {
		if refused.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="switchyard"`)
		}
		fail(w, refused)
		return
	}
	m.answer(w, r)
}

// elsewhere answers what is not in the table.
func (s *Server) elsewhere(w http.ResponseWriter, r *http.Request) {
	ofPage := r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/assets/")
	switch {
	case s.facts.Page == nil || !ofPage:
		fail(w, refuse(http.StatusNotFound, "there is no %.80q; what there is stands in /api/v1/openapi.json", r.URL.Path))
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, refuse(http.StatusMethodNotAllowed, "%.80s takes GET, HEAD, not %.20s", r.URL.Path, r.Method))
	default:
		w.Header().Del("Cache-Control")
		s.facts.Page.ServeHTTP(w, r)
	}
}

// methods lists what the endpoint takes.
func (e endpoint) methods() string {
	var names []string
	for name := range e {
		if names = append(names, name); name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(document)
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte(s.facts.Version))
}
