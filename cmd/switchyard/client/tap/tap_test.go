package tap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"switchyard/cmd/switchyard/client"
	"switchyard/pdu"
	"switchyard/policy/command"
	"switchyard/proxy/admin/api"
)

func TestMain(m *testing.M) {
	time.Local = time.FixedZone("here", 3600)
	goleak.VerifyTestMain(m)
}

// stream is what a server sends: a PDU of two sessions each, with control characters, and
// what it missed.
const stream = `{"kind":"joined","time":"2026-01-02T03:04:05.678Z","tenant":"acme","session":3}
{"kind":"pdu","time":"2026-01-02T03:04:05.678Z","tenant":"acme","session":3,"service":"SID_MSG","command":"CID_MSG_DATA","seq":7,"length":85,"verdict":"broadcast-except-sender","action":"broadcast-except-sender","body":{"msg_data": "a` + "\u009b" + `2Jb"}}
{"kind":"statistics","time":"2026-01-02T03:04:05.700Z","tenant":"acme","session":0,"missed":0,"pdus":1}
{"kind":"statistics","time":"2026-01-02T03:04:06.700Z","tenant":"acme","session":0,"missed":5,"pdus":1}
{"kind":"pdu","time":"2026-01-02T03:04:07.000Z","tenant":"beta","session":40000,"service":"0x0009","command":"0x0720","seq":65535,"length":16,"verdict":"drop","action":"drop","fault":"fuel","hex":"00ff","cut":true}
{"kind":"statistics","time":"2026-01-02T03:04:08.000Z","tenant":"acme","session":0,"missed":5,"pdus":2}
{"kind":"statistics","time":"2026-01-02T03:04:08.000Z","tenant":"beta","session":0,"missed":2,"pdus":2}
`

// A server sends a text and ends.
type server struct {
	*testing.T
	client *client.Client
	asked  string // the last query
}

func serve(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *server {
	t.Helper()
	s := &server{T: t}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked = r.URL.RawQuery
		answer(w, r)
	}))
	t.Cleanup(h.Close)
	var err error
	if s.client, err = client.Connect(client.Target{Address: strings.TrimPrefix(h.URL, "http://")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	return s
}

func says(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

// run runs a tap and returns what it prints, and reports but for its beginning.
func (s *server) run(o Options) (out, report string, err error) {
	s.Helper()
	var printed, reported strings.Builder
	err = Run(s.Context(), s.client, o, &printed, &reported)
	return printed.String(), strings.TrimPrefix(reported.String(), Begin), err
}

const lines = `04:04:05.678  acme      session 3      CID_MSG_DATA                        85 bytes  seq 7      broadcast-except-sender  {"msg_data":"a\u009b2Jb"}
04:04:06.700  5 PDUs missed: what reads this, or the way here, is too slow; ask for fewer by --command or --tenant
04:04:07.000  beta      session 40000  0x0720                              16 bytes  seq 65535  drop (fault: fuel)  hex 00ff...
04:04:08.000  2 PDUs missed: what reads this, or the way here, is too slow; ask for fewer by --command or --tenant
`

func TestLines(t *testing.T) {
	out, report, err := serve(t, says(stream)).run(Options{Bodies: true})
	if err != nil || out != lines {
		t.Errorf("with %v it prints\n%s\nwant\n%s", err, out, lines)
	}
	if want := "2 PDUs, 7 missed; ended: the server stopped it\n"; report != want {
		t.Errorf("it reports %q, want %q", report, want)
	}
}

// Lines of JSON are the server's, on one line each and harmless.
func TestJSON(t *testing.T) {
	out, _, err := serve(t, says(stream)).run(Options{JSON: true})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for line := range strings.Lines(out) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		kinds = append(kinds, fmt.Sprintf("%v %v %v", l["kind"], l["missed"], l["seq"]))
		if body, ok := l["body"].(map[string]any); ok && body["msg_data"] != "a\u009b2Jb" {
			t.Errorf("the body is %q", body)
		}
	}
	if want := []string{"pdu <nil> 7", "missed 5 <nil>", "pdu <nil> 65535", "missed 2 <nil>"}; !slices.Equal(kinds, want) {
		t.Errorf("got %q, want %q", kinds, want)
	}
	if strings.Contains(out, "\u009b") {
		t.Errorf("it prints %q", out)
	}
}

// The server is asked for what it can choose, and the rest is chosen here.
func TestChoices(t *testing.T) {
	data := command.Range{Lo: pdu.CID_MSG_DATA, Hi: pdu.CID_MSG_DATA}
	all := command.Range{Lo: 0, Hi: 0xffff}
	high := command.Range{Lo: 0x0700, Hi: 0xffff}
	for _, c := range []struct {
		name  string
		o     Options
		asked string
		pdus  int
	}{
		{"everything", Options{}, "bodies=false", 2},
		{"all that is chosen there", Options{Tenants: []string{"a", "b"}, Commands: []command.Range{data, {Lo: 0x720, Hi: 0x721}}, Users: []uint32{5}, Bodies: true, Count: 9, Time: time.Minute},
			"bodies=true&command=0x0301&command=0x0720&command=0x0721&pdus=9&tenant=a&tenant=b&time=1m0s&user=5", 2},
		{"one session", Options{Sessions: []uint64{3}, Count: 9}, "bodies=false", 1},
		{"no such session", Options{Sessions: []uint64{4}}, "bodies=false", 0},
		{"a large range", Options{Commands: []command.Range{high}, Count: 9}, "bodies=false", 1},
		{"all commands", Options{Commands: []command.Range{all, data}}, "bodies=false", 2},
		{"another command", Options{Commands: []command.Range{{Lo: 1, Hi: 1}}}, "bodies=false&command=0x0001", 0}, // a server that errs
		{"as many as there are", Options{Count: 1}, "bodies=false&pdus=1", 1},
	} {
		s := serve(t, says(stream))
		out, report, err := s.run(c.o)
		if err != nil || s.asked != c.asked {
			t.Errorf("%s: asked for %s, %v, want %s", c.name, s.asked, err, c.asked)
		}
		if got := strings.Count(out, "bytes  seq"); got != c.pdus || !strings.HasPrefix(report, fmt.Sprintf("%d PDUs", c.pdus)) {
			t.Errorf("%s: it prints %d PDUs and reports %q, want %d", c.name, got, report, c.pdus)
		}
	}
}

// on sends something and continues, as long as the client is there.
func on(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, text)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

// A feed is a writer that says when it was written to.
type feed struct {
	written chan string
	err     error
}

func (f *feed) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	f.written <- string(p)
	return len(p), nil
}

func TestEnds(t *testing.T) {
	one := strings.SplitAfter(stream, "\n")[1]
	var report strings.Builder
	t.Run("as many as asked for", func(t *testing.T) {
		_, report, err := serve(t, on(stream)).run(Options{Count: 2})
		if want := "2 PDUs, 5 missed; ended: as many as asked for\n"; err != nil || report != want {
			t.Errorf("%q, %v, want %q", report, err, want)
		}
	})
	t.Run("the time is over", func(t *testing.T) {
		_, report, err := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, one)
			w.(http.Flusher).Flush()
			select {
			case <-time.After(2 * time.Millisecond):
			case <-r.Context().Done():
			}
		}).run(Options{Time: time.Millisecond})
		if want := "1 PDUs, 0 missed; ended: the time asked for is over\n"; err != nil || report != want {
			t.Errorf("%q, %v, want %q", report, err, want)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		out := &feed{written: make(chan string)}
		ended := make(chan error)
		go func() { ended <- Run(ctx, serve(t, on(one)).client, Options{}, out, &report) }()
		<-out.written
		cancel()
		if err := <-ended; err != nil || report.String() != Begin+"1 PDUs, 0 missed; ended: interrupted\n" {
			t.Errorf("%q, %v", report.String(), err)
		}
	})
	t.Run("interrupted too early", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := serve(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
		if err := Run(ctx, s.client, Options{}, io.Discard, io.Discard); err != ErrInterrupted {
			t.Errorf("it ends with %v", err)
		}
	})
	t.Run("the output is closed", func(t *testing.T) {
		report.Reset()
		if err := Run(t.Context(), serve(t, on(one)).client, Options{}, &feed{err: io.ErrClosedPipe}, &report); err != nil || report.String() != Begin {
			t.Errorf("%q, %v", report.String(), err)
		}
	})
	t.Run("nowhere to write", func(t *testing.T) {
		full := errors.New("disk full")
		err := Run(t.Context(), serve(t, on(one)).client, Options{}, &feed{err: full}, io.Discard)
		if _, is := errors.AsType[*WriteError](err); !is || !errors.Is(err, full) {
			t.Errorf("it ends with %v", err)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		_, report, err := serve(t, says(one+"{\n")).run(Options{})
		if err == nil || !strings.Contains(err.Error(), "does not speak") || report != "1 PDUs, 0 missed; ended: it failed\n" {
			t.Errorf("%q, %v", report, err)
		}
	})
}

// A tap does not wait for a slow reader: it queues at most maxQueued bytes and counts the
// rest as missed.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const pdus = 3000
	body := strings.Repeat("x", 4<<10)
	sent := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(sent)
		for i := range pdus {
			fmt.Fprintf(w, `{"kind":"pdu","tenant":"a","session":%d,"command":"CID_MSG_DATA","seq":1,"hex":%q}`+"\n", i, body)
		}
	})
	out := &feed{written: make(chan string)}
	var report strings.Builder
	ended := make(chan error, 1)
	go func() { ended <- Run(t.Context(), s.client, Options{Bodies: true}, out, &report) }()
	first := <-out.written
	<-sent // all of it, although only one write has been read
	var text bytes.Buffer
	text.WriteString(first)
	for {
		select {
		case part := <-out.written:
			text.WriteString(part)
			continue
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
		}
		break
	}
	var shown, missed, reported int
	fmt.Sscanf(strings.TrimPrefix(report.String(), Begin), "%d PDUs, %d missed", &shown, &missed)
	for line := range strings.Lines(text.String()) {
		var n int
		if _, err := fmt.Sscanf(line[strings.Index(line, " "):], "%d PDUs missed", &n); err == nil {
			reported += n
		}
	}
	if shown+missed != pdus || reported != missed || missed == 0 || text.Len() > 2*maxQueued {
		t.Errorf("%d shown and %d missed of %d, reported %d; %d bytes", shown, missed, pdus, reported, text.Len())
	}
}

func line(session uint64, text []byte) *client.TapLine {
	return &client.TapLine{TapLine: api.TapLine{Session: session}, Text: text}
}

// Entries come out as they were put in, with what was missed in its place.
func TestQueue(t *testing.T) {
	q := newQueue()
	text := []byte("first")
	q.put(line(1, text))
	copy(text, "XXXXX")
	q.miss(time.Time{}, 2)
	q.miss(time.Time{}, 3)
	q.put(line(2, nil))
	q.put(line(3, make([]byte, maxQueued))) // too large beside others
	q.put(line(4, nil))
	q.end(io.EOF)
	entries, err := q.take()
	var got []string
	for _, e := range entries {
		if e.line == nil {
			got = append(got, fmt.Sprintf("-%d", e.missed))
		} else {
			got = append(got, fmt.Sprintf("%d%s", e.line.Session, e.line.Text))
		}
	}
	if want := []string{"1first", "-5", "2", "-1", "4"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("took %q, %v, want %q", got, err, want)
	}
	if entries, err := q.take(); len(entries) > 0 || err != io.EOF {
		t.Errorf("took %v, %v, want the end", entries, err)
	}
	q = newQueue()
	q.put(line(3, make([]byte, maxQueued)))
	if entries, err := q.take(); len(entries) != 1 || err != nil || entries[0].line == nil {
		t.Errorf("a line that is alone is not taken, whatever its size: %v", err)
	}
}

func TestQueueWakes(t *testing.T) {
	q := newQueue()
	var putting sync.WaitGroup
	putting.Go(func() { q.put(line(1, nil)) })
	if entries, err := q.take(); len(entries) != 1 || err != nil {
		t.Errorf("took %v, %v", entries, err)
	}
	putting.Wait()
}
