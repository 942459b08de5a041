// Package admin is the admin interface: it serves operators over HTTP, and remembers for
// them the last log lines and policies. It reads the counts of the data path and never
// blocks it. openapi.json, which it also serves, describes its answers; package api has them
// as Go types.
//
// A request goes through the files in this order:
//
//	admin.go         accepts the connection
//	conn_limiter.go  limits how many there are, in all and of one client
//	endpoints.go     finds the method of the path
//	rights.go        checks where the request comes from, and the client's rights
//	query.go         reads the parameters; body.go the body
//	semaphore.go     limits how many expensive requests run at once
//	answer.go        writes the answer, or the error
//
// Four requests last: events.go, capture.go and tap.go stream, and a request to compare or evaluate
// policies waits for their guests. metrics_server.go serves an address of its own, for metrics and
// health alone.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/policy"
	"switchyard/policy/release/history"
	"switchyard/proxy"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/cluster"
	"switchyard/proxy/hub"
	"switchyard/proxy/logsample"
)

// A Backend is the server that operators look at and control. Any goroutine may call its
// methods.
type Backend interface {
	// State returns what is in force now.
	State() *State
	// Reload reads the configuration and its files again and returns the results. The error
	// is ErrStopping if the server stops, or that of ctx.
	Reload(ctx context.Context) (api.Reload, error)
	// Drain makes the server stop, and returns within which time.
	Drain() time.Duration
	// Load takes a policy's file through all gates as if it were the tenant's, and does not
	// install it. The caller releases the generation. An error may be a *wasm.GateError.
	Load(ctx context.Context, tenant, name string, file []byte) (*policy.Generation, error)
	// LoadKept loads a policy that was in force before, by its name and its SHA-256, as Load does
	// a file. The error says why it is not kept.
	LoadKept(ctx context.Context, tenant, name, sha256 string) (*policy.Generation, error)
	// Release returns the state of a tenant's policy.
	Release(tenant string) api.Release
	// Carry carries out a request to change a tenant's policy, and returns its state. The error
	// is a Conflict, ErrStopping, that of ctx, or why the policy cannot be loaded.
	Carry(ctx context.Context, v Verb) (api.Release, error)
	// Upgrade puts another program in this one's place, and returns when that has succeeded or
	// failed. The error is a Conflict, ErrStopping or that of ctx.
	Upgrade(ctx context.Context, r api.UpgradeRequest) (api.Upgrade, error)
	// LastUpgrade returns the last upgrade, or the one that is under way.
	LastUpgrade() api.Upgrade
}

// A State is the server's state at one moment. It is never changed; the tenants in it are
// live.
type State struct {
	Draining    bool           // the server stops
	Tenants     []Tenant       // in the order in which they are listed
	Listeners   []api.Listener // in the order of the configuration
	Fuel        uint64         // that one decision of a policy may use
	ModuleBytes int64          // the largest policy file
	Level       slog.Level     // from which lines are logged, by the configuration

	Configuration api.Configuration
	Marks         []api.Mark // the start and the last reloads, the earliest first
}

// A Tenant is one that is served.
type Tenant struct {
	Name   string
	Served *proxy.Tenant
	Active *policy.Active
	Limits proxy.Limits
	// PolicyError is why the policy that the configuration names is refused; "" if it is in force.
	PolicyError string
	// AuditError is why the policy that the configuration names to be audited is refused.
	AuditError string
	Audited    api.Policy // the policy that is audited; without a name there is none
	Member     Member     // of a cluster; nil if the tenant's hub is alone by its configuration
}

// A Member is a tenant's hub as a member of a cluster, which *cluster.Member implements.
type Member interface {
	// Status returns what it was a moment ago.
	Status() *cluster.Status
	// Fresh returns what it is now. It waits for the tenant.
	Fresh(ctx context.Context) (*cluster.Status, error)
}

// Hub returns the tenant's hub.
func (t Tenant) Hub() *hub.Hub { return t.Served.Hub() }

// Options are what the admin interface serves besides its Backend.
type Options struct {
	Version string           // as printed by 'switchyard version'
	Started time.Time        // of the server
	Level   *slog.LevelVar   // from which lines are logged; operators may set it
	Lines   *Lines           // the last lines of the log
	History *PolicyHistory   // the last policies of each tenant
	Records *history.History // of all policies that were in force
	Probes  *Probes
	Metrics http.Handler // answers Prometheus; may be nil
	// Page answers / and /assets/ without a token, so it must contain no data; may be nil.
	Page     http.Handler
	Profiles bool // whether Go's profiles are served

	ReadToken    string // file with the token for reading over TCP; "": none is needed
	OperateToken string // file with the token for operating over TCP; "": not allowed

	LastHour map[string]*Hour // of the process before, by tenant, and "" of all together; nil at a start
}

// ErrStopping is the error of a request that a server which stops does not carry out.
var ErrStopping = errors.New("the server stops; ask the one that takes its place")

const (
	maxCaptures    = 4
	maxTaps        = 4
	maxStreams     = 16
	maxPolicyCalls = 2 // requests that call policies
	maxReloads     = 4 // requests that wait for a reload
	// clientTimeout is how long a client may take to send its request, and to receive each
	// part of the answer. It may take half of that to send the request's header.
	clientTimeout = 10 * time.Second
	// closeTime is how long Close waits for streams to end.
	closeTime = time.Second
)

// A Server answers until it is closed.
type Server struct {
	// Static after Serve.
	backend       Backend
	health        health
	options       Options
	tokens        tokens
	log           *slog.Logger
	http          *http.Server
	sockets       []net.Listener
	addresses     []net.Addr
	stop          context.CancelFunc // ends streams
	clientTimeout time.Duration
	endpoints     map[string]endpoint

	captures    semaphore
	taps        semaphore
	streams     semaphore
	policyCalls semaphore
	reloads     semaphore

	limiters [2]connLimiter // over TCP, and over the socket, so that the owner of the socket is never locked out
	sampler  sampler
	hour     lastHour
	latest   latestSnapshot
	limited  logsample.Lines // those that clients without a token can cause
	serving  sync.WaitGroup  // the goroutines that Serve starts

	// open is read-locked by each request while it is answered, and locked by Close for good.
	open   sync.RWMutex
	closed sync.Once

	accepts atomic.Bool // until StopAccepting
}

// Serve starts to answer at TCP and Unix listeners, and owns them from now on. The error is
// about a token that cannot be read; the caller then still owns the listeners.
func Serve(listeners []net.Listener, b Backend, o Options, log *slog.Logger) (*Server, error) {
	return serve(listeners, b, o, log, clientTimeout)
}

// serve is Serve with another time for clients, for tests. It starts a goroutine for each
// listener, and one that takes samples; Close ends them and waits for them.
func serve(listeners []net.Listener, b Backend, o Options, log *slog.Logger, clientTimeout time.Duration) (*Server, error) {
	s := &Server{backend: b, options: o, log: log, clientTimeout: clientTimeout,
		captures: make(semaphore, maxCaptures), taps: make(semaphore, maxTaps), streams: make(semaphore, maxStreams),
		policyCalls: make(semaphore, maxPolicyCalls), reloads: make(semaphore, maxReloads)}
	s.health = health{b, o.Probes}
	s.hour.continueFrom(o.LastHour)
	s.tokens.read.path, s.tokens.operate.path = o.ReadToken, o.OperateToken
	if key, err := s.tokens.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.endpoints = s.table()
	s.sockets = listeners
	s.accepts.Store(true)
	s.http = &http.Server{
		Handler:      http.HandlerFunc(s.serveHTTP),
		ReadTimeout:  clientTimeout,
		WriteTimeout: clientTimeout, // of a stream, for each part
		IdleTimeout:  clientTimeout,
		// Apart from the others, so that a client that sends half a request waits less long.
		ReadHeaderTimeout: clientTimeout / 2,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       s.withCaller,
		ConnState:         s.follow,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	for _, l := range listeners {
		s.addresses = append(s.addresses, l.Addr())
		s.serving.Go(func() {
			if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) && s.accepts.Load() {
				log.Error("admin has stopped answering", "address", l.Addr().String(), "error", err)
			}
		})
	}
	s.serving.Go(func() { s.sampleLoop(ctx) })
	return s, nil
}

// Addrs returns the addresses that are listened on, in the order of the listeners.
func (s *Server) Addrs() []net.Addr { return s.addresses }

// StopAccepting closes the listeners. Requests on connections that are open are still answered.
func (s *Server) StopAccepting() {
	s.accepts.Store(false)
	for _, l := range s.sockets {
		l.Close()
	}
}

// Close ends captures, so that their files are complete, and then everything else. After it
// returns, the Backend is not called again.
func (s *Server) Close() {
	s.closed.Do(func() {
		s.stop()
		shutDown(s.http)
		s.serving.Wait()
		s.open.Lock()
		s.options.Probes.waitAll(closeTime)
	})
}

// shutDown ends a server of HTTP: it lets requests end for closeTime, and then closes their connections.
func shutDown(h *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if h.Shutdown(ctx) != nil {
		h.Close()
	}
}

// limiterFor returns the limiter of connections like conn.
func (s *Server) limiterFor(conn net.Conn) *connLimiter {
	if _, ok := conn.(*net.UnixConn); ok {
		return &s.limiters[1]
	}
	return &s.limiters[0]
}

// admit admits a connection, and logs if another one had to be closed for it.
func (s *Server) admit(conn net.Conn, client string) *openConn {
	admitted, closed, had := s.limiterFor(conn).admit(conn, client)
	if closed != "" {
		s.logFew(slog.LevelWarn, "admin has no place left for a client's connections; it leaves them open, or opens too many", "client", closed, "connections", had)
	}
	return admitted
}

// follow keeps account of which connections wait for a request, and which have ended.
func (s *Server) follow(conn net.Conn, state http.ConnState) {
	s.limiterFor(conn).follow(conn, state)
}
