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
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"switchyard/policy/sanitize"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is for tests of servers that take too long.
var soon = times{dial: 5 * time.Second, answer: 50 * time.Millisecond, line: 50 * time.Millisecond}

// listen serves on the loopback and returns the address.
func listen(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// ask connects to a server on the loopback.
func ask(t *testing.T, w Where, patient times) *Client {
	t.Helper()
	c, err := connect(w, patient)
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

// The first snapshot is taken from among other events, whatever their order.
func TestSnapshot(t *testing.T) {
	address := listen(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, ": hello\r\n\nevent: log\nid: 4\ndata: {\"x\":1}\n\ndata: unnamed\n\nevent:snapshot\ndata:"+strings.Replace(snapshot, `"totals"`, "\ndata: "+`"totals"`, 1)+"\n\n")
		hang(w, r)
	})
	s, err := ask(t, Where{Address: address}, patience).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := s.Tenants[0]
	if !s.Draining || s.Uptime != 7 || a.Tenant != "acme" || a.Dropped["policy"] != 2 || a.Commands[0].ID != 769 || a.Commands[0].Actions["drop"] != 2 {
		t.Errorf("got %+v", s)
	}
}

func TestConnections(t *testing.T) {
	address := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if want := "/api/v1/connections?limit=20&sort=lag&tenant=a&tenant=b%26c"; r.URL.String() != want {
			t.Errorf("asked for %s, want %s", r.URL, want)
		}
		fmt.Fprint(w, `{"total": 31, "connections": [{"tenant":"a","session":3,"peer":"1.2.3.4:5","lag":17,"paused":true,"rates":{"bytes_in":2.5}}]}`)
	})
	all, err := ask(t, Where{Address: address}, patience).Connections(t.Context(), []string{"a", "b&c"}, "lag", 20)
	if err != nil {
		t.Fatal(err)
	}
	if c := all.Connections[0]; all.Total != 31 || c.Session != 3 || c.Lag != 17 || !c.Paused || c.Rates.BytesIn != 2.5 {
		t.Errorf("got %+v", all)
	}
}

// Whatever answers, it is an error that says what to do, in bounded time and memory.
func TestAnswersThatAreNone(t *testing.T) {
	forever := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		want    []string
		refusal bool
	}{
		"older server": {http.NotFound, []string{"has no /api/v1/", "older than this command", "upgrade"}, false},
		"no such tenant": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, `{"error":"there is no tenant \"x\"; there are a, b"}`)
		}, []string{"404", `there is no tenant "x"; there are a, b`}, true},
		"no token": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"error":"this needs a token"}`)
		}, []string{"this needs a token", "--token-file", TokenVariable}, true},
		"hostile": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, "{\"error\":\"\\u001b]0;title\\u0007 \u009b2J \u202eevil\"}")
		}, []string{`\u001b]0;title\u0007 \u009b2J \u202eevil`}, true},
		"too many":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "16 streams", http.StatusTooManyRequests) }, []string{"16 streams"}, false},
		"broken":    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oh", http.StatusInternalServerError) }, []string{"500", "oh"}, false},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) }, []string{"302"}, false},
		"garbage":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>\n\n") }, []string{"does not speak as switchyard does"}, false},
		"odd JSON":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "event: snapshot\ndata: []\n\n") }, []string{"does not speak"}, false},
		"without end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, forever)
			}
		}, []string{"does not speak"}, false},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(" "))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, []string{"EOF"}, false},
		"endless refusal": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			for r.Context().Err() == nil {
				io.WriteString(w, forever)
			}
		}, []string{"403"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			client := ask(t, Where{Address: listen(t, c.answer)}, patience)
			_, snapshot := client.Snapshot(t.Context())
			_, connections := client.Connections(t.Context(), nil, "id", 1)
			for _, err := range []error{snapshot, connections} {
				if err == nil {
					t.Fatal("no error")
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("it says %q, want %q", err, want)
					}
				}
				if _, is := errors.AsType[*Refusal](err); is != c.refusal {
					t.Errorf("that %q is a refusal is %t, want %t", err, is, c.refusal)
				}
				if text := err.Error(); sanitize.Lines(text) != text {
					t.Errorf("a terminal would obey %q", text)
				}
				if len(err.Error()) > 2*maxRefusal {
					t.Errorf("it says %d bytes", len(err.Error()))
				}
			}
		})
	}
}

// A server that stalls is given up, at whatever point that is.
func TestStalls(t *testing.T) {
	for name, stall := range map[string]http.HandlerFunc{
		"before the answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"within the answer": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "event: snapshot\n"); hang(w, r) },
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
			client := ask(t, Where{Address: listen(t, stall)}, soon)
			begun := time.Now()
			_, err := client.Snapshot(t.Context())
			if err == nil || !strings.Contains(err.Error(), "hangs") && !strings.Contains(err.Error(), "because") {
				t.Errorf("it says %v", err)
			}
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			// An answer that goes on has no end in time, but it begins in time or not at all.
			if tap, err := client.Tap(t.Context(), TapQuery{}); err == nil {
				if _, err = tap.Next(); err == nil || name == "within a refusal" {
					t.Errorf("a tap says %v", err)
				}
				tap.Close()
			}
		})
	}
}

// By the socket, no token is wanted and none is shown; by the address it is.
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
	where := Where{Socket: path, Address: address, TokenFile: write(t, "  sesame-sesame-sesame\n")}
	for _, want := range []string{"socket localhost ", "address 127.0.0.1 Bearer sesame-sesame-sesame"} {
		client := ask(t, where, patience)
		all, err := client.Connections(t.Context(), nil, "id", 1)
		if err != nil || all.Connections[0].Tenant != want {
			t.Errorf("got %+v, %v, want %q", all, err, want)
		}
		client.Close()
		s.Close() // and now the address is left
	}
}

func TestConnectSaysWhatToDo(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for _, c := range []struct {
		where   Where
		want    string
		refusal bool
	}{
		{Where{}, "admin.address is empty", false},
		{Where{Address: "127.0.0.1:0"}, "say which by --set admin.address=", false},
		{Where{Socket: missing}, "does switchyard serve with this configuration", false},
		{Where{Address: "127.0.0.1:1", TokenFile: missing}, "--token-file", true},
		{Where{Address: "127.0.0.1:1", TokenFile: t.TempDir()}, "name a file with a token", true},
		{Where{Address: "127.0.0.1:1", TokenFile: write(t, " \n")}, "holds no token", true},
		{Where{Address: "127.0.0.1:1", TokenFile: write(t, "two tokens")}, "holds no token", true},
		{Where{Address: "127.0.0.1:1", TokenFile: write(t, "a\r\nX-Other: b")}, "holds no token", true},
		{Where{Address: "127.0.0.1:1", TokenFile: write(t, strings.Repeat("x", maxToken+1))}, "holds no token", true},
	} {
		_, err := Connect(c.where)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.where, err, c.want)
		}
		if _, is := errors.AsType[*Refusal](err); is != c.refusal {
			t.Errorf("that %q is a refusal is %t, want %t", err, is, c.refusal)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	client := ask(t, Where{Address: address}, patience)
	if _, err := client.Snapshot(t.Context()); err == nil || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "does switchyard serve") {
		t.Errorf("it says %v", err)
	}
}

func TestTap(t *testing.T) {
	address := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if want := "/api/v1/tap?bodies=true&command=0x0301&pdus=5&tenant=a&time=1m0s&user=7&user=4294967295"; r.URL.String() != want {
			t.Errorf("asked for %s, want %s", r.URL, want)
		}
		fmt.Fprint(w, `{"kind":"pdu","tenant":"a","session":2,"seq":65535,"body":{"text":"`+strings.Repeat("x", 100<<10)+`"}}`+"\n"+`{"kind":"statistics","missed":3}`+"\n")
	})
	q := TapQuery{Tenants: []string{"a"}, Commands: []string{"0x0301"}, Users: []uint32{7, 1<<32 - 1}, Bodies: true, PDUs: 5, Time: time.Minute}
	tap, err := ask(t, Where{Address: address}, patience).Tap(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	if l, err := tap.Next(); err != nil || l.Session != 2 || l.Seq != 65535 || len(l.Body) < 100<<10 || len(l.Text) < len(l.Body) {
		t.Errorf("%.100s, %v", l.Text, err)
	}
	if l, err := tap.Next(); err != nil || l.Kind != KindStatistics || l.Missed != 3 {
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
		"silence":       {hang, "has said nothing for 50ms"},
		"cut in a line": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"kind":`) }, "cut the tap off"},
		"reset":         {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); panic(http.ErrAbortHandler) }, "cut the tap off"},
		"the older":     {http.NotFound, "older than this command"},
		"too many at all": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "4 taps are open", http.StatusTooManyRequests)
		}, "4 taps are open"},
	} {
		t.Run(name, func(t *testing.T) {
			patient := patience
			patient.line = soon.line
			if name == "a line without end" {
				patient.line = patience.line
			}
			tap, err := ask(t, Where{Address: listen(t, c.answer)}, patient).Tap(t.Context(), TapQuery{})
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

// Who takes a while with a line is not taken for a silent server.
func TestSlowReaderOfATap(t *testing.T) {
	address := listen(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Repeat(`{"kind":"statistics"}`+"\n", 2))
		hang(w, r)
	})
	tap, err := ask(t, Where{Address: address}, soon).Tap(t.Context(), TapQuery{})
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	if _, err := tap.Next(); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 3*soon.line; runtime.Gosched() {
	}
	if _, err := tap.Next(); err != nil {
		t.Errorf("the second line: %v", err)
	}
}

func TestTapInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	tap, err := ask(t, Where{Address: listen(t, hang)}, patience).Tap(ctx, TapQuery{})
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
