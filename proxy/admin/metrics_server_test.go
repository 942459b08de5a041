package admin

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"switchyard/proxy/certificate/authority"
	"switchyard/proxy/logtest"
)

const scrapeToken = "a-token-to-scrape-with"

// A scraped is an address of metrics with a tenant, whose metrics are the text "metrics".
type scraped struct {
	*testing.T
	*MetricsServer
	*fake
	lines  *logtest.Lines
	client http.Client
}

func startMetrics(t *testing.T, clientTimeout time.Duration, o MetricsOptions, metrics http.HandlerFunc) *scraped {
	t.Helper()
	if metrics == nil {
		metrics = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "metrics") }
	}
	s := &scraped{T: t, fake: &fake{state: State{Tenants: []Tenant{newTenant(t, "secret-name", consume{})}}}, lines: new(logtest.Lines)}
	s.MetricsServer = serveMetrics(listen(t, "tcp", "127.0.0.1:0"), s.fake, new(Probes), metrics, o, slog.New(slog.NewTextHandler(s.lines, nil)), clientTimeout)
	t.Cleanup(s.Close)
	transport := &http.Transport{TLSClientConfig: new(tls.Config)}
	t.Cleanup(transport.CloseIdleConnections)
	s.client.Transport = transport
	return s
}

// ask returns status and text of an answer, or 0 if the connection was closed.
func (s *scraped) ask(method, path, body string, headers ...string) (status int, text string) {
	s.Helper()
	scheme := "http"
	if s.options.Load().TLS != nil {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(s.Context(), method, scheme+"://"+s.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	response, err := s.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return response.StatusCode, string(b)
}

func tokenIn(t *testing.T, token string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Only metrics and health are there, and health without the token and without names.
func TestMetricsServer(t *testing.T) {
	t.Parallel()
	s := startMetrics(t, patient, MetricsOptions{TokenFile: tokenIn(t, scrapeToken)}, nil)
	const right = "Authorization: Bearer " + scrapeToken
	for _, c := range []struct {
		method, path, body string
		headers            []string
		status             int
		text               string
	}{
		{"GET", "/metrics", "", []string{right}, 200, "metrics"},
		{"HEAD", "/metrics", "", []string{right}, 200, ""},
		{"GET", "/metrics", "", nil, 401, "metrics.token_file"},
		{"GET", "/metrics", "", []string{"Authorization: Bearer another-token-of-16"}, 401, "the token is wrong"},
		{"GET", "/metrics", "", []string{"Authorization: Basic " + scrapeToken}, 401, "Bearer"},
		{"GET", "/metrics", "", []string{right, right}, 401, "once"},
		{"GET", "/metrics", "body", []string{right}, 400, "no body"},
		{"POST", "/metrics", "", []string{right}, 405, "GET, HEAD"},
		{"GET", "/livez", "", nil, 200, "ok\n"},
		{"GET", "/readyz?verbose", "", nil, 200, "ok\n"},
		{"GET", "/api/v1/snapshot", "", []string{right}, 404, "admin.address"},
		{"GET", "/debug/pprof/heap", "", []string{right}, 404, "admin.address"},
		{"GET", "/", "", nil, 404, "admin.address"},
	} {
		if status, text := s.ask(c.method, c.path, c.body, c.headers...); status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s %s %q: %d %q, want %d %q", c.method, c.path, c.headers, status, text, c.status, c.text)
		}
	}
	if !s.lines.Has("metrics refused a token", "client=127.0.0.1") || strings.Contains(s.lines.String(), "token-of-16") {
		t.Errorf("log: %s", s.lines)
	}
	s.fake.state.Draining = true
	if status, text := s.ask("GET", "/readyz", ""); status != 503 || text != "unavailable\n" {
		t.Errorf("readyz of a server that drains: %d %q", status, text)
	}
}

// Sources that are not allowed are closed before they say anything, and new options apply to
// connections that are open.
func TestMetricsServerAllows(t *testing.T) {
	t.Parallel()
	s := startMetrics(t, patient, MetricsOptions{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, nil)
	if status, text := s.ask("GET", "/metrics", ""); status != 200 {
		t.Fatalf("%d %q", status, text)
	}
	s.Set(MetricsOptions{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if status, text := s.ask("GET", "/metrics", ""); status != 403 || !strings.Contains(text, "metrics.allow") {
		t.Errorf("on an open connection: %d %q, want 403", status, text)
	}
	for range 2 {
		s.client.CloseIdleConnections()
		if status, text := s.ask("GET", "/livez", ""); status != 0 {
			t.Fatalf("%d %q, want no answer", status, text)
		}
	}
	if !s.lines.Has("metrics refused a client that is not in metrics.allow", "client=127.0.0.1") {
		t.Errorf("log: %s", s.lines)
	}
}

// A client that does not take its answers keeps neither others nor health checks from theirs, and
// loses its connection.
func TestSlowScrapes(t *testing.T) {
	t.Parallel()
	chunk := []byte(strings.Repeat("x", 1<<20))
	var running, most, cut atomic.Int32
	s := startMetrics(t, 200*time.Millisecond, MetricsOptions{}, func(w http.ResponseWriter, _ *http.Request) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		for range 64 { // more than the buffers of sockets take
			if _, err := w.Write(chunk); err != nil {
				cut.Add(1)
				return
			}
		}
	})
	for range 8 {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	for deadline := time.Now().Add(patient); ; { // a busy machine may take longer than a client has
		if status, _ := s.ask("GET", "/readyz", ""); status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("health is not answered")
		}
	}
	for deadline := time.Now().Add(patient); cut.Load() == 0 || running.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("clients that take nothing are not cut off")
		}
	}
	if n := most.Load(); n > scrapesOfClient {
		t.Errorf("%d scrapes of one client were answered at a time, want at most %d", n, scrapesOfClient)
	}
	for i, client := range []string{"a", "a", "a", "b"} {
		if got, want := s.begin(client), i != scrapesOfClient; got != want {
			t.Errorf("scrape %d, of %s: begin returns %t", i, client, got)
		}
	}
}

// Connections that leak cost their own client its connections.
func TestLeakedConnectionsForMetrics(t *testing.T) {
	t.Parallel()
	s := startMetrics(t, patient, MetricsOptions{}, nil)
	for range 2 * (maxConnections + healthConnections) {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	if status, text := s.ask("GET", "/metrics", ""); status != 200 {
		t.Errorf("%d %q", status, text)
	}
	if open := s.limiter.total(); open > maxOfClient+1 {
		t.Errorf("%d connections are open", open)
	}
}

// With TLS, plain requests and clients without a certificate are refused; a reload can turn it on.
func TestMetricsServerOverTLS(t *testing.T) {
	t.Parallel()
	ca := authority.New(t, "CA")
	s := startMetrics(t, patient, MetricsOptions{}, nil)
	if status, _ := s.ask("GET", "/metrics", ""); status != 200 {
		t.Fatalf("plain: %d", status)
	}
	s.Set(MetricsOptions{TLS: &tls.Config{Certificates: []tls.Certificate{ca.Server("127.0.0.1").TLS()}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert}})
	for _, c := range []struct {
		config *tls.Config
		status int
	}{
		{&tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1", Certificates: []tls.Certificate{ca.Client("prometheus").TLS()}}, 200},
		{&tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1"}, 0},
	} {
		transport := &http.Transport{TLSClientConfig: c.config}
		defer transport.CloseIdleConnections()
		s.client.Transport = transport
		if status, text := s.ask("GET", "/metrics", ""); status != c.status {
			t.Errorf("with %d certificates: %d %q, want %d", len(c.config.Certificates), status, text, c.status)
		}
	}
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /metrics HTTP/1.0\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(patient))
	if text, _ := io.ReadAll(conn); strings.Contains(string(text), "metrics") {
		t.Errorf("without TLS: %q", text)
	}
}

// Files without a token are refused, as those of the admin interface.
func TestCheckToken(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{scrapeToken + "\n": "", "short": "holds no token", "a " + scrapeToken + "\nb " + scrapeToken: "there already"} {
		if err := CheckToken(tokenIn(t, text)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := CheckToken(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file is accepted")
	}
	if err := CheckToken(""); err != nil {
		t.Error(err)
	}
}

// A client that takes nothing cannot hold up the limiter by the end of its TLS connection.
func TestCloseNow(t *testing.T) {
	ca := authority.New(t, "CA")
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		client := tls.Client(far, &tls.Config{InsecureSkipVerify: true}) // the clock of the bubble is before the certificate
		server := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{ca.Server("hub").TLS()}, SessionTicketsDisabled: true})
		done := make(chan error, 1)
		go func() { done <- client.Handshake() }()
		if err := server.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		closeNow(server) // nobody reads from far
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %v", took)
		}
		far.Close()
	})
}
