package admin

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"

	"switchyard/proxy/admin/api"
	"switchyard/proxy/hub"
)

// The last hour is kept in series of points: one of each tenant, and one of all tenants together.
// Points are added every idleEvery seconds, whether anybody watches or not:
//
//	counts of a tenant at 10:00:00    12,000 PDUs
//	counts of a tenant at 10:00:10    16,500 PDUs    a point of 450 PDUs/s
//
// A series takes keptPoints times 64 bytes, 23 KiB. It begins when the server or the tenant does, and
// continues in the process that takes over in an upgrade.

// keptPoints is how many points a series holds: an hour of them.
const keptPoints = int(time.Hour / (idleEvery * sampleEvery))

// A point is what a chart shows of one moment. Values that are not known are negative.
type point struct {
	at             time.Time
	rates          [4]float32 // PDUs in, bytes in, PDUs out, bytes out
	lag            uint64
	p50, p99, most float32 // seconds; of a tenant, the last probe is p50
}

// A series is the last points of a tenant, or of all.
type series struct {
	hub    *hub.Hub // of the tenant; nil until the first sample if the series is from another process
	before amounts  // counts at the last point
	points []point  // at most keptPoints, the earliest first
}

func (s *series) add(p point) {
	if s.points == nil {
		s.points = make([]point, 0, keptPoints)
	}
	if len(s.points) == keptPoints {
		s.points = slices.Delete(s.points, 0, 1)
	}
	s.points = append(s.points, p)
}

// A lastHour keeps the series. The zero lastHour is ready.
type lastHour struct {
	mu      sync.Mutex // guards what follows
	tenants map[string]*series
	sum     series
	last    time.Time // of the last points
}

// add adds a point to each series, from samples that were just taken. The first sample of a series
// gives no point, as there is nothing to compare it with. A series ends with its tenant: one of the
// same name that was added again has another hub, and begins a series of its own. A series that another
// process has begun has no hub yet, and continues with the tenant's first sample here.
func (l *lastHour) add(now time.Time, tenants []Tenant, samplesOf func(Tenant) *sample, latency *api.Latency) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seconds := now.Sub(l.last).Seconds()
	isFirst := l.last.IsZero() || seconds <= 0 // the clock of another process may have been ahead
	l.last = now
	kept := make(map[string]*series, len(tenants))
	sum := point{at: now, p50: -1, p99: -1, most: -1}
	for _, t := range tenants {
		s, r := samplesOf(t), l.tenants[t.Name]
		switch {
		case s.hub == nil: // the tenant was added since the samples were taken
			continue
		case r == nil || r.hub != nil && r.hub != s.hub:
			r = &series{}
		case !isFirst:
			p := point{at: now, rates: float32s(s.counts.since(r.before, seconds)), lag: s.hub.Counts().Lag, p50: -1, p99: -1, most: -1}
			if s.probe != nil {
				p.p50 = float32(*s.probe)
			}
			r.add(p)
			sum.include(p)
		}
		r.hub, r.before = s.hub, s.counts
		kept[t.Name] = r
	}
	l.tenants = kept
	if latency != nil {
		sum.p50, sum.p99, sum.most = float32(latency.P50), float32(latency.P99), float32(latency.Max)
	}
	if !isFirst {
		l.sum.add(sum)
	}
}

// include adds a tenant's rates to those of all.
func (p *point) include(o point) {
	for i := range p.rates {
		p.rates[i] += o.rates[i]
	}
	p.lag = max(p.lag, o.lag)
}

func float32s(r api.Rates) [4]float32 {
	return [4]float32{float32(r.PDUsIn), float32(r.BytesIn), float32(r.PDUsOut), float32(r.BytesOut)}
}

// of returns the points of a tenant, or of all tenants if the name is empty; none if there is no such
// tenant.
func (l *lastHour) of(tenant string) []point {
	l.mu.Lock()
	defer l.mu.Unlock()
	if tenant == "" {
		return slices.Clone(l.sum.points)
	}
	if r := l.tenants[tenant]; r != nil {
		return slices.Clone(r.points)
	}
	return nil
}

// lastHourOf answers with the last hour of a tenant, or of all together if none is named.
func (s *Server) lastHourOf(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, nil, "tenant")
	if err != nil {
		return err
	}
	name, err := s.tenantOrAll(q)
	if err != nil {
		return err
	}
	a := api.LastHour{Tenant: name, EverySeconds: (idleEvery * sampleEvery).Seconds(), Samples: []api.Sample{}}
	for _, p := range s.hour.of(name) {
		a.Samples = append(a.Samples, p.sample(name != ""))
	}
	a.Since = time.Now().UTC()
	if len(a.Samples) > 0 {
		a.Since = a.Samples[0].Time
	}
	a.Marks = s.marks(name, time.Now().Add(-time.Hour))
	return answer(w, http.StatusOK, a)
}

// sample returns the point as JSON has it.
func (p point) sample(ofTenant bool) api.Sample {
	a := api.Sample{Time: p.at.UTC(), Lag: p.lag,
		Rates: api.Rates{PDUsIn: float64(p.rates[0]), BytesIn: float64(p.rates[1]), PDUsOut: float64(p.rates[2]), BytesOut: float64(p.rates[3])}}
	switch seconds := float64(p.p50); {
	case p.p50 < 0:
	case ofTenant:
		a.ProbeSeconds = &seconds
	default:
		a.Latency = &api.Latency{P50: seconds, P99: float64(p.p99), Max: float64(p.most)}
	}
	return a
}

// marks returns what happened since then to a tenant, or to any if the name is empty, and to the
// server. It puts three sources together: the server's own marks, the policies that this process has
// seen come into force or be refused, and the steps of releases in the history.
func (s *Server) marks(tenant string, since time.Time) []api.Mark {
	marks := []api.Mark{}
	add := func(m api.Mark) {
		if m.Time.After(since) {
			marks = append(marks, m)
		}
	}
	state := s.backend.State()
	for _, m := range state.Marks {
		add(m)
	}
	for _, t := range state.Tenants {
		if tenant != "" && t.Name != tenant {
			continue
		}
		for _, e := range s.options.History.History(t.Name) {
			kind, text := api.MarkPolicy, "policy "+e.Name+" in force"
			if e.State == api.Refused {
				kind, text = api.MarkRefused, "policy "+e.Name+" refused"
			}
			add(api.Mark{Time: e.Since, Kind: kind, Tenant: t.Name, Text: text})
		}
	}
	for _, e := range s.options.Records.Recent(tenant, maxEntries) {
		if isStep(EntryOf(&e)) {
			add(api.Mark{Time: e.Time.UTC(), Kind: api.MarkRelease, Tenant: e.Tenant, Text: "release: " + string(e.Kind)})
		}
	}
	slices.SortStableFunc(marks, func(a, b api.Mark) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Tenant, b.Tenant)) })
	return marks
}

// isStep reports whether an entry of the history is a step of a release, or an operator's doing.
// The others are about policies that came into force at once, or were refused: PolicyHistory has
// those.
func isStep(e api.HistoryEntry) bool {
	switch e.Kind {
	case "initial", "at-once", "refused":
		return false
	}
	return e.Tenant != ""
}
