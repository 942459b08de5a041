// Package admin serves operators over HTTP; it reads what it is handed, and never
// reaches into the data path. What it answers is told by openapi.json, which it serves
// as well.
//
// A request goes through the files in this order: admin.go takes the connection,
// endpoints.go finds who answers, rights.go says whether its client may ask, places.go
// keeps those few that cost much, and answer.go writes what came of it.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/policy"
	"switchyard/proxy"
	"switchyard/proxy/hub"
	"switchyard/proxy/logsample"
)

// Facts are what is told, and what can be done. Their functions may be called by any
// goroutine.
type Facts struct {
	Version string
	Started time.Time
	// Tenants returns those that are served now, in the order in which they are told.
	Tenants func() []Tenant
	// Listeners returns those of the configuration, in its order.
	Listeners func() []Listener
	// Ready returns what has to be right for connections to come here.
	Ready func() []Check
	// Draining reports whether the server stops.
	Draining  func() bool
	Probes    *Probes
	Chronicle *PolicyHistory // of policies
	Lines     *Lines         // of the log
	// Metrics answers Prometheus; nil for nobody.
	Metrics http.Handler
	// Page answers whoever asks for / and what is below /assets/; nil for nobody. It
	// gives away nothing of what happens here, so no token is needed.
	Page http.Handler
	// Profiles has Go's profiles answered.
	Profiles bool

	// Candidate takes a policy's file through the gates, as if it were the tenant's. The
	// generation is the caller's. An error may be a *wasm.GateError.
	Candidate func(ctx context.Context, tenant, name string, file []byte) (*policy.Generation, error)
	// Fuel is what one decision may use.
	Fuel func() uint64
	// CandidateBytes is the size of such a file at most.
	CandidateBytes func() int64
	// Reload reads everything again and returns what came of it, unless ctx is done
	// before, or the server stops: ErrStopping.
	Reload func(ctx context.Context) (Reload, error)
	// Drain has the server stop, and returns within which time.
	Drain func() time.Duration
	// Level is what is logged now, and Configured what the configuration says of that.
	Level      *slog.LevelVar
	Configured func() slog.Level
}

// A Tenant is one that is served.
type Tenant struct {
	Name   string
	Served *proxy.Tenant
	Judge  *policy.Active
	Limits proxy.Limits
	// Audited is the policy that is asked and not obeyed; without a name there is none.
	Audited Policy
}

// Hub returns the tenant's hub.
func (t Tenant) Hub() *hub.Hub { return t.Served.Hub() }

// ErrStopping is why the server does not do what it is asked.
var ErrStopping = errors.New("the server stops; ask the one that takes its place")

const (
	maxConnections = 64 // by the address, and as many by the socket
	maxCaptures    = 4
	maxTaps        = 4
	maxStreams     = 16
	maxHeavy       = 2 // that ask policies
	maxReloads     = 4 // that wait for their turn
	// patience is how long a client may take to send its request, and to take any
	// part of the answer.
	patience = 10 * time.Second
	// closeTime is how long answers that go on may take to end when the server stops.
	closeTime = time.Second
)

// A Server answers until it is closed.
type Server struct {
	// Static after Serve.
	facts     Facts
	tokens    tokens
	log       *slog.Logger
	http      *http.Server
	addresses []net.Addr
	stop      context.CancelFunc // ends answers that go on
	patience  time.Duration
	endpoints map[string]endpoint

	captures places
	taps     places
	streams  places
	heavy    places // of those who ask policies
	reloads  places

	connections [2]atomic.Int64 // by TCP, and by the socket
	sampler     sampler
	news        news
	refused     logsample.Lines
	serving     sync.WaitGroup

	// open is held for reading by each request that is answered, and by Close for good.
	open   sync.RWMutex
	closed sync.Once
}

// Options say who may do what.
type Options struct {
	ReadToken    string // file with the token for reading by TCP; "": it needs none
	OperateToken string // file with the token for operating by TCP; "": nobody may
}

// Serve starts answering at TCP and Unix listeners, which it owns from now on. The
// error is about a token that cannot be read; the listeners are then still the
// caller's.
func Serve(listeners []net.Listener, facts Facts, o Options, log *slog.Logger) (*Server, error) {
	return serve(listeners, facts, o, log, patience)
}

func serve(listeners []net.Listener, facts Facts, o Options, log *slog.Logger, patience time.Duration) (*Server, error) {
	s := &Server{facts: facts, log: log, patience: patience,
		captures: make(places, maxCaptures), taps: make(places, maxTaps), streams: make(places, maxStreams),
		heavy: make(places, maxHeavy), reloads: make(places, maxReloads)}
	s.tokens.read.path, s.tokens.operate.path = o.ReadToken, o.OperateToken
	if err := s.tokens.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.endpoints = s.table()
	s.sampler.init(facts)
	s.http = &http.Server{
		Handler:        http.HandlerFunc(s.serveHTTP),
		ReadTimeout:    patience,
		WriteTimeout:   patience, // of an answer that goes on, again with each part
		IdleTimeout:    3 * patience,
		MaxHeaderBytes: 16 << 10,
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ConnContext:    withCaller,
		ConnState:      s.admit,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	for _, l := range listeners {
		s.addresses = append(s.addresses, l.Addr())
		s.serving.Go(func() {
			if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				log.Error("admin has stopped answering", "address", l.Addr().String(), "error", err)
			}
		})
	}
	s.serving.Go(func() { s.sampleLoop(ctx) })
	return s, nil
}

// Addrs returns the addresses that are listened on, in the order of the listeners.
func (s *Server) Addrs() []net.Addr { return s.addresses }

// Close ends captures, so that their files are whole, and then everything. When it
// returns, nobody asks for Facts any more.
func (s *Server) Close() {
	s.closed.Do(func() {
		s.stop()
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			s.http.Close()
		}
		s.serving.Wait()
		s.open.Lock()
		s.facts.Probes.wait(closeTime)
	})
}

// admit closes a connection when there are too many. Those by the socket have places of
// their own, so that nobody who may only connect to the address can keep its owner out.
func (s *Server) admit(conn net.Conn, state http.ConnState) {
	way := 0
	if conn.LocalAddr().Network() == "unix" {
		way = 1
	}
	switch state {
	case http.StateNew:
		if s.connections[way].Add(1) > maxConnections {
			conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		s.connections[way].Add(-1)
	}
}
