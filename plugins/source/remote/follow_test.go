package remote

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A changing host serves one file, with an ETag.
type changing struct {
	host
	mu      sync.Mutex // guards what follows
	content string
	status  int // if not 0, of all answers
	asked   int
	matched int // answers that nothing has changed
}

func serveChanging(t *testing.T) *changing {
	c := &changing{content: table}
	c.host = serve(t, func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asked++
		tag := `"` + c.content + `"`
		switch w.Header().Set("ETag", strings.ReplaceAll(tag, "\n", " ")); {
		case c.status != 0:
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(c.status)
		case r.Header.Get("If-None-Match") == w.Header().Get("ETag"):
			c.matched++
			w.WriteHeader(http.StatusNotModified)
		default:
			io.WriteString(w, c.content)
		}
	})
	return c
}

func (c *changing) set(content string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.content, c.status = content, status
}

func (c *changing) counts() (asked, matched int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked, c.matched
}

// A followed is Sources with what they log, and when they say that something has changed.
type followed struct {
	*Sources
	t       *testing.T
	changes chan struct{}
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), text)
}

func newFollowed(t *testing.T, wait time.Duration) *followed {
	f := &followed{t: t, changes: make(chan struct{}, 100), log: new(lockedBuffer)}
	f.Sources = New(slog.New(slog.NewTextHandler(f.log, nil)), wait, func() { f.changes <- struct{}{} })
	t.Cleanup(f.Close)
	return f
}

const patience = time.Minute

func (f *followed) wantChange() {
	f.t.Helper()
	select {
	case <-f.changes:
	case <-time.After(patience):
		f.t.Fatal("no change is noticed")
	}
}

func (f *followed) wait(what string, holds func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s does not happen", what)
		}
	}
}

// A changed content is noticed once. While the host is down, the last one stays.
func TestFollow(t *testing.T) {
	t.Parallel()
	h, f := serveChanging(t), newFollowed(t, time.Hour)
	name := h.URL + "/routes.toml"
	h.options.Poll = time.Millisecond
	wantContent := func(want string) {
		t.Helper()
		if c, err := f.Content(name); err != nil || string(c.File.Bytes) != want {
			t.Errorf("content %q, %v; want %q", c.File.Bytes, err, want)
		}
	}
	f.Set(h.options, []string{name, name})
	f.wantChange()
	wantContent(table)
	if !f.Settled() || f.Reached(name).IsZero() {
		t.Errorf("settled %v, reached %v", f.Settled(), f.Reached(name))
	}
	f.wait("an answer that nothing has changed", func() bool { _, matched := h.counts(); return matched >= 3 })

	h.set("# another\n"+table, 0)
	f.wantChange()
	wantContent("# another\n" + table)

	h.set("", http.StatusInternalServerError)
	f.wait("a failure", func() bool { return f.log.count("policy source unreachable") > 0 })
	asked, _ := h.counts()
	f.wait("another attempt", func() bool { now, _ := h.counts(); return now > asked })
	wantContent("# another\n" + table)
	h.set("# another\n"+table, 0)
	f.wait("the end of the failure", func() bool { return f.log.count("policy source reached again") == 1 })
	if n := f.log.count("policy source unreachable"); n != 1 {
		t.Errorf("the failure is logged %d times", n)
	}
	if len(f.changes) != 0 {
		t.Errorf("%d changes more are noticed", len(f.changes))
	}

	f.Set(h.options, nil)
	if _, err := f.Content(name); err == nil || !f.Reached(name).IsZero() {
		t.Errorf("what is not followed any more: %v", err)
	}
}

// An address that is not reached is waited for until New's time is over, and is reached later
// all the same.
func TestSettled(t *testing.T) {
	t.Parallel()
	h := serveChanging(t)
	h.set(table, http.StatusForbidden)
	name := h.URL + "/routes.toml"
	never := newFollowed(t, time.Hour)
	never.Set(h.options, []string{name})
	never.wait("a failure", func() bool { return never.log.count("unreachable") == 1 })
	if never.Settled() {
		t.Error("it is settled before its time is over")
	}
	f := newFollowed(t, time.Millisecond)
	f.Set(h.options, []string{name})
	f.wantChange()
	if _, err := f.Content(name); !f.Settled() || err == nil {
		t.Errorf("settled %v, %v", f.Settled(), err)
	}
	h.set(table, 0)
	f.Wake()
	f.wait("reaching it", func() bool { return !f.Reached(name).IsZero() })
}

// Who is told to come back later does so, even if it is woken.
func TestBusy(t *testing.T) {
	t.Parallel()
	h, f := serveChanging(t), newFollowed(t, time.Hour)
	h.set(table, http.StatusTooManyRequests)
	f.Set(h.options, []string{h.URL + "/routes.toml"})
	f.wait("a failure", func() bool { return f.log.count("429 Too Many Requests") == 1 })
	f.Wake()
	s := f.Sources
	s.mu.Lock()
	one := s.follows[h.URL+"/routes.toml"]
	s.mu.Unlock()
	if wait := s.record(one, nil, &busyError{"429", time.Hour}, time.Minute, &busyError{"429", time.Hour}); wait != maxBackOff {
		t.Errorf("it comes back after %v", wait)
	}
	if asked, _ := h.counts(); asked != 1 {
		t.Errorf("it was asked %d times", asked)
	}
}

// The quick attempts of a start do not make those after it rare.
func TestFailuresOfAStart(t *testing.T) {
	t.Parallel()
	s := newFollowed(t, time.Hour).Sources
	f := &follower{name: "a"}
	for range 10 {
		if wait := s.record(f, nil, io.EOF, time.Minute, nil); wait != firstRetry {
			t.Fatalf("before it is settled, the next attempt is after %v", wait)
		}
	}
	s.settle(f)
	if wait := s.record(f, nil, io.EOF, time.Minute, nil); wait != 2*time.Minute {
		t.Errorf("the first failure since then: the next attempt is after %v", wait)
	}
}

func TestTimes(t *testing.T) {
	for failures, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute} {
		if got := backOff(time.Minute, failures); got != want {
			t.Errorf("after %d failures %v, want %v", failures, got, want)
		}
	}
	if got := backOff(30*time.Minute, 1000); got != 30*time.Minute {
		t.Errorf("a poll above the longest back-off: %v", got)
	}
	for range 1000 {
		if got := jitter(time.Minute); got < time.Minute || got > 66*time.Second {
			t.Fatalf("jitter makes a minute %v", got)
		}
	}
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "999999999": maxBackOff,
		"Wed, 02 Jan 2030 03:05:05 GMT": time.Minute, "Wed, 02 Jan 2030 03:03:05 GMT": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("Retry-After %q: %v, want %v", text, got, want)
		}
	}
}
