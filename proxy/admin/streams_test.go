package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/proxy/admin/api"
)

// stall opens a stream and takes nothing of it but what a buffer of that many bytes holds. Like ask, it
// tries again after a request that came too late.
func (f *fixture) stall(path string, streams semaphore, buffer int) (conn net.Conn) {
	f.Helper()
	var sent time.Time
	f.await(path+" is open", func() bool {
		if time.Since(sent) > f.clientTimeout && len(streams) == 0 {
			var err error
			if conn, err = net.Dial("tcp", f.Addrs()[0].String()); err != nil {
				f.Fatal(err)
			}
			f.Cleanup(func() { conn.Close() })
			conn.(*net.TCPConn).SetReadBuffer(buffer)
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
			sent = time.Now()
		}
		return len(streams) > 0
	})
	return conn
}

// A client that never reads its events is dropped, and slows down no other client.
func TestStalledEventsAreDropped(t *testing.T) {
	t.Parallel()
	f := start(t, 500*time.Millisecond)
	f.stall("/api/v1/events", f.streams, 4<<10)
	long := strings.Repeat("x", keptText)
	f.await("it is dropped", func() bool {
		f.log.Info("long", "a", long, "b", long, "c", long, "d", long)
		f.hub.Handle(f.peer.Seat, pdutest.Heartbeat())
		return len(f.streams) == 0
	})
	if got := f.read(f.ask("GET", "/livez")); got != "ok\n" {
		t.Errorf("afterwards: %q", got)
	}
}

// A client that never reads its tap is dropped; until then what it does not take is
// missed, and the hub continues. It measures the memory of the process, so no other test runs beside it.
func TestStalledTapIsDropped(t *testing.T) {
	f := start(t, 500*time.Millisecond)
	f.stall("/api/v1/tap?bodies=true", f.taps, 4<<10)
	before := memory()
	m := bytes.Repeat(pdutest.Raw(pdu.CID_MSG_DATA, 1, make([]byte, 8000)), 8)
	sent := uint64(0)
	f.await("it is dropped", func() bool {
		f.hub.Handle(f.peer.Seat, m)
		sent += 8
		return len(f.taps) == 0
	})
	if got := f.hub.Counts().Received; got != sent {
		t.Errorf("the hub received %d PDUs of %d", got, sent)
	}
	if grown := memory() - before; grown > 64<<20 {
		t.Errorf("%d bytes more are in use", grown)
	}
}

func memory() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestStreamsAreFew(t *testing.T) {
	t.Parallel()
	f := start(t, patient)
	for _, c := range []struct {
		path string
		all  semaphore
	}{
		{"/api/v1/events", f.streams},
		{"/api/v1/tap", f.taps},
	} {
		var open []*http.Response
		for range cap(c.all) {
			r := f.ask("GET", c.path)
			if r.StatusCode != 200 {
				t.Fatalf("%s: %d", c.path, r.StatusCode)
			}
			open = append(open, r)
		}
		r := f.ask("GET", c.path)
		if got := errorOf(t, r, f.read(r)); r.StatusCode != 429 || !strings.Contains(got, "close one of them") {
			t.Errorf("%s: %d %q, want 429", c.path, r.StatusCode, got)
		}
		for _, r := range open {
			r.Body.Close()
		}
		f.await("all are closed", func() bool { return len(c.all) == 0 })
	}
}

// A client that reconnects gets the lines after its Last-Event-ID, and all lines if the ID
// is another process's.
func TestLastEventID(t *testing.T) {
	f := start(t, patient)
	for i := range 5 {
		f.log.Info(fmt.Sprint("line ", i+1))
	}
	for id, want := range map[string]string{"": "line 1 line 2 line 3 line 4 line 5", "3": "line 4 line 5", "99": "line 1 line 2 line 3 line 4 line 5"} {
		var headers []string
		if id != "" {
			headers = append(headers, "Last-Event-ID: "+id)
		}
		r := f.ask("GET", "/api/v1/events", headers...)
		var got []string
		for e := range eventsIn(t, r.Body) {
			var l api.Line
			if err := json.Unmarshal([]byte(e.data), &l); err != nil {
				t.Fatal(err)
			}
			if e.name == "log" {
				if e.id != fmt.Sprint(l.ID) {
					t.Errorf("id %q of line %d", e.id, l.ID)
				}
				got = append(got, l.Message)
			}
			if l.ID == 5 {
				break
			}
		}
		r.Body.Close()
		if text := strings.Join(got, " "); text != want {
			t.Errorf("after %q: %q, want %q", id, text, want)
		}
	}
}

// The last lines are remembered, whatever is logged; those of debugging are not.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	lines := new(Lines)
	level := new(slog.LevelVar)
	level.Set(slog.LevelError)
	sanitize := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "secret" {
			a.Value = slog.StringValue("***")
		}
		return a
	}
	log := slog.New(lines.Handler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}), sanitize))
	log.Debug("debugging")
	log.With("tenant", "a").WithGroup("g").Warn("first", "n", 1, "secret", "s", "err", io.EOF, "took", time.Second, "long", strings.Repeat("x", 9999),
		"bad", "\xff", "map", map[policy.Action]int{policy.Drop: 2}, slog.Group("h", "x", true), slog.Group("", "y", 2), "none", nil)
	if out.Len() > 0 {
		t.Errorf("logged %q, though the level is error", out.String())
	}
	got, last := lines.after(0)
	want := `{"g.bad":"` + "\uFFFD" + `","g.err":"EOF","g.h.x":true,"g.long":"` + strings.Repeat("x", keptText) + `…","g.map":{"drop":2},"g.n":1,"g.none":null,"g.secret":"***","g.took":"1s","g.y":2,"tenant":"a"}`
	if len(got) != 1 || last != 1 || got[0].Message != "first" || got[0].Level != "WARN" || string(got[0].Attributes) != want {
		t.Errorf("got %+v\n%s, want\n%s", got, got[0].Attributes, want)
	}
	for i := range 3 * keptLines {
		log.Error("more", "i", i)
	}
	got, last = lines.after(0)
	if len(got) != keptLines || last != 3*keptLines+1 || got[0].ID != last-keptLines+1 || got[keptLines-1].ID != last {
		t.Errorf("got %d lines, the last is %d", len(got), last)
	}
	if strings.Count(out.String(), "msg=more") != 3*keptLines {
		t.Errorf("not every line was logged")
	}
}
