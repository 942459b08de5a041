package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/histogram"
	"switchyard/proxy/admission"
	"switchyard/proxy/cluster"
	"switchyard/proxy/hub"
	"switchyard/proxy/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func groupNamed(name string) policy.Group {
	g, err := policy.GroupNamed(name)
	if err != nil {
		panic(err)
	}
	return g
}

// everything sets every field.
func everything() State {
	at := time.Unix(1_700_000_000, 5e8)
	counts := hub.Counts{
		Received: 26, Actions: map[policy.Action]uint64{policy.Consume: 3, policy.BroadcastAll: 2}, Dropped: map[hub.Reason]uint64{hub.ByPolicy: 5},
		Made: 1, Due: 9, Delivered: 4, Pending: 2, Discarded: map[hub.Reason]uint64{hub.SlowConsumer: 3}, Sessions: 2, Joined: 7,
		Closed: map[hub.Reason]uint64{hub.SlowConsumer: 4, hub.PeerClosed: 1}, BytesIn: 1000, BytesOut: 2000, Lag: 30, Lags: 40,
		Underway: 16, Slowed: map[hub.Reason]uint64{hub.LogFull: 2}, SlowedTime: map[hub.Reason]time.Duration{hub.LogFull: 1500 * time.Millisecond},
	}
	return State{
		Build:   Build{"v1", "abc", "go1", "v2"},
		Reloads: Reloads{Done: 3, Refused: 1, LastRefused: true, LastDone: at}, Draining: true, AccessLost: 5, Handovers: Handovers{2, 1, 41 * time.Millisecond, 500, 2, 1}, History: History{7, 1, true},
		Tenants: []Tenant{{
			Name: "acme", Counts: counts, Groups: map[policy.Group]hub.GroupCount{groupNamed("archive"): {Peers: 2, Copies: 5}}, Commands: []hub.CommandStats{
				{Command: 0, PDUs: 5, Bytes: 80, Actions: map[policy.Action]uint64{policy.Drop: 5}},
				{Command: pdu.CID_MSG_DATA, PDUs: 5, Bytes: 920, Actions: map[policy.Action]uint64{policy.Consume: 3, policy.BroadcastAll: 2}},
			},
			Latency: histogram.Counts{Bounds: []time.Duration{time.Millisecond, time.Second}, Buckets: []uint64{3, 5}, Count: 6, Sum: 4 * time.Second},
			Calls:   histogram.Counts{Bounds: []time.Duration{time.Microsecond}, Buckets: []uint64{7}, Count: 8, Sum: 10 * time.Microsecond},
			Audit: []hub.AuditRow{{Command: 0}, {Command: pdu.CID_MSG_DATA, PDUs: 9, Sent: policy.Copies{PDUs: 30}, Audited: policy.Copies{PDUs: 12},
				Useless: policy.Copies{PDUs: 20}, Missed: policy.Copies{PDUs: 2}, Faults: 1}},
			Paused: 1, Users: 11, Entries: 12, AsideEntries: 30, Log: 13, LogLimit: 14, Connections: 15, ProbeSeconds: 0.25, Policy: "file:\xff.toml", SHA256: "1f",
			Faults: map[policy.FaultKind]uint64{policy.FaultFuel: 6}, Swapped: 2, Refused: 3, LoadSeconds: 0.5, PolicyRefused: true, AuditRefused: true, Drift: true, Killed: true, ReleaseShare: [3]float64{0.01, 0.02, 0.03}, Stage: "bake", ReleasePaused: 90 * time.Second, Budgets: map[string]float64{"copies": 0.8},
			Weighed:  policy.Weighed{Alike: 1, ByStable: 2, ByCandidate: 3, Commands: []policy.CommandWeights{{Command: pdu.CID_MSG_DATA, Weights: policy.Weights{PDUs: 20, Unweighed: 4, Differ: 5, Faults: 6, Closes: 7, Presence: 8, Undelivered: 9}}}},
			Releases: map[string]uint64{"done": 4}, SignatureUntil: at,
			Remote: true, SourceReached: at, Member: memberStatus(),
		}},
		Listeners: []Listener{{Address: "127.0.0.1:8200", CertificateUntil: at, CertificateRefused: true, CertificateWarnings: 2, Counts: admission.Counts{
			Accepted: 9, Handshaking: 1, Open: 2, Ended: 3, Refused: map[admission.Reason]uint64{admission.NotAllowed: 3}, Sources: 4}}},
	}
}

func memberStatus() *cluster.Status {
	member := func(hub uint16, policy uint64) order.Member {
		return order.Member{Origin: order.Origin{Hub: hub, Incarnation: 1}, Facts: order.Facts{Policies: []uint64{policy}}}
	}
	s := &cluster.Status{State: cluster.Waiting, Origin: order.Origin{Hub: 1, Incarnation: 1}, Members: []order.Member{member(1, 10), member(2, 10), member(3, 11)},
		Counts: cluster.Counts{Applied: map[uint16]uint64{1: 21, 2: 22}, Ignored: map[order.Ignored]uint64{order.Doubled: 23}, Entered: map[string]uint64{"start": 1},
			FellOut: map[order.Reason]uint64{order.Overtaken: 24}, Gone: 25, Alone: 26},
		Mismatches: 27, UnderwayRecords: 28, UnderwayBytes: 29, OldestAge: 1500 * time.Millisecond,
		Outbox: order.Counts{Appended: 30, Again: 31, Trips: order.Trips{Count: 6, Sum: 20 * time.Second}}, Log: order.LogCounts{ReadAgain: 32, Behind: 33, Reconnects: 34}}
	s.Outbox.Trips.Buckets[0], s.Outbox.Trips.Buckets[3] = 2, 3
	return s
}

func scrape(t *testing.T, read func() State) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(read).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%d %s, %v", w.Code, text, err)
	}
	return string(text)
}

// The lines are those of a file, so that a change of one is seen.
func TestMetrics(t *testing.T) {
	var own []string
	for line := range strings.Lines(scrape(t, everything)) {
		if strings.HasPrefix(line, "switchyard_") || strings.Contains(line, " switchyard_") {
			own = append(own, line)
		}
	}
	got := strings.Join(own, "")
	const file = "testdata/everything.txt"
	want, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwhich is not %s", got, file)
	}
}

// What Go and the system say of the process is there as well.
func TestProcess(t *testing.T) {
	text := scrape(t, everything)
	for _, name := range []string{"go_goroutines ", "go_memstats_heap_alloc_bytes ", "process_open_fds ", "process_max_fds ", "process_cpu_seconds_total "} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("no %s", name)
		}
	}
}

// Names follow the conventions of Prometheus, each metric is emitted, and labels are few.
func TestNames(t *testing.T) {
	text := scrape(t, everything)
	labels := []string{"tenant", "listener", "command", "action", "reason", "kind", "result", "of", "side", "stage", "budget", "fate", "state", "hub", "why", "le", "name", "sha256", "version", "revision", "goversion", "wazero", "group"}
	for _, f := range families {
		if strings.Count(text, "# TYPE "+f.name+" ") != 1 {
			t.Errorf("%s is not emitted", f.name)
		}
		if isTotal := strings.HasSuffix(f.name, "_total"); isTotal != (f.kind == prometheus.CounterValue) {
			t.Errorf("%s: counters end in _total, and nothing else does", f.name)
		}
		if regexp.MustCompile(`_(ms|milliseconds|kb|mb|percent|count)(_|$)`).MatchString(f.name) {
			t.Errorf("%s: units are seconds and bytes", f.name)
		}
	}
	if names := familyNames(); len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(families) {
		t.Errorf("names are there twice: %v", names)
	}
	for _, m := range regexp.MustCompile(`(?m)^switchyard_\w+{([^}]*)}`).FindAllStringSubmatch(text, -1) {
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[1], -1) {
			if !slices.Contains(labels, label[1]) {
				t.Errorf("label %s of %s", label[1], m[0])
			}
		}
	}
}

// The registry's own check finds nothing: no metric twice, none that was not described.
func TestPedantic(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(collector{everything})
	if _, err := r.Gather(); err != nil {
		t.Error(err)
	}
}

// An empty State is served without an error.
func TestNothing(t *testing.T) {
	text := scrape(t, func() State { return State{} })
	if !strings.Contains(text, "switchyard_draining 0\n") || strings.Contains(text, "tenant=") {
		t.Errorf("got %s", text)
	}
}

// A tenant that this hub serves alone has no series that is about a cluster.
func TestLoneHub(t *testing.T) {
	lone := everything()
	lone.Tenants[0].Member = nil
	text := scrape(t, func() State { return lone })
	for _, word := range []string{"switchyard_cluster_", "order-full"} {
		if strings.Contains(text, word) {
			t.Errorf("%s in %s", word, text)
		}
	}
}

// All listeners are emitted, even if several have the same address with port 0.
func TestListenersAlike(t *testing.T) {
	listener := func(n uint64) Listener {
		return Listener{Address: "127.0.0.1:0", Counts: admission.Counts{Accepted: n}}
	}
	text := scrape(t, func() State { return State{Listeners: []Listener{listener(1), listener(2), listener(3)}} })
	for i, name := range []string{"127.0.0.1:0", "127.0.0.1:0#2", "127.0.0.1:0#3"} {
		if want := fmt.Sprintf("switchyard_listener_accepted_total{listener=%q} %d\n", name, i+1); !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

// A metric that fails does not keep the others from being served.
func TestOneTwice(t *testing.T) {
	text := scrape(t, func() State { return State{Tenants: []Tenant{{Name: "acme"}, {Name: "acme"}}} })
	for _, want := range []string{"switchyard_draining 0\n", `switchyard_connections{tenant="acme"} 0` + "\n", "promhttp_metric_handler_errors_total"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

// familyNames returns the names of Switchyard's own metrics.
func familyNames() []string {
	var all []string
	for _, f := range families {
		all = append(all, f.name)
	}
	return all
}
