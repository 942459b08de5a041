package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/capture"
	"switchyard/proxy/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
	peer   guest
	client *http.Client
}

func start(t *testing.T, patience time.Duration) *fixture {
	t.Helper()
	h := hub.New(policy.NewJudge(policy.NewGeneration("test", "", consume{})), 1<<40)
	peer := guest{hub: h}
	peer.Seat = h.Join(peer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := serve(l, Facts{Version: "switchyard v9\nmore\n", Tenants: func() []Tenant { return []Tenant{{"default", h}} }}, slog.New(slog.DiscardHandler), patience)
	t.Cleanup(s.Close)
	return &fixture{T: t, Server: s, peer: peer, client: &http.Client{Transport: transport}}
}

// ask sends a request with headers "Name: value".
func (f *fixture) ask(method, path string, headers ...string) *http.Response {
	f.Helper()
	r, err := http.NewRequestWithContext(f.Context(), method, "http://"+f.Addr().String()+path, nil)
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
	for deadline := time.Now().Add(30 * time.Second); !so(); runtime.Gosched() {
		if time.Now().After(deadline) {
			f.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestAnswers(t *testing.T) {
	f := start(t, patience)
	for path, want := range map[string]string{"/livez": "ok\n", "/version": "switchyard v9\nmore\n"} {
		if got := f.read(f.ask("GET", path)); got != want {
			t.Errorf("%s answers %q, want %q", path, got, want)
		}
	}
	f.peer.hub.Handle(f.peer.Seat, pdutest.Heartbeat())
	var got struct{ Tenants []map[string]any }
	if err := json.Unmarshal([]byte(f.read(f.ask("GET", "/api/v1/tenants"))), &got); err != nil {
		t.Fatal(err)
	}
	want := `map[accepted:map[consume:1] delivered:0 discarded:map[] dropped:map[] due:0 made:0 pending:0 received:1 sessions:1 tenant:default]`
	if len(got.Tenants) != 1 || fmt.Sprint(got.Tenants[0]) != want {
		t.Errorf("got %v, want %v", got.Tenants, want)
	}
}

// Nobody is answered but programs on this machine that look and do not touch.
func TestRefusals(t *testing.T) {
	f := start(t, patience)
	for _, c := range []struct {
		method, path, header string
		status               int
		want                 string
	}{
		{"POST", "/livez", "", 405, ""},
		{"DELETE", "/api/v1/tenants", "", 405, ""},
		{"GET", "/", "", 404, ""},
		{"GET", "/livez", "Host: evil.example:8280", 403, "not this machine's loopback"},
		{"GET", "/livez", "Host: 10.0.0.1", 403, "not this machine's loopback"},
		{"GET", "/livez", "Host: localhost.evil.example", 403, "not this machine's loopback"},
		{"GET", "/livez", "Origin: http://127.0.0.1", 403, "another site"},
		{"GET", "/livez", "Sec-Fetch-Site: cross-site", 403, "another site"},
		{"GET", "/livez", "Sec-Fetch-Site: none", 200, "ok"},
		{"GET", "/livez", "Host: localhost:1234", 200, "ok"},
		{"GET", "/livez", "Host: [::1]:8280", 200, "ok"},
		{"GET", "/livez", "Host: [::1]", 200, "ok"},
		{"GET", "/api/v1/capture?tenant=acme", "", 404, `no tenant "acme"; there are default`},
		{"GET", "/api/v1/capture?bytes=-1", "", 400, "bytes=-1"},
		{"GET", "/api/v1/capture?time=-1s", "", 400, "negative"},
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
		if got := f.read(r); r.StatusCode != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s %.60s %s: %d %q, want %d with %q", c.method, c.path, c.header, r.StatusCode, got, c.status, c.want)
		}
	}
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
	const patience = 200 * time.Millisecond // a capture may take longer
	f := start(t, patience)
	r, _ := f.begin("tenant=default&bodies=true&pdus=2&time=1m")
	<-time.After(2 * patience) // longer than a request may take
	for i := range 2 {
		m := pdutest.Raw(pdu.CID_MSG_DATA, uint16(i), []byte("hello"))
		f.peer.hub.Handle(f.peer.Seat, m)
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
	f := start(t, patience)
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
	f.await("a capture that nobody takes ends", func() bool {
		f.peer.hub.Handle(f.peer.Seat, pdutest.Heartbeat())
		return f.captures.Load() < maxCaptures
	})
	f.begin("")
}

// A server that closes ends captures properly.
func TestCloseEndsCaptures(t *testing.T) {
	f := start(t, patience)
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
	f := start(t, 100*time.Millisecond)
	conn, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/capture?bodies=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
	f.await("the capture begins", func() bool { return f.captures.Load() > 0 })
	m := bytes.Repeat(pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 60_000)), 4)
	f.await("it is cut off", func() bool {
		f.peer.hub.Handle(f.peer.Seat, m)
		return f.captures.Load() == 0
	})
	r := capture.NewReader(bufio.NewReader(&chunks{in: bufio.NewReader(conn)}))
	for {
		if _, err = r.Next(); err != nil {
			break
		}
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

func TestConnectionsAreFew(t *testing.T) {
	f := start(t, patience)
	var conns []net.Conn
	for range maxConnections {
		conn, err := net.Dial("tcp", f.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	f.await("all are counted", func() bool { return f.connections.Load() == maxConnections })
	one, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	one.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := one.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want that it is closed", err)
	}
	for _, conn := range conns {
		conn.Close()
	}
	f.await("those that have ended do not count", func() bool { return f.connections.Load() == 0 })
	f.read(f.ask("GET", "/livez"))
}
