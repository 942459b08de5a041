package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/logsample"
)

// post sends a body.
func (f *fixture) post(path, kind string, body io.Reader) *http.Response {
	f.Helper()
	r, err := http.NewRequestWithContext(f.Context(), "POST", "http://"+f.Addrs()[0].String()+path, body)
	if err != nil {
		f.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if f.tokens.operate.path != "" {
		r.Header.Set("Authorization", "Bearer "+tokenOperate)
	}
	response, err := f.client.Do(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { response.Body.Close() })
	return response
}

// endless is a body without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	f := startGuarded(t, false, true, func(f *fake) {
		f.load = func(context.Context, string, string, []byte) (*policy.Generation, error) {
			return nil, errors.New("a candidate came through")
		}
	})
	const kind, file = "application/json", "application/octet-stream"
	for _, c := range []struct {
		path, kind string
		body       io.Reader
		status     int
		want       string
	}{
		{"/api/v1/evaluate", kind, strings.NewReader(""), 400, "not what it should be"},
		{"/api/v1/evaluate", kind, strings.NewReader("["), 400, "not what it should be"},
		{"/api/v1/evaluate", kind, strings.NewReader("null"), 400, "not a JSON object"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"pdu":"00"}`), 400, `unknown key "pdu"; known here: tenant, hex, command`},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"Command":"CID_MSG_DATA"}`), 400, `unknown key "Command"; did you mean command?`},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"tenant":"a","tenant":"default"}`), 400, "the key tenant is there twice; keep one"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"command":5}`), 400, "command: got a number; write a text in quotes"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"session":-1}`), 400, "session: got a number -1; write a whole number from 0 to 18446744073709551615"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"seq":65536}`), 400, "seq: got a number 65536; write a whole number from 0 to 65535"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"master":"yes"}`), 400, "master: got a string; write true or false"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"groups":"admin"}`), 400, "groups: got a string; write a list of texts in quotes"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"groups":[5]}`), 400, "groups: got a number; write a text in quotes"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"hex":"00"`), 400, "unexpected EOF"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"hex":"00"}{}`), 400, "there is more"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"hex":"0"}`), 400, "two hex digits"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"hex":"00","command":"CID_MSG_DATA"}`), 400, "either hex"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"hex":"00000011000100000003030100000000"}`), 400, "says 17 bytes, and there are 16"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"command":"CID_MSG_DAT"}`), 400, "CID_MSG_DATA"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"command":"CID_MSG_DATA","seq":65536}`), 400, "not what it should be"},
		{"/api/v1/evaluate", kind, strings.NewReader(strings.Repeat("[", 100_000)), 400, "not what it should be"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"tenant":"acme","command":"CID_MSG_DATA"}`), 404, "known tenants: default"},
		{"/api/v1/evaluate", kind, endless{}, 413, "more than 1048576 bytes"},
		{"/api/v1/evaluate", "text/plain", endless{}, 415, "send application/json"},
		{"/api/v1/evaluate", kind, strings.NewReader(`{"command":"CID_MSG_DATA"}`), 404, "cannot be explained"},
		{"/api/v1/compare", file, endless{}, 413, "more than 1048576 bytes"},
		{"/api/v1/compare", "application/x-www-form-urlencoded", strings.NewReader("x"), 415, "send application/octet-stream"},
		{"/api/v1/compare?tenant=acme", file, strings.NewReader("x"), 404, "known tenants: default"},
		{"/api/v1/compare?name=" + strings.Repeat("x", 300), file, strings.NewReader("x"), 400, "leave out folders"},
		{"/api/v1/compare", file, strings.NewReader("x"), 400, "a candidate came through"},
	} {
		r := f.post(c.path, c.kind, c.body)
		if got := errorOf(t, r, f.read(r)); r.StatusCode != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %q, want %d with %q", c.path, r.StatusCode, got, c.status, c.want)
		}
	}
}

// What is not a request, or one without end, is cut off without harm.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	f, hasty := start(t, patient), start(t, 100*time.Millisecond)
	for _, c := range []struct {
		server        *fixture
		request, want string
	}{
		{f, "nonsense\r\n\r\n", "HTTP/1.1 400"},
		{f, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "HTTP/1.1 431"},
		{f, "GET /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 400"},                                                                               // only HTTP/1.0 goes without a Host
		{hasty, "GET /livez HTTP/1.1\r\nHost: localhost\r\n", ""},                                                                        // and no end
		{hasty, "POST /api/v1/evaluate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{", ""}, // likewise
		{f, "\x16\x03\x01\x02\x00", "HTTP/1.1 400"},                                                                                      // TLS
	} {
		conn, err := net.Dial("tcp", c.server.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patient))
		go func() {
			io.WriteString(conn, c.request)
			if c.server == f {
				conn.(*net.TCPConn).CloseWrite()
			}
		}()
		answer, err := io.ReadAll(conn)
		if line, _, _ := strings.Cut(string(answer), "\r\n"); errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(line, c.want) {
			t.Errorf("%.40q: got %q (%v), want %q", c.request, line, err, c.want)
		}
	}
	if got := f.read(f.ask("GET", "/livez")); got != "ok\n" {
		t.Errorf("afterwards: %q", got)
	}
}

// A slow policy takes its time over the first question after it was installed.
type slow struct {
	consume
	begun, end chan struct{}
	installed  atomic.Bool
	once       sync.Once
}

func (s *slow) Classify(id pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	if s.installed.Load() {
		s.once.Do(func() {
			close(s.begun)
			<-s.end
		})
	}
	return s.consume.Classify(id, c)
}

// installSlow has a slow policy decide for the tenant of the fixture.
func (f *fixture) installSlow() *slow {
	p := &slow{begun: make(chan struct{}), end: make(chan struct{})}
	f.tenant.Active.Install(policy.NewGeneration("slow", "", p))
	p.installed.Store(true)
	return p
}

// Those who ask policies are few. Others wait for their turn, and not without end.
func TestHeavyRequestsAreFew(t *testing.T) {
	t.Parallel()
	f := start(t, patient)
	f.clientTimeout = 10 * time.Millisecond // a request waits half of it
	for range maxPolicyCalls {
		f.policyCalls <- struct{}{}
	}
	r := f.ask("GET", "/api/v1/routes")
	if got := errorOf(t, r, f.read(r)); r.StatusCode != 429 || !strings.Contains(got, "2 requests ask policies already; ask again") {
		t.Errorf("%d %q, want 429", r.StatusCode, got)
	}
	for range maxPolicyCalls {
		f.policyCalls.release()
	}
	f.clientTimeout = patient
	r = f.ask("GET", "/api/v1/routes")
	if f.read(r); r.StatusCode != 200 || len(f.policyCalls) != 0 {
		t.Errorf("%d, and %d are under way, want 200 and 0", r.StatusCode, len(f.policyCalls))
	}
}

// The page asks about several tenants in one go, and is answered about each.
func TestHeavyRequestsWait(t *testing.T) {
	t.Parallel()
	f := start(t, patient)
	p := f.installSlow()
	const asked = 3 * maxPolicyCalls
	statuses := make(chan int, asked)
	for range asked {
		go func() {
			r := f.ask("GET", "/api/v1/routes")
			statuses <- r.StatusCode
		}()
	}
	<-p.begun
	f.await("all ask", func() bool { return f.limiters[0].total() == asked })
	close(p.end)
	for range asked {
		if status := <-statuses; status != 200 {
			t.Errorf("got %d, want 200", status)
		}
	}
}

// A body that the handler does not read is refused at once. Otherwise the server would wait
// without limit for a client that announced a body and does not send it.
func TestUnwantedBodies(t *testing.T) {
	f := startGuarded(t, false, true)
	for _, head := range []string{"GET /api/v1/events", "GET /api/v1/tap", "GET /api/v1/capture", "GET /livez", "POST /api/v1/reload", "POST /api/v1/drain"} {
		for _, length := range []string{"Content-Length: 5", "Transfer-Encoding: chunked"} {
			conn, err := net.Dial("tcp", f.Addrs()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(patient))
			fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n", head, tokenOperate, length)
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%s, %s: %v", head, length, err)
			}
			if got := errorOf(t, r, f.read(r)); r.StatusCode != 400 || !strings.Contains(got, head+" takes no body") {
				t.Errorf("%s, %s: %d %q, want 400", head, length, r.StatusCode, got)
			}
			conn.Close()
		}
	}
}

// Reloads wait for their turn, and not without end.
func TestReloadsAreFew(t *testing.T) {
	release := make(chan struct{})
	answers := make(chan func() (api.Reload, error), 1)
	f := startGuarded(t, false, true, func(f *fake) {
		f.reload = func(ctx context.Context) (api.Reload, error) {
			select {
			case <-release:
			case <-ctx.Done():
				return api.Reload{}, ctx.Err()
			}
			select {
			case answer := <-answers:
				return answer()
			default:
				return api.Reload{OK: true}, nil
			}
		}
	})
	statuses := make(chan int, maxReloads)
	for range maxReloads {
		go func() {
			r := f.post("/api/v1/reload", "", nil)
			statuses <- r.StatusCode
		}()
	}
	f.await("all wait", func() bool { return len(f.reloads) == maxReloads })
	r := f.post("/api/v1/reload", "", nil)
	if got := errorOf(t, r, f.read(r)); r.StatusCode != 429 {
		t.Errorf("%d %q, want 429", r.StatusCode, got)
	}
	close(release)
	for range maxReloads {
		if status := <-statuses; status != 200 {
			t.Errorf("got %d, want 200", status)
		}
	}
	for _, c := range []struct {
		reload api.Reload
		err    error
		status int
		want   string
	}{
		{api.Reload{Tenants: []api.ReloadTenant{{Tenant: "acme", Result: api.Refused, Error: "no"}}}, nil, 422, "policy of tenant acme"},
		{api.Reload{}, ErrStopping, 503, "stops"},
		{api.Reload{}, errors.New("no time"), 503, "no time"},
	} {
		c.reload.Sum()
		answers <- func() (api.Reload, error) { return c.reload, c.err }
		r := f.post("/api/v1/reload", "", nil)
		if got := f.read(r); r.StatusCode != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%d %q, want %d with %q", r.StatusCode, got, c.status, c.want)
		}
	}
}

// Profiles are there when asked for, for operators.
func TestProfiles(t *testing.T) {
	f := startAt(t, patient, Options{OperateToken: write(t, t.TempDir()+"/token", tokenOperate)}, func(f *fake) { f.Profiles = true }, listen(t, "tcp", "127.0.0.1:0"))
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/trace?seconds=0.1"} {
		if r := f.ask("GET", path); r.StatusCode != 401 {
			t.Errorf("%s without a token: %d, want 401", path, r.StatusCode)
		}
		r := f.ask("GET", path, "Authorization: Bearer "+tokenOperate)
		if text := f.read(r); r.StatusCode != 200 || text == "" {
			t.Errorf("%s: %d %q", path, r.StatusCode, text)
		}
	}
}

// HEAD is GET without the body.
func TestHead(t *testing.T) {
	f := start(t, patient)
	conn, err := net.Dial("tcp", f.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HEAD /api/v1/tenants HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "HEAD"})
	if err != nil || r.StatusCode != 200 || r.ContentLength < 100 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// An answer that continues has no HEAD: nothing is written that would tell whether its
// client is still there.
func TestNoHead(t *testing.T) {
	f := start(t, patient)
	for _, path := range []string{"/api/v1/events", "/api/v1/tap", "/api/v1/capture"} {
		r := f.ask("HEAD", path)
		if r.Body.Close(); r.StatusCode != 405 || r.Header.Get("Allow") != "GET" {
			t.Errorf("%s: %d, allowed are %s; want 405 and GET", path, r.StatusCode, r.Header.Get("Allow"))
		}
	}
}

// What a client without a token does again and again has a few lines.
func TestFewLinesOfClients(t *testing.T) {
	t.Parallel()
	f := start(t, patient)
	begun := time.Now()
	for range 50 {
		f.read(f.ask("GET", "/api/v1/capture?time=1ms"))
		f.read(f.ask("GET", "/api/v1/tenants", "Authorization: Bearer wrong"))
	}
	f.Close()
	lines, _ := f.options.Lines.after(0)
	counts, left := make(map[string]int), make(map[string]int)
	for _, l := range lines {
		if counts[l.Message]++; l.Message == "more of the same" {
			var more struct {
				Message string
				Times   int
			}
			if err := json.Unmarshal(l.Attributes, &more); err != nil {
				t.Fatal(err)
			}
			left[more.Message] += more.Times
		}
	}
	few := logsample.Burst * int(time.Since(begun)/time.Second+2) // a busy machine takes several seconds
	for _, message := range []string{"capture begins", "capture ends", "admin refused a token"} {
		if n := counts[message]; n == 0 || n > few || n+left[message] != 50 {
			t.Errorf("%s: %d lines and %d left out, want at most %d, and 50 in all", message, n, left[message], few)
		}
	}
}

// total returns how many connections are open.
func (l *connLimiter) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}
