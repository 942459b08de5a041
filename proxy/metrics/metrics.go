// Package metrics tells Prometheus what was counted. It counts nothing itself and asks
// nobody but who hands it the counts, once for each scrape, so that what is on the path
// of a PDU are plain additions elsewhere.
//
// Names begin with switchyard_, units are seconds and bytes. Labels are tenant,
// listener, command, action, reason and kind, none of which a peer can make up: a
// command that the protocol does not have is "other". Nothing is told by connection or
// user.
package metrics

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"switchyard/policy"
	"switchyard/proxy/admission"
	"switchyard/proxy/hub"
)

// A State is what was counted, at one moment.
type State struct {
	Build     Build
	Reloads   Reloads
	Draining  bool
	Tenants   []Tenant
	Listeners []Listener
}

// A Build is what runs.
type Build struct{ Version, Revision, Go, Wazero string }

// Reloads are those of the configuration.
type Reloads struct {
	Done, Refused uint64
	LastRefused   bool      // the last one was
	LastDone      time.Time // or the start
}

// A Tenant is one that is served.
type Tenant struct {
	Name   string
	Counts hub.Counts
	Said   []hub.CommandStats
	Paused int // sessions that are not read from now

	Users, Entries int    // of presence
	Log, LogLimit  uint64 // bytes; a limit of 0 is none
	Connections    int    // that there may be; 0 is any number
	ProbeSeconds   float64

	Policy, SHA256   string // in force
	Faults           map[policy.FaultKind]uint64
	Swapped, Refused uint64 // policies
	LoadSeconds      float64
	SignatureUntil   time.Time // or zero
}

// A Listener is an address at which peers connect.
type Listener struct {
	Address          string // in the configuration
	Counts           admission.Counts
	CertificateUntil time.Time // or zero
}

// Names returns the names of all metrics that are of Switchyard's own, to check what
// uses them.
func Names() []string {
	var all []string
	for _, f := range families {
		all = append(all, f.name)
	}
	return all
}

// Handler answers Prometheus with what read returns, and with what Go and the system
// say of the process. Of scrapes at the same time, a few are answered.
func Handler(read func() State) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{read},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
		// What cannot be told does not keep the rest from being told, and is counted.
		ErrorHandling: promhttp.ContinueOnError,
		Registry:      registry,
	})
}

// maxScrapes is how many scrapes are answered at a time.
const maxScrapes = 4

// A collector tells a State.
type collector struct{ read func() State }

func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, f := range families {
		to <- f.desc
	}
}

func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.read()
	tell := func(f *family, value float64, labels ...string) {
		for i, l := range labels {
			labels[i] = clean(l)
		}
		to <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
	}
	s.tell(tell)
	for i := range s.Tenants {
		s.Tenants[i].tell(tell)
	}
	told := make(map[string]bool)
	for i := range s.Listeners {
		l := &s.Listeners[i]
		l.Address = unlike(l.Address, told)
		told[l.Address] = true
		l.tell(tell)
	}
}

// unlike returns an address that is none of those told, as several listeners may be
// configured with port 0: the address, or the address with a number behind.
func unlike(address string, told map[string]bool) string {
	name := address
	for n := 2; told[name]; n++ {
		name = fmt.Sprintf("%s#%d", address, n)
	}
	return name
}
