package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"switchyard/proxy/admin/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient is for servers that answer, however slow the machine is.
var patient = timeouts{dial: time.Minute, answer: time.Minute, line: time.Minute}

// short is for servers that never answer.
var short = timeouts{dial: time.Minute, answer: 50 * time.Millisecond, line: 50 * time.Millisecond}

// listen serves on the loopback and returns the address.
func listen(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// newClient returns a client of a server on the loopback.
func newClient(t *testing.T, target Target, with timeouts) *Client {
	t.Helper()
	c, err := connect(target, with)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// hang holds a request for as long as the client waits.
func hang(w http.ResponseWriter, r *http.Request) {
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

const snapshot = `{"time":"2026-01-02T03:04:05Z","uptime_seconds":7,"draining":true,"totals":{},"latency":null,"tenants":[{"tenant":"acme","received":9,"dropped":{"policy":2},"commands":[{"command":"CID_MSG_DATA","id":769,"pdus":9,"actions":{"drop":2}}]}],"fastest":[],"slowest":[]}`

func TestSnapshot(t *testing.T) {
	address := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if want := "/api/v1/snapshot"; r.URL.String() != want {
			t.Errorf("the request is for %s, want %s", r.URL, want)
		}
		fmt.Fprint(w, snapshot)
	})
	s, err := newClient(t, Target{Address: address}, patient).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := s.Tenants[0]
	if !s.Draining || s.UptimeSeconds != 7 || a.Tenant != "acme" || a.Dropped["policy"] != 2 || a.Commands[0].ID != 769 || a.Commands[0].Actions["drop"] != 2 {
		t.Errorf("got %+v", s)
	}
}

func TestConnections(t *testing.T) {
	address := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if want := "/api/v1/connections?limit=20&sort=lag&tenant=a&tenant=b%26c"; r.URL.String() != want {
			t.Errorf("the request is for %s, want %s", r.URL, want)
		}
		fmt.Fprint(w, `{"total": 31, "connections": [{"tenant":"a","session":3,"peer":"1.2.3.4:5","lag":17,"paused":true,"rates":{"bytes_in":2.5}}]}`)
	})
	all, err := newClient(t, Target{Address: address}, patient).Connections(t.Context(), []string{"a", "b&c"}, "lag", 20)
	if err != nil {
		t.Fatal(err)
	}
	if c := all.Connections[0]; all.Total != 31 || c.Session != 3 || c.Lag != 17 || !c.Paused || c.Rates.BytesIn != 2.5 {
		t.Errorf("got %+v", all)
	}
}

// The client gives up on a server that stalls, wherever in the answer that is.
func TestStalls(t *testing.T) {
	for name, stall := range map[string]http.HandlerFunc{
		"before the answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"within the answer": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{"); hang(w, r) },
		"in many pieces": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, "\n")
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		},
		"within a refusal": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403); fmt.Fprint(w, "because"); hang(w, r) },
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, Target{Address: listen(t, stall)}, short)
			_, err := client.Snapshot(t.Context())
			if err == nil || !strings.Contains(err.Error(), "hangs") && !strings.Contains(err.Error(), "because") {
				t.Errorf("it says %v", err)
			}
			// A stream has no time limit as a whole, but it must begin in time.
			if tap, err := client.Tap(t.Context(), TapQuery{}); err == nil {
				if _, err = tap.Next(); err == nil || name == "within a refusal" {
					t.Errorf("a tap says %v", err)
				}
				tap.Close()
			}
		})
	}
}

// The socket comes first, and gets no token; the address gets one.
func TestSocketBeforeAddress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(by string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"total":1,"connections":[{"tenant":%q}]}`, by+" "+r.Host[:9]+" "+r.Header.Get("Authorization"))
		}
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: answer("socket")}}
	s.Start()
	address := listen(t, answer("address"))
	where := Target{Socket: path, Address: address, TokenFile: write(t, "  sesame-sesame-sesame\n")}
	for _, want := range []string{"socket localhost ", "address 127.0.0.1 Bearer sesame-sesame-sesame"} {
		client := newClient(t, where, patient)
		all, err := client.Connections(t.Context(), nil, "id", 1)
		if err != nil || all.Connections[0].Tenant != want {
			t.Errorf("got %+v, %v, want %q", all, err, want)
		}
		client.Close()
		s.Close() // only the address remains
	}
}

// From a file with the tokens of several clients, the first one is sent.
func TestFirstTokenOfFile(t *testing.T) {
	const token, other = "0123456789abcdef", "fedcba9876543210"
	for _, text := range []string{token, "\n  " + token + "\r\n", "anna " + token + "\n", "anna\t" + token + "\n\nbob " + other + "\n",
		"anna " + token + strings.Repeat("\nbob "+other, maxToken/20)} {
		if got, err := readToken(write(t, text)); got != token || err != nil {
			t.Errorf("of %.40q: %q, %v", text, got, err)
		}
	}
}

func TestConnectSaysWhatToDo(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, c := range []struct {
		target  Target
		want    string
		refusal bool
	}{
		{Target{}, "admin.address is empty", false},
		{Target{Address: "127.0.0.1:0"}, "say which by --set admin.address=", false},
		{Target{Socket: missing}, "does switchyard serve with this configuration", false},
		{Target{Address: "127.0.0.1:1", TokenFile: missing}, "--token-file", true},
		{Target{Address: "127.0.0.1:1", TokenFile: t.TempDir()}, "name a file with a token", true},
		{Target{Address: "127.0.0.1:1", TokenFile: write(t, " \n")}, "holds no token", true},
		{Target{Address: "127.0.0.1:1", TokenFile: write(t, "two tokens")}, "holds no token", true},
		{Target{Address: "127.0.0.1:1", TokenFile: write(t, "anna two 0123456789abcdef")}, "holds no token", true},
		{Target{Address: "127.0.0.1:1", TokenFile: write(t, "a\r\nX-Other: b")}, "holds no token", true},
		{Target{Address: "127.0.0.1:1", TokenFile: write(t, "0123456789abcdef\nfedcba9876543210\n")}, "holds no token", true},
		{Target{Address: "127.0.0.1:1", TokenFile: write(t, strings.Repeat("x", maxToken+1))}, "holds no token", true},
		{Target{Address: "127.0.0.1:1", TokenFile: write(t, "anna 0123456789abcdef"+strings.Repeat("\n", maxTokens))}, "holds no token", true},
	} {
		_, err := Connect(c.target)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.target, err, c.want)
		}
		if _, is := errors.AsType[*Refusal](err); is != c.refusal {
			t.Errorf("that %q is a refusal is %t, want %t", err, is, c.refusal)
		}
	}
}

func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	client := newClient(t, Target{Address: address}, patient)
	if _, err := client.Snapshot(t.Context()); err == nil || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "does switchyard serve") {
		t.Errorf("it says %v", err)
	}
}

func TestTap(t *testing.T) {
	address := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if want := "/api/v1/tap?bodies=true&command=0x0301&pdus=5&tenant=a&time=1m0s&user=7&user=4294967295"; r.URL.String() != want {
			t.Errorf("the request is for %s, want %s", r.URL, want)
		}
		fmt.Fprint(w, `{"kind":"pdu","tenant":"a","session":2,"seq":65535,"body":{"text":"`+strings.Repeat("x", 100<<10)+`"}}`+"\n"+`{"kind":"statistics","missed":3}`+"\n")
	})
	q := TapQuery{Tenants: []string{"a"}, Commands: []string{"0x0301"}, Users: []uint32{7, 1<<32 - 1}, Bodies: true, PDUs: 5, Time: time.Minute}
	tap, err := newClient(t, Target{Address: address}, patient).Tap(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	if l, err := tap.Next(); err != nil || l.Session != 2 || *l.Seq != 65535 || len(l.Body) < 100<<10 || len(l.Text) < len(l.Body) {
		t.Errorf("%.100s, %v", l.Text, err)
	}
	if l, err := tap.Next(); err != nil || l.Kind != api.TapStatistics || *l.Missed != 3 {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := tap.Next(); err != io.EOF {
		t.Errorf("it ends with %v", err)
	}
}

func TestTapsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"garbage": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>") }, "does not speak"},
		"a line without end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, strings.Repeat("x", 1<<20))
			}
		}, "does not speak"},
		"silence":       {hang, "has sent nothing for 50ms"},
		"cut in a line": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"kind":`) }, "cut the tap off"},
		"reset":         {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); panic(http.ErrAbortHandler) }, "cut the tap off"},
		"the older":     {http.NotFound, "older than this command"},
		"too many at all": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "4 taps are open", http.StatusTooManyRequests)
		}, "4 taps are open"},
	} {
		t.Run(name, func(t *testing.T) {
			with := patient
			if name == "silence" {
				with.line = short.line
			}
			tap, err := newClient(t, Target{Address: listen(t, c.answer)}, with).Tap(t.Context(), TapQuery{})
			if err == nil {
				_, err = tap.Next()
				tap.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v, want %q", err, c.want)
			}
		})
	}
}

// The server is not silent while the reader of a tap is busy with a line.
func TestSlowReaderOfATap(t *testing.T) {
	address := listen(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"kind":"statistics"}`)
		hang(w, r)
	})
	tap, err := newClient(t, Target{Address: address}, patient).Tap(t.Context(), TapQuery{})
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	if tap.silent.Stop() {
		t.Error("the time for a line runs before the first call of Next")
	}
	if _, err := tap.Next(); err != nil {
		t.Fatal(err)
	}
	if tap.silent.Stop() {
		t.Error("the time for a line runs between two calls of Next")
	}
}

func TestTapInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	tap, err := newClient(t, Target{Address: listen(t, hang)}, patient).Tap(ctx, TapQuery{})
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	why := errors.New("why")
	time.AfterFunc(time.Millisecond, func() { cancel(why) })
	if _, err := tap.Next(); err != why {
		t.Errorf("it ends with %v, want %v", err, why)
	}
}
