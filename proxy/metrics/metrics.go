// Package metrics serves counts to Prometheus. It counts nothing itself: each scrape reads
// a State from its caller, so that the path of a PDU has plain additions only.
//
// Names begin with switchyard_, units are seconds and bytes. Labels are tenant, listener, hub, state,
// command, action, reason, kind and the like. A peer can make up none of their values: a command
// that the protocol does not have is "other". No metric is by connection or user.
package metrics

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"switchyard/policy"
	"switchyard/policy/histogram"
	"switchyard/proxy/admission"
	"switchyard/proxy/cluster"
	"switchyard/proxy/hub"
)

// A State holds all counts at one moment.
type State struct {
	Build      Build
	Reloads    Reloads
	Handovers  Handovers
	Draining   bool
	LinesLost  uint64 // of the log
	AccessLost uint64 // lines of the access log
	History    History
	Tenants    []Tenant
	Listeners  []Listener
	Others     []Listener // addresses for operators and scrapers, of which only the certificate counts
}

// A Build identifies the running program.
type Build struct{ Version, Revision, Go, Wazero string }

// A History says how far the history of policies has come.
type History struct {
	Entries uint64
	Unsaved int  // entries that could not be written
	Intact  bool // no damage was found
}

// Reloads counts reloads of the configuration.
type Reloads struct {
	Done, Refused uint64
	LastRefused   bool      // the last reload was refused
	LastDone      time.Time // of the last reload that was not, or of the start
}

// Handovers counts attempts to put another program in the place of the running one, and says what
// became of the sessions in the last one that succeeded.
type Handovers struct {
	Done, Failed           uint64
	Frozen                 time.Duration // for which peers were not served
	Moved, Drained, Closed int           // sessions
}

// A Tenant holds the counts of one tenant.
type Tenant struct {
	Name     string
	Counts   hub.Counts
	Groups   map[policy.Group]hub.GroupCount
	Commands []hub.CommandStats
	Paused   int // sessions whose reading is paused now
	Latency  histogram.Counts
	Calls    histogram.Counts // decisions by calls of a policy
	Audit    []hub.AuditRow   // of the audit under way

	Users, Entries int    // of presence
	AsideEntries   int    // of standby links
	Log, LogLimit  uint64 // bytes; limit 0: unlimited
	Connections    int    // limit; 0: unlimited
	ProbeSeconds   float64

	Policy, SHA256   string // of the policy in force
	Faults           map[policy.FaultKind]uint64
	Swapped, Refused uint64 // policies that came into force, or were refused
	LoadSeconds      float64
	PolicyRefused    bool               // the policy that the configuration names
	Drift            bool               // the policy in force is not the one that belongs there
	ReleaseShare     [3]float64         // of a release under way: the share of the units as wanted, as it is, and of the affected PDUs; else 0
	Stage            string             // shadow, stage or bake; empty if no release is under way
	ReleasePaused    time.Duration      // how long a release has been paused for now
	Budgets          map[string]float64 // used of allowed, by name; of a release under way
	Weighed          policy.Weighed     // of all releases since the process began
	Releases         map[string]uint64  // that ended, by result
	Killed           bool               // the shipped policy is in force, as an operator asked
	AuditRefused     bool               // the one that it names to be audited
	SignatureUntil   time.Time          // zero: no signature
	Remote           bool               // the policy is fetched from an address
	SourceReached    time.Time          // zero: it was not
	Member           *cluster.Status    // of a cluster; nil: this hub alone serves the tenant
}

// A Listener holds the counts of one listener.
type Listener struct {
	Address          string // as configured
	Counts           admission.Counts
	CertificateUntil time.Time // zero: no certificate

	CertificateRefused  bool // the files that are there now
	CertificateWarnings int  // about those in force
}

// Handler serves the State that read returns, and metrics of the Go runtime and the
// process. It answers maxScrapes scrapes at a time and refuses more.
func Handler(read func() State) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{read},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
		// A metric that fails is counted; the others are served.
		ErrorHandling: promhttp.ContinueOnError,
		Registry:      registry,
	})
}

// maxScrapes is how many scrapes are answered at a time.
const maxScrapes = 4

// A collector is a prometheus.Collector of a State.
type collector struct{ read func() State }

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, f := range families {
		to <- f.desc
	}
}

// Collect implements prometheus.Collector. The State is read once, so that sums add up. Label
// values come from peers and files in part, and are cleaned.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.read()
	emit := func(f *family, value float64, labels ...string) {
		for i, l := range labels {
			labels[i] = clean(l)
		}
		to <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
	}
	s.emit(emit)
	for i := range s.Tenants {
		t := &s.Tenants[i]
		t.emit(emit)
		to <- durations(latency, t.Latency, clean(t.Name))
		to <- durations(decisions, t.Calls, clean(t.Name))
		if t.Member != nil {
			to <- durations(clusterTrip, roundTrips(t.Member.Outbox.Trips), clean(t.Name))
		}
	}
	taken := make(map[string]bool)
	for i := range s.Listeners {
		l := &s.Listeners[i]
		l.Address = unique(l.Address, taken)
		taken[l.Address] = true
		l.emit(emit)
	}
	for i := range s.Others {
		s.Others[i].emitCertificate(emit)
	}
}

// durations returns the histogram of a family.
func durations(f *family, c histogram.Counts, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(c.Buckets))
	for i, n := range c.Buckets {
		buckets[c.Bounds[i].Seconds()] = n
	}
	return prometheus.MustNewConstHistogram(f.desc, c.Count, c.Sum.Seconds(), buckets, labels...)
}

// unique returns the address, or the address with a number if it is taken: several
// listeners may be configured with port 0.
func unique(address string, taken map[string]bool) string {
	name := address
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s#%d", address, n)
	}
	return name
}
