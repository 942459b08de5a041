package browser

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"switchyard/proxy/admin/dashboard"
)

// A fake answers as the admin API does, about a world that the test makes up. Its answers
// are checked against the description of the API. world_test.go has the world.
type fake struct {
	*httptest.Server
	t        *testing.T
	contract *contract
	stop     chan struct{} // closed at the end; ends streams
	closing  sync.Once

	mu      sync.Mutex // guards what follows
	world   *world
	token   string   // wanted by all but the page; none if empty
	operate string   // wanted to change releases; none if empty
	asked   []string // requests of the API, as METHOD path?query
	lost    bool     // streams break off, and new ones are refused
	silent  bool     // streams send nothing
	backlog int      // snapshots that a stream begins with, all at once
	streams map[chan event]struct{}
	bodies  []string // of requests that had one
}

// An event is an event of the stream.
type event struct {
	name string
	data any
}

// period is how often a snapshot is sent. Each snapshot is of one second later than the
// previous one.
const period = 200 * time.Millisecond

func newFake(t *testing.T, w *world) *fake {
	f := &fake{t: t, contract: readContract(t), world: w, stop: make(chan struct{}), streams: map[chan event]struct{}{}}
	page := dashboard.Handler()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /assets/", page)
	api := func(pattern, schema string, answer func(*world, *http.Request) (any, error)) {
		mux.HandleFunc(pattern, f.allowed(func(rw http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(body) > 0 {
				f.bodies = append(f.bodies, string(body))
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			value, err := answer(f.world, r)
			if err != nil {
				f.refuse(rw, err)
				return
			}
			f.send(rw, schema, value)
		}))
	}
	api("GET /api/v1/tenants", "Tenants", (*world).tenantsAnswer)
	api("GET /api/v1/connections", "Connections", (*world).connectionsAnswer)
	api("GET /api/v1/routes", "Routes", (*world).routesAnswer)
	api("GET /api/v1/policies", "Policies", (*world).policiesAnswer)
	api("GET /api/v1/releases", "Releases", (*world).releasesAnswer)
	api("GET /api/v1/releases/history", "ReleaseHistory", (*world).releaseHistoryAnswer)
	api("GET /api/v1/releases/receipt", "ReleaseReceipt", (*world).receiptAnswer)
	api("POST /api/v1/releases/{verb}", "Release", (*world).verbAnswer)
	api("GET /api/v1/server", "Server", (*world).serverAnswer)
	api("GET /api/v1/listeners", "Listeners", (*world).listenersAnswer)
	api("GET /api/v1/last-hour", "LastHour", (*world).lastHourAnswer)
	api("GET /api/v1/disconnects", "Disconnects", (*world).disconnectsAnswer)
	api("GET /api/v1/command", "Command", (*world).commandAnswer)
	api("GET /api/v1/policies/compare", "Comparison", (*world).policiesCompareAnswer)
	api("POST /api/v1/connections/close", "Closed", (*world).closeAnswer)
	api("POST /api/v1/reload", "Reload", (*world).reloadAnswer)
	api("POST /api/v1/drain", "Drain", (*world).drainAnswer)
	api("GET /api/v1/log-level", "LogLevel", (*world).logLevelAnswer)
	api("PUT /api/v1/log-level", "LogLevel", (*world).logLevelAnswer)
	mux.HandleFunc("GET /api/v1/tap", f.allowed(f.tap))
	api("GET /api/v1/upgrade", "Upgrade", (*world).upgradeAnswer)
	api("POST /api/v1/evaluate", "Evaluation", (*world).evaluateAnswer)
	api("POST /api/v1/compare", "Comparison", (*world).compareAnswer)
	mux.HandleFunc("GET /api/v1/events", f.allowed(f.events))
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.end)
	return f
}

// end ends the streams, and then the server.
func (f *fake) end() {
	f.closing.Do(func() { close(f.stop) })
	f.Close()
}

// A refusal is an error answer.
type refusal struct {
	status int
	object
}

func (refusal) Error() string { return "refused" }

func (f *fake) refuse(rw http.ResponseWriter, err error) {
	r := err.(refusal)
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(r.status)
	f.send(rw, "Error", r.object)
}

func (f *fake) send(rw http.ResponseWriter, schema string, value any) {
	rw.Header().Set("Content-Type", "application/json")
	text, err := json.Marshal(value)
	if err != nil {
		f.t.Error(err)
	}
	f.contract.check(f.t, schema, text)
	rw.Write(text)
}

// allowed records the request and checks its token.
func (f *fake) allowed(next http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked = append(f.asked, r.Method+" "+r.URL.String())
		wanted := f.token
		if f.operate != "" && r.Method == http.MethodPost && !strings.HasSuffix(r.URL.Path, "/evaluate") {
			wanted = f.operate
		}
		f.mu.Unlock()
		given := r.Header.Get("Authorization")
		if wanted != "" && given != "Bearer "+wanted {
			why := "a token is missing; send that of admin.read_token_file"
			if given != "" {
				why = "this token is not known"
			}
			f.refuse(rw, refusal{http.StatusUnauthorized, object{"error": why}})
			return
		}
		next(rw, r)
	}
}

// events sends a snapshot at once and then one each period, and the events of tell in
// between.
func (f *fake) events(rw http.ResponseWriter, r *http.Request) {
	own := make(chan event, 1000)
	f.mu.Lock()
	f.streams[own] = struct{}{}
	lost, lines, backlog := f.lost, f.world.lines, f.backlog
	f.backlog = 0
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.streams, own)
		f.mu.Unlock()
	}()
	if lost {
		f.refuse(rw, refusal{http.StatusServiceUnavailable, object{"error": "the server stops"}})
		return
	}
	rw.Header().Set("Content-Type", "text/event-stream")
	for _, l := range lines {
		f.write(rw, event{name: "log", data: l})
	}
	for range backlog {
		f.mu.Lock()
		next := event{name: "snapshot", data: f.world.snapshot()}
		f.mu.Unlock()
		f.write(rw, next)
	}
	timer := time.NewTicker(period)
	defer timer.Stop()
	for {
		f.mu.Lock()
		lost, silent := f.lost, f.silent
		next := event{name: "snapshot"}
		if !silent {
			next.data = f.world.snapshot()
		}
		f.mu.Unlock()
		if lost {
			panic(http.ErrAbortHandler) // closes the connection as a server that exits does
		}
		if !silent {
			f.write(rw, next)
		}
		for waiting := true; waiting; {
			select {
			case e := <-own:
				f.write(rw, e)
			case <-timer.C:
				waiting = false
			case <-r.Context().Done():
				return
			case <-f.stop:
				return
			}
		}
	}
}

// tap sends the lines of the world, and ends.
func (f *fake) tap(rw http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	lines := f.world.server.tap
	f.mu.Unlock()
	rw.Header().Set("Content-Type", "application/x-ndjson")
	for _, l := range lines {
		text, err := json.Marshal(l)
		if err != nil {
			f.t.Error(err)
		}
		f.contract.check(f.t, "TapLine", text)
		fmt.Fprintf(rw, "%s\n", text)
	}
}

var schemas = map[string]string{"snapshot": "Snapshot", "policy": "PolicyEvent", "release": "HistoryEntry", "log": "Line"}

func (f *fake) write(rw http.ResponseWriter, e event) {
	text, err := json.Marshal(e.data)
	if err != nil {
		f.t.Error(err)
	}
	f.contract.check(f.t, schemas[e.name], text)
	fmt.Fprintf(rw, "event: %s\ndata: %s\n\n", e.name, text)
	rw.(http.Flusher).Flush()
}

// tell sends an event to all streams.
func (f *fake) tell(name string, data any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams {
		s <- event{name: name, data: data}
	}
}

// change changes the world.
func (f *fake) change(by func(*world)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	by(f.world)
}

// requests returns the requests so far.
func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

// lastBody returns the body of the last request that had one.
func (f *fake) lastBody() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.bodies) == 0 {
		return ""
	}
	return f.bodies[len(f.bodies)-1]
}
