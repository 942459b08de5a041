package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/release/history"
	"switchyard/proxy"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/capture"
	"switchyard/proxy/hub"
)

// Parallel tests wait for timers and sockets, not for a core.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "32")
	goleak.VerifyTestMain(m)
}

// consume is a policy that takes everything and sends nothing.
type consume struct{}

func (consume) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
	return abi.Consume, nil
}
func (consume) Inspect(policy.Verdict, policy.Question) (policy.Verdict, error) { return 0, nil }
func (consume) Close() error                                                    { return nil }

// A guest is a peer that wants nothing.
type guest struct {
	*hub.Seat
	hub *hub.Hub
}

func (guest) Noted(hub.Note)   {}
func (guest) Close(hub.Reason) {}

// A fixture is a server with one tenant and one peer.
type fixture struct {
	*testing.T
	*Server
	tenant Tenant
	hub    *hub.Hub
	peer   guest
	client *http.Client
}

// patient is a client timeout for tests of other things: on a busy machine ten seconds can pass.
const patient = time.Minute

func start(t *testing.T, clientTimeout time.Duration) *fixture {
	t.Helper()
	return startAt(t, clientTimeout, Options{}, func(*fake) {}, listen(t, "tcp", "127.0.0.1:0"))
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A fake is a Backend and the Options that it is served with.
type fake struct {
	Options
	state   State
	reload  func(context.Context) (api.Reload, error)
	drain   time.Duration
	release func(tenant string) api.Release
	carry   func(context.Context, Verb) (api.Release, error)
	upgrade func(context.Context, api.UpgradeRequest) (api.Upgrade, error)
	last    api.Upgrade
	load    func(ctx context.Context, tenant, name string, file []byte) (*policy.Generation, error)
	kept    func(ctx context.Context, name, sha256 string) (*policy.Generation, error)
}

func (f *fake) State() *State                                          { return &f.state }
func (f *fake) Reload(ctx context.Context) (api.Reload, error)         { return f.reload(ctx) }
func (f *fake) Drain() time.Duration                                   { return f.drain }
func (f *fake) Release(tenant string) api.Release                      { return f.release(tenant) }
func (f *fake) Carry(ctx context.Context, v Verb) (api.Release, error) { return f.carry(ctx, v) }
func (f *fake) LastUpgrade() api.Upgrade                               { return f.last }
func (f *fake) Upgrade(ctx context.Context, r api.UpgradeRequest) (api.Upgrade, error) {
	return f.upgrade(ctx, r)
}
func (f *fake) Load(ctx context.Context, tenant, name string, file []byte) (*policy.Generation, error) {
	return f.load(ctx, tenant, name, file)
}

func (f *fake) LoadKept(ctx context.Context, tenant, name, sha256 string) (*policy.Generation, error) {
	return f.kept(ctx, name, sha256)
}

// startAt starts a server for a fake that change may change.
func startAt(t *testing.T, clientTimeout time.Duration, o Options, change func(*fake), listeners ...net.Listener) *fixture {
	t.Helper()
	f := &fixture{T: t, tenant: newTenant(t, "default", consume{})}
	f.hub = f.tenant.Hub()
	f.peer = guest{hub: f.hub}
	f.peer.Seat = f.hub.Join(f.peer)
	b := &fake{state: State{Tenants: []Tenant{f.tenant}, Fuel: 1000, ModuleBytes: 1 << 20}, Options: o}
	b.Version, b.Started = "switchyard v9\nmore\n", time.Now()
	b.Probes, b.History, b.Lines, b.Level = new(Probes), new(PolicyHistory), new(Lines), new(slog.LevelVar)
	b.Records, _ = history.Open("", 20, nil) // which cannot fail without a folder
	change(b)
	log := slog.New(b.Lines.Handler(slog.DiscardHandler, func(_ []string, a slog.Attr) slog.Attr { return a }))
	s, err := serve(listeners, b, b.Options, log, clientTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	f.Server = s
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	f.client = &http.Client{Transport: transport}
	return f
}

// newTenant makes a tenant that p decides for.
func newTenant(t *testing.T, name string, p policy.Policy) Tenant {
	active := policy.NewActive(policy.NewGeneration("test", "", p))
	limits := proxy.Limits{LagHard: 1 << 40, MaxPDU: 1 << 20, Users: 7}
	served := proxy.NewTenant(name, active, limits, slog.New(slog.DiscardHandler))
	t.Cleanup(active.Close)
	t.Cleanup(served.Close)
	return Tenant{Name: name, Served: served, Active: active, Limits: limits}
}

// ask sends a request with headers "Name: value". A server with a short clientTimeout closes the
// connection if the machine was too busy for the request to arrive in time; it is asked again.
func (f *fixture) ask(method, path string, headers ...string) *http.Response {
	f.Helper()
	r, err := http.NewRequestWithContext(f.Context(), method, "http://"+f.Addrs()[0].String()+path, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	response, err := f.client.Do(r)
	for errors.Is(err, io.EOF) && f.clientTimeout < patient {
		response, err = f.client.Do(r)
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { response.Body.Close() })
	return response
}

func (f *fixture) read(r *http.Response) string {
	f.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

// await waits until it is so.
func (f *fixture) await(what string, so func() bool) {
	f.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestAnswers(t *testing.T) {
	f := start(t, patient)
	for path, want := range map[string]string{"/livez": "ok\n", "/version": "switchyard v9\nmore\n"} {
		if got := f.read(f.ask("GET", path)); got != want {
			t.Errorf("%s answers %q, want %q", path, got, want)
		}
	}
	f.hub.Handle(f.peer.Seat, pdutest.Heartbeat())
	var got struct{ Tenants []map[string]any }
	if err := json.Unmarshal([]byte(f.read(f.ask("GET", "/api/v1/tenants"))), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"tenant": "default", "accepted": "map[consume:1]", "received": "1", "bytes_in": "16", "sessions": "1", "delivered": "0", "dropped": "map[]"} {
		if len(got.Tenants) != 1 || fmt.Sprint(got.Tenants[0][name]) != want {
			t.Errorf("%s is %v, want %s", name, got.Tenants[0][name], want)
		}
	}
}

// Only requests of programs on this machine that read are answered.
func TestRefusals(t *testing.T) {
	f := start(t, patient)
	for _, c := range []struct {
		method, path, header string
		status               int
		want                 string
	}{
		{"POST", "/livez", "", 405, "takes GET, HEAD"},
		{"DELETE", "/api/v1/tenants", "", 405, "takes GET, HEAD"},
		{"GET", "/api/v1/reload", "", 405, "takes POST"},
		{"OPTIONS", "/api/v1/tenants", "", 405, "takes GET, HEAD"},
		{"GET", "/", "", 404, "openapi.json"},
		{"GET", "/debug/pprof/", "", 404, "openapi.json"},
		{"GET", "/api/v1/tenants/", "", 404, "openapi.json"},
		{"GET", "/api/v1/connections?limit=0", "", 400, "from 1 to 10000"},
		{"GET", "/api/v1/connections?limit=-1", "", 400, "from 1 to 10000"},
		{"GET", "/api/v1/connections?sort=name", "", 400, "rate, lag or id"},
		{"GET", "/api/v1/connections?tenant=acme", "", 404, "known tenants: default"},
		{"GET", "/api/v1/connections?tenant=", "", 404, "known tenants: default"},
		{"GET", "/api/v1/presence?user=4294967296", "", 400, "from 0 to 4294967295"},
		{"GET", "/api/v1/presence?name=x", "", 400, "known are tenant, user"},
		{"GET", "/api/v1/routes?tenant=acme", "", 404, "known tenants: default"},
		{"GET", "/api/v1/events?Last-Event-ID=x", "", 400, "whole number"},
		{"GET", "/api/v1/tap?user=x", "", 400, "number of a user"},
		{"GET", "/api/v1/tap?command=CID_NO", "", 400, "unknown command"},
		{"GET", "/api/v1/tap?time=-1s", "", 400, "such as 30s"},
		{"GET", "/livez", "Host: evil.example:8280", 403, "not this machine's loopback"},
		{"GET", "/livez", "Host: 10.0.0.1", 403, "not this machine's loopback"},
		{"GET", "/livez", "Host: localhost.evil.example", 403, "not this machine's loopback"},
		{"GET", "/livez", "Origin: http://127.0.0.1", 403, "another site"},
		{"GET", "/livez", "Origin: null", 403, "another site"},
		{"GET", "/livez", "Sec-Fetch-Site: same-site", 403, "another site"},
		{"GET", "/livez", "Sec-Fetch-Site: same-origin", 200, "ok"},
		{"GET", "/livez", "Sec-Fetch-Site: cross-site", 403, "another site"},
		{"GET", "/livez", "Sec-Fetch-Site: none", 200, "ok"},
		{"GET", "/livez", "Host: localhost:1234", 200, "ok"},
		{"GET", "/livez", "Host: [::1]:8280", 200, "ok"},
		{"GET", "/livez", "Host: [::1]", 200, "ok"},
		{"GET", "/api/v1/capture?tenant=acme", "", 404, `unknown tenant "acme"; known tenants: default`},
		{"GET", "/api/v1/capture?commands=CID_MSG", "", 400, "unknown command"},
		{"GET", "/api/v1/capture?redact=CID_MSG_DATA", "", 400, "names no field"},
		{"GET", "/api/v1/capture?bodys=true", "", 400, `unknown part "bodys"`},
		{"GET", "/api/v1/capture?a=%zz", "", 400, "%zz"},
		{"GET", "/api/v1/capture?" + strings.Repeat("pdus=1&", maxListed+1), "", 400, "at most"},
	} {
		var headers []string
		if c.header != "" {
			headers = append(headers, c.header)
		}
		r := f.ask(c.method, c.path, headers...)
		got := f.read(r)
		if r.StatusCode >= 400 {
			got = errorOf(t, r, got)
		}
		if r.StatusCode != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s %.60s %s: %d %q, want %d with %q", c.method, c.path, c.header, r.StatusCode, got, c.status, c.want)
		}
	}
}

// errorOf returns the error that an answer is, which says what it is.
func errorOf(t *testing.T, r *http.Response, body string) string {
	t.Helper()
	var e api.Error
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Error == "" || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s: %d %q is not a JSON error", r.Request.Method, r.Request.URL, r.StatusCode, body)
	}
	return e.Error
}

// begin begins a capture and returns when it has begun.
func (f *fixture) begin(query string) (*capture.Reader, *http.Response) {
	f.Helper()
	response := f.ask("GET", "/api/v1/capture?"+query)
	if response.StatusCode != 200 {
		f.Fatalf("%d %s", response.StatusCode, f.read(response))
	}
	r := capture.NewReader(bufio.NewReader(response.Body))
	if rec, err := r.Next(); err != nil || rec.Kind != capture.Joined {
		f.Fatalf("%+v, %v", rec, err)
	}
	return r, response
}

func TestCapture(t *testing.T) {
	t.Parallel()
	const clientTimeout = 500 * time.Millisecond // a capture may take longer
	f := start(t, clientTimeout)
	r, _ := f.begin("tenant=default&bodies=true&pdus=2&time=1m")
	<-time.After(2 * clientTimeout) // longer than a request may take
	for i := range 2 {
		m := pdutest.Raw(pdu.CID_MSG_DATA, uint16(i), []byte("hello"))
		f.hub.Handle(f.peer.Seat, m)
		if rec, err := r.Next(); err != nil || !bytes.Equal(rec.PDU, m) || rec.Verdict != abi.Consume {
			t.Fatalf("got %+v, %v", rec, err)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Fatalf("%v, want the end", err)
	}
	if s := r.Statistics(0); s.PDUs != 2 || s.Ended == "" {
		t.Errorf("%+v", s)
	}
}

func TestCapturesAreFew(t *testing.T) {
	f := start(t, patient)
	var ends []func() error
	for range maxCaptures {
		_, response := f.begin("")
		ends = append(ends, response.Body.Close)
	}
	r := f.ask("GET", "/api/v1/capture")
	if got := f.read(r); r.StatusCode != 429 || !strings.Contains(got, "end one of them") {
		t.Errorf("%d %q, want 429", r.StatusCode, got)
	}
	ends[0]()
	f.await("a capture whose client has gone ends", func() bool {
		f.hub.Handle(f.peer.Seat, pdutest.Heartbeat())
		return len(f.captures) < maxCaptures
	})
	f.begin("")
}

// A server that closes ends captures properly.
func TestCloseEndsCaptures(t *testing.T) {
	f := start(t, patient)
	r, _ := f.begin("")
	f.Close()
	for {
		if _, err := r.Next(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if s := r.Statistics(0); s.Ended == "" {
		t.Errorf("%+v, want a reason", s)
	}
}

// A client that takes nothing is cut off, and does not hold its place.
func TestStalledCaptureIsCutOff(t *testing.T) {
	t.Parallel()
	f := start(t, 500*time.Millisecond)
	conn := f.stall("/api/v1/capture?bodies=true", f.captures, 1<<20) // what the kernel still holds is read below
	m := bytes.Repeat(pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 60_000)), 4)
	f.await("it is cut off", func() bool {
		f.hub.Handle(f.peer.Seat, m)
		return len(f.captures) == 0
	})
	r := capture.NewReader(bufio.NewReader(&chunks{in: bufio.NewReader(conn)}))
	var err error
	for err == nil {
		_, err = r.Next()
	}
	if errors.Is(err, io.EOF) || r.Statistics(0).Ended != "" {
		t.Errorf("%v, %+v, want that the capture was cut off", err, r.Statistics(0))
	}
}

// chunks is the body of a response whose head was not read yet.
type chunks struct {
	in   *bufio.Reader
	body io.Reader
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.body == nil {
		response, err := http.ReadResponse(c.in, nil)
		if err != nil {
			return 0, err
		}
		c.body = response.Body
	}
	return c.body.Read(p)
}
