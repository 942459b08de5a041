// Package admin serves operators over HTTP; it reads what it is handed, and never
// reaches into the data path.
//
//	GET /livez             ok, as long as the process answers
//	GET /version           what this is
//	GET /api/v1/tenants    the counts of every tenant, as JSON
//	GET /api/v1/capture    a capture while it is made, as pcapng
//
// Whoever reaches it is trusted, so it answers on the loopback alone, and not to what
// a browser was made to send.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/policy"
	"switchyard/proxy/hub"
)

// Facts are what is told.
type Facts struct {
	Version string
	// Tenants returns those that are served now, in the order in which they are told.
	// It may be called by any goroutine.
	Tenants func() []Tenant
}

// A Tenant is one that is served.
type Tenant struct {
	Name string
	Hub  *hub.Hub
}

const (
	maxConnections = 64
	maxCaptures    = 4
	// patience is how long a client may take to send its request, and to take any
	// part of the answer.
	patience = 10 * time.Second
	// closeTime is how long a capture may take to end when the server stops.
	closeTime = time.Second
)

// A Server answers until it is closed.
type Server struct {
	// Static after Serve.
	facts    Facts
	log      *slog.Logger
	http     *http.Server
	addr     net.Addr
	stop     context.CancelFunc // ends captures
	patience time.Duration

	connections atomic.Int64
	captures    atomic.Int64
	serving     sync.WaitGroup
}

// Serve starts answering. It owns l from now on.
func Serve(l net.Listener, facts Facts, log *slog.Logger) *Server {
	return serve(l, facts, log, patience)
}

func serve(l net.Listener, facts Facts, log *slog.Logger, patience time.Duration) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{facts: facts, log: log, addr: l.Addr(), stop: cancel, patience: patience}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.livez)
	mux.HandleFunc("GET /version", s.version)
	mux.HandleFunc("GET /api/v1/tenants", s.tenants)
	mux.HandleFunc("GET /api/v1/capture", s.capture)
	s.http = &http.Server{
		Handler:        local(mux),
		ReadTimeout:    patience,
		WriteTimeout:   patience, // of a capture, again with each part
		IdleTimeout:    3 * patience,
		MaxHeaderBytes: 16 << 10,
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ConnState:      s.admit,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	s.serving.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("admin has stopped answering", "error", err)
		}
	})
	return s
}

// Addr returns the address that is listened on.
func (s *Server) Addr() net.Addr { return s.addr }

// Close ends captures, so that their files are whole, and then everything.
func (s *Server) Close() {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	s.serving.Wait()
}

// admit closes a connection when there are too many.
func (s *Server) admit(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if s.connections.Add(1) > maxConnections {
			conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	}
}

// local answers what was sent by a program on this machine. A page in a browser there
// can send requests too: it says so, or came by a name of its own.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		site := r.Header.Get("Sec-Fetch-Site")
		switch {
		case !isLoopback(r.Host):
			http.Error(w, fmt.Sprintf("host %.80q is not this machine's loopback; ask for 127.0.0.1, [::1] or localhost", r.Host), http.StatusForbidden)
		case r.Header.Values("Origin") != nil, site != "" && site != "none":
			http.Error(w, "a page of another site asked; open the address itself", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isLoopback reports whether a Host header, with a port or without, names the
// loopback.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

func (s *Server) livez(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

func (s *Server) version(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s.facts.Version) }

// counts are hub.Counts as JSON has them. Names stay as they are.
type counts struct {
	Tenant    string                   `json:"tenant"`
	Sessions  int                      `json:"sessions"`
	Received  uint64                   `json:"received"`
	Accepted  map[policy.Action]uint64 `json:"accepted"`
	Dropped   map[hub.Reason]uint64    `json:"dropped"`
	Made      uint64                   `json:"made"`
	Due       uint64                   `json:"due"`
	Delivered uint64                   `json:"delivered"`
	Pending   uint64                   `json:"pending"`
	Discarded map[hub.Reason]uint64    `json:"discarded"`
}

func (s *Server) tenants(w http.ResponseWriter, _ *http.Request) {
	tenants := s.facts.Tenants()
	all := make([]counts, len(tenants))
	for i, t := range tenants {
		c := t.Hub.Counts()
		all[i] = counts{Tenant: t.Name, Sessions: c.Sessions, Received: c.Received, Accepted: c.Actions, Dropped: c.Dropped,
			Made: c.Made, Due: c.Due, Delivered: c.Delivered, Pending: c.Pending, Discarded: c.Discarded}
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(map[string]any{"tenants": all})
}
