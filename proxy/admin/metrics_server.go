package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/proxy/logsample"
)

// A MetricsServer answers Prometheus at an address that other machines may reach, and nothing but
// metrics and health:
//
//	GET /metrics          with the token, if there is one
//	GET /livez, /readyz   without it; the answer has no details
//
// It is apart from the admin interface, so that what happens here cannot keep operators from
// asking: it has connections, limits and a handler of metrics of its own.
//
//	accept ─ not in Allow ─▶ closed, logged
//	   └─ TLS, if configured ─▶ connLimiter ─▶ token ─▶ at most scrapesOfClient at a time ─▶ metrics
type MetricsServer struct {
	// Static after ServeMetrics.
	health  health
	metrics http.Handler
	log     *slog.Logger
	socket  net.Listener
	http    *http.Server
	stop    context.CancelFunc // ends flushLoop

	options atomic.Pointer[metricsOptions]
	limiter connLimiter
	limited logsample.Lines
	serving sync.WaitGroup // the goroutines that ServeMetrics starts
	accepts atomic.Bool    // until StopAccepting

	mu    sync.Mutex     // guards what follows
	under map[string]int // scrapes that are being answered, by client
}

// MetricsOptions say who may read. They can be exchanged while the address is served.
type MetricsOptions struct {
	Allow     []netip.Prefix // sources that may connect; nil for all
	TokenFile string         // file with the token for metrics; "": none is needed
	TLS       *tls.Config    // nil: plain TCP
}

// metricsOptions are MetricsOptions with the file that was read.
type metricsOptions struct {
	MetricsOptions
	token *tokenFile
}

// scrapesOfClient is how many scrapes of one address are answered at a time, so that one that takes
// its answers slowly leaves some of the handler's places to others.
const scrapesOfClient = 2

// CheckToken checks a file of tokens, which ServeMetrics would refuse. An empty path means that there is no file.
func CheckToken(path string) error {
	_, err := (&tokenFile{path: path}).current()
	return err
}

// ServeMetrics starts to answer at the listener, which it owns from now on. metrics answers
// Prometheus. Close ends it.
func ServeMetrics(l net.Listener, b Backend, probes *Probes, metrics http.Handler, o MetricsOptions, log *slog.Logger) *MetricsServer {
	return serveMetrics(l, b, probes, metrics, o, log, clientTimeout)
}

// serveMetrics is ServeMetrics with another time for clients, for tests.
func serveMetrics(l net.Listener, b Backend, probes *Probes, metrics http.Handler, o MetricsOptions, log *slog.Logger, clientTimeout time.Duration) *MetricsServer {
	s := &MetricsServer{health: health{b, probes}, metrics: metrics, log: log, socket: l, under: make(map[string]int)}
	s.Set(o)
	s.accepts.Store(true)
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		ReadTimeout:       clientTimeout,
		WriteTimeout:      clientTimeout,
		IdleTimeout:       10 * clientTimeout, // more than the interval of usual scrapes
		ReadHeaderTimeout: clientTimeout / 2,  // of the TLS handshake, too
		MaxHeaderBytes:    16 << 10,
		ConnContext:       s.withCaller,
		ConnState:         s.follow,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.serving.Go(func() { s.flushLoop(ctx) })
	s.serving.Go(func() {
		if err := s.http.Serve(metricsListener{l, s}); !errors.Is(err, http.ErrServerClosed) && s.accepts.Load() {
			log.Error("metrics are no longer served", "address", l.Addr().String(), "error", err)
		}
	})
	return s
}

// Set exchanges the options for connections and requests from now on. Open connections of sources
// that are no longer allowed end with their next request.
func (s *MetricsServer) Set(o MetricsOptions) {
	token := &tokenFile{path: o.TokenFile}
	if before := s.options.Load(); before != nil && before.TokenFile == o.TokenFile {
		token = before.token
	}
	s.options.Store(&metricsOptions{o, token})
}

// Addr returns the address that is listened on.
func (s *MetricsServer) Addr() net.Addr { return s.socket.Addr() }

// StopAccepting closes the listener. Requests on connections that are open are still answered.
func (s *MetricsServer) StopAccepting() {
	s.accepts.Store(false)
	s.socket.Close()
}

// Close ends everything. After it returns, the Backend is not called again.
func (s *MetricsServer) Close() {
	s.StopAccepting()
	s.stop()
	shutDown(s.http)
	s.serving.Wait()
}

// A metricsListener passes on the connections of sources that are allowed, with TLS if that is
// configured.
type metricsListener struct {
	net.Listener
	server *MetricsServer
}

// Accept implements net.Listener.
func (l metricsListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		o := l.server.options.Load()
		switch client := clientOf(conn.RemoteAddr()); {
		case !o.allows(client):
			conn.Close()
			l.server.logFew("metrics refused a client that is not in metrics.allow", "client", client)
		case o.TLS != nil:
			return tls.Server(conn, o.TLS), nil
		default:
			return conn, nil
		}
	}
}

// clientOf returns the host of an address.
func clientOf(a net.Addr) string {
	host, _, _ := net.SplitHostPort(a.String())
	return host
}

// allows reports whether the source may read.
func (o *metricsOptions) allows(source string) bool {
	if len(o.Allow) == 0 {
		return true
	}
	address, err := netip.ParseAddr(source)
	address = address.Unmap().WithZone("")
	return err == nil && slices.ContainsFunc(o.Allow, func(p netip.Prefix) bool { return p.Contains(address) })
}

// withCaller admits a new connection, and stores its caller in its context.
func (s *MetricsServer) withCaller(ctx context.Context, conn net.Conn) context.Context {
	c := caller{name: clientOf(conn.RemoteAddr()), limiter: &s.limiter}
	var closed string
	var had int
	if c.conn, closed, had = s.limiter.admit(conn, c.name); closed != "" {
		s.logFew("metrics have no place left for a client's connections; it leaves them open, or opens too many", "client", closed, "connections", had)
	}
	return context.WithValue(ctx, callerKey{}, c)
}

// follow keeps account of which connections wait for a request, and which have ended.
func (s *MetricsServer) follow(conn net.Conn, state http.ConnState) { s.limiter.follow(conn, state) }

// serveHTTP answers a request.
func (s *MetricsServer) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if c := callerOf(r); c.conn == nil || !c.limiter.answer(c.conn) {
		return // its connection was closed
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if err := s.respond(w, r); err != nil {
		w.Header().Set("Connection", "close") // net/http would read a body first
		fail(w, err)
	}
}

// respond answers, or returns an error and has written nothing.
func (s *MetricsServer) respond(w http.ResponseWriter, r *http.Request) error {
	o, c := s.options.Load(), callerOf(r)
	isMetrics, isLive, isReady := r.URL.Path == "/metrics", r.URL.Path == "/livez", r.URL.Path == "/readyz"
	switch {
	case !o.allows(c.name):
		return refuse(http.StatusForbidden, "this address is not in metrics.allow")
	case !isMetrics && !isLive && !isReady:
		return refuse(http.StatusNotFound, "there is no %.80q; here are /metrics, /livez and /readyz, and the rest is at admin.address", r.URL.Path)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		return refuse(http.StatusMethodNotAllowed, "%s takes GET, HEAD, not %.20s", r.URL.Path, r.Method)
	case r.ContentLength != 0:
		return fmt.Errorf("%s takes no body; send none", r.URL.Path)
	case isMetrics && c.conn.health:
		return refuse(http.StatusServiceUnavailable, "too many connections are open; close some")
	case isLive:
		return answerHealth(w, s.health.alive() == nil, "")
	case isReady:
		return answerHealth(w, s.health.ready() == nil, "")
	}
	if err := s.authorize(r, o); err != nil {
		return err
	}
	if !s.begin(c.name) {
		return refuse(http.StatusServiceUnavailable, "%d scrapes of this address are being answered; ask again when one has ended", scrapesOfClient)
	}
	defer s.end(c.name)
	s.metrics.ServeHTTP(w, r)
	return nil
}

// authorize returns an error if metrics need a token and the request does not have it.
func (s *MetricsServer) authorize(r *http.Request, o *metricsOptions) error {
	if o.TokenFile == "" {
		return nil
	}
	shown, err := bearer(r)
	switch {
	case err != nil:
		return err
	case shown == "":
		return refuse(http.StatusUnauthorized, "this needs a token; send the one in metrics.token_file, as Authorization: Bearer TOKEN")
	}
	if found, _ := o.token.holds(shown); !found {
		s.logFew("metrics refused a token", "client", callerOf(r).name)
		return refuse(http.StatusUnauthorized, "the token is wrong; send what is in the file of metrics.token_file")
	}
	return nil
}

// begin counts a scrape of the client, and reports whether it may be answered now.
func (s *MetricsServer) begin(client string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under[client] >= scrapesOfClient {
		return false
	}
	s.under[client]++
	return true
}

// end ends what begin has counted.
func (s *MetricsServer) end(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under[client]--; s.under[client] == 0 {
		delete(s.under, client)
	}
}

// logFew logs a line that clients can cause: a few with each message in a second.
func (s *MetricsServer) logFew(message string, attributes ...any) {
	if s.limited.Admit(message, 1) {
		s.log.Warn(message, attributes...)
	}
}

// flushLoop lets the next lines through once a second, and logs how many were suppressed, until ctx
// is done.
func (s *MetricsServer) flushLoop(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for ended := false; !ended; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			ended = true
		}
		flushFew(&s.limited, s.log)
	}
}
