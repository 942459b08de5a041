package admin

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"switchyard/proxy/logsample"
)

// raw sends a request as it is, and reads the answer.
func (f *fixture) raw(request string) (status int, allow, body string) {
	f.Helper()
	conn, err := net.Dial("tcp", f.Addrs()[0].String())
	if err != nil {
		f.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patient))
	io.WriteString(conn, request)
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		f.Fatalf("%q: %v", request, err)
	}
	return r.StatusCode, r.Header.Get("Allow"), f.read(r)
}

// Load balancers and scrapers send no Host, or one with a dot; browsers, which another site
// may control, always send the name that they looked up.
func TestHealthCheckRequests(t *testing.T) {
	f := startAt(t, patient, Options{}, func(f *fake) {
		f.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	}, listen(t, "tcp", "127.0.0.1:0"))
	for _, path := range []string{"/livez", "/readyz", "/healthz", "/metrics"} {
		for request, want := range map[string]int{
			"GET " + path + " HTTP/1.0\r\n\r\n":                                 200,
			"HEAD " + path + " HTTP/1.0\r\n\r\n":                                200,
			"GET " + path + " HTTP/1.1\r\nHost:\r\n\r\n":                        200,
			"GET " + path + " HTTP/1.1\r\nHost: localhost.\r\n\r\n":             200,
			"GET " + path + " HTTP/1.1\r\nHost: LOCALHOST.:80\r\n\r\n":          200,
			"GET " + path + " HTTP/1.0\r\nHost: evil.example\r\n\r\n":           403,
			"GET " + path + " HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n": 403,
			"GET " + path + " HTTP/1.1\r\nHost: .\r\n\r\n":                      403,
			"GET http://evil.example" + path + " HTTP/1.0\r\n\r\n":              403,
			"GET " + path + " HTTP/1.0\r\nSec-Fetch-Site: cross-site\r\n\r\n":   403,
		} {
			if status, _, body := f.raw(request); status != want {
				t.Errorf("%q: %d %q, want %d", request, status, body, want)
			}
		}
	}
	if status, allow, _ := f.raw("OPTIONS /metrics HTTP/1.0\r\n\r\n"); status != 405 || allow != "GET, HEAD" {
		t.Errorf("OPTIONS /metrics: %d, allowed are %s", status, allow)
	}
}

// OPTIONS, which haproxy sends by default, is answered as GET is.
func TestOptionsIsAHealthCheck(t *testing.T) {
	for _, draining := range []bool{false, true} {
		f := startAt(t, patient, Options{}, func(f *fake) { f.state.Draining = draining }, listen(t, "tcp", "127.0.0.1:0"))
		ready := map[bool]int{false: 200, true: 503}[draining]
		for path, want := range map[string]int{"/": ready, "/readyz": ready, "/livez": 200, "/healthz": 200} {
			if status, _, body := f.raw("OPTIONS " + path + " HTTP/1.0\r\n\r\n"); status != want {
				t.Errorf("draining %t, %s: %d %q, want %d", draining, path, status, body, want)
			}
		}
		if status, allow, _ := f.raw("PUT /readyz HTTP/1.0\r\n\r\n"); status != 405 || allow != "GET, HEAD, OPTIONS" {
			t.Errorf("PUT: %d, allowed are %s", status, allow)
		}
	}
}

// dial opens a connection from that address.
func (f *fixture) dial(from string) net.Conn {
	f.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", f.Addrs()[0].String())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patient))
	return conn
}

// A client that leaks connections, whatever it has sent on them, loses its own. Health checks
// are answered all the time, even from the same address.
func TestLeakedConnections(t *testing.T) {
	t.Parallel()
	const answered = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for _, sent := range []string{"", "GET /livez HTTP/1.1\r\nHost: ", answered} {
		began := time.Now()
		f := start(t, 10*time.Minute) // no deadline ends a connection
		var leaked []net.Conn
		for range maxConnections + healthConnections + 2 {
			conn := f.dial("127.0.0.1")
			leaked = append(leaked, conn)
			io.WriteString(conn, sent)
			if sent == answered {
				if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
					t.Fatal(err)
				}
			}
			if status, _, body := f.raw("GET /readyz HTTP/1.0\r\n\r\n"); status != 200 {
				t.Fatalf("%.10q: %d %q, want 200", sent, status, body)
			}
		}
		if open := f.limiters[0].total(); open > maxOfClient {
			t.Errorf("%.10q: one client has %d connections, want %d at most", sent, open, maxOfClient)
		}
		io.Copy(io.Discard, leaked[0]) // until it is closed
		lines, _ := f.options.Lines.after(0)
		most := (logsample.Burst + 1) * (int(time.Since(began).Seconds()) + 2) // a few each second, however long it takes
		if len(lines) == 0 || len(lines) > most || !strings.Contains(string(lines[0].Attributes), `"client":"127.0.0.1"`) {
			t.Errorf("%.10q: %d lines, want at most %d, with the client: %v", sent, len(lines), most, lines)
		}
	}
}

// Connections that keep the server busy are not closed. Once all connections are theirs,
// further ones may ask about health, and nothing else.
func TestBusyConnections(t *testing.T) {
	f := start(t, 10*time.Minute)
	const slow = "POST /api/v1/evaluate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
	allBusy := func() bool {
		p := &f.limiters[0]
		p.mu.Lock()
		defer p.mu.Unlock()
		busy := 0
		for _, x := range p.open {
			if x.waiting.IsZero() && !x.health {
				busy++
			}
		}
		return busy == maxConnections
	}
	for i := range maxConnections {
		from := "127.0.0.1"
		if i >= maxOfClient {
			from = "127.0.0.2"
		}
		io.WriteString(f.dial(from), slow)
	}
	f.await("all are busy", allBusy)
	for _, from := range []string{"127.0.0.1", "127.0.0.3"} {
		for range 2 * healthConnections { // these leak as well
			f.dial(from)
		}
	}
	for range 2 * healthConnections {
		if status, _, body := f.raw("GET /readyz HTTP/1.0\r\n\r\n"); status != 200 {
			t.Fatalf("%d %q, want 200", status, body)
		}
	}
	for _, path := range []string{"/api/v1/tenants", "/", "/nothing"} {
		if status, _, body := f.raw("GET " + path + " HTTP/1.0\r\n\r\n"); status != 503 || !strings.Contains(body, "too many connections are open") {
			t.Errorf("%s: %d %q, want 503", path, status, body)
		}
	}
	if open := f.limiters[0].total(); open > maxConnections+healthConnections {
		t.Errorf("%d are open", open)
	}
	if !allBusy() {
		t.Error("one that was busy was closed")
	}
}

// Connections that have ended make room for others.
func TestEndedConnectionsAreReleased(t *testing.T) {
	f := start(t, patient)
	var conns []net.Conn
	for range maxOfClient {
		conns = append(conns, f.dial("127.0.0.1"))
	}
	f.await("all are open", func() bool { return f.limiters[0].total() == maxOfClient })
	for _, conn := range conns {
		conn.Close()
	}
	f.await("none is open", func() bool { return f.limiters[0].total() == 0 })
}

// Half a header, and a connection without a further request, do not last.
func TestIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	f := start(t, 100*time.Millisecond)
	for _, sent := range []string{"", "GET /livez HTTP/1.1\r\nHost: local", "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		conn := f.dial("127.0.0.1")
		io.WriteString(conn, sent)
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%q: %v", sent, err)
		}
	}
}
