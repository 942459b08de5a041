package admin

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/hub"
)

const (
	// A sample is taken every second for freshTime after the start and after a client asked for
	// rates, and otherwise every idleEvery seconds.
	sampleEvery = time.Second
	idleEvery   = 10
	freshTime   = time.Minute
	// keptProbes is how many probes the latency is computed from.
	keptProbes = 600
)

// A rate is the difference of two counts, divided by the time between them. While a client watches,
// that is about a second:
//
//	sample at 10.000 s   12,000 PDUs
//	sample at 11.002 s   12,451 PDUs    451 / 1.002 s = 450 PDUs/s, shown until the next sample
//
// After a minute without a request or a start, samples are taken every ten seconds, so that the next client
// gets rates that are at most ten seconds old.

// A sampler computes rates from the differences of counts. The zero sampler is ready.
type sampler struct {
	freshUntil atomic.Int64 // when rates are no longer wanted fresh, in Unix nanoseconds

	mu      sync.Mutex         // guards what follows
	tenants map[string]*sample // the last sample, by tenant
	probes  []time.Duration    // that the last probes took, of all tenants
}

// A sample is a tenant's counts at one time, and their rates since the sample before. It is
// not changed once it is in sampler.tenants.
type sample struct {
	hub      *hub.Hub // differs for a new tenant of the same name
	at       time.Time
	counts   amounts
	sessions map[uint64]amounts
	commands map[pdu.CommandID]uint64

	rates        api.Rates
	sessionRates map[uint64]api.Rates
	commandRates map[pdu.CommandID]float64
	probe        *float64 // seconds
}

// amounts are PDUs and bytes so far.
type amounts struct{ pdusIn, bytesIn, pdusOut, bytesOut uint64 }

// since returns the rates between two samples that are that many seconds apart.
func (a amounts) since(before amounts, seconds float64) api.Rates {
	per := func(now, before uint64) float64 { return float64(now-before) / seconds }
	return api.Rates{PDUsIn: per(a.pdusIn, before.pdusIn), BytesIn: per(a.bytesIn, before.bytesIn),
		PDUsOut: per(a.pdusOut, before.pdusOut), BytesOut: per(a.bytesOut, before.bytesOut)}
}

// keepFresh has samples taken every second for the next freshTime.
func (s *sampler) keepFresh() { s.freshUntil.Store(time.Now().Add(freshTime).UnixNano()) }

// sampleLoop takes samples and publishes snapshots until ctx is done. It is the one goroutine that looks
// at the clock here, so it also adds to the last hour, and lets lines of the log through again.
func (s *Server) sampleLoop(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	s.sampler.keepFresh() // whoever asks after the start finds rates
	for n := 0; ; n++ {
		if len(s.streams) > 0 {
			s.sampler.keepFresh()
		}
		if n%idleEvery == 0 || time.Now().UnixNano() < s.sampler.freshUntil.Load() {
			s.takeSamples()
		}
		if n%idleEvery == 0 {
			s.hour.add(time.Now(), s.backend.State().Tenants, s.sampler.of, s.sampler.latency())
		}
		s.flushFew()
		s.publishSnapshot()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.flushFew()
			return
		}
	}
}

// takeSamples takes a sample of every tenant, and probes it.
func (s *Server) takeSamples() {
	tenants := s.backend.State().Tenants
	took, errs := s.options.Probes.probeAll(tenants)
	fresh := make(map[string]*sample, len(tenants))
	for i, t := range tenants {
		now := newSample(t.Hub())
		now.compare(s.sampler.of(t))
		if errs[i] == nil {
			seconds := took[i].Seconds()
			now.probe = &seconds
		}
		fresh[t.Name] = now
	}
	s.sampler.put(fresh, took)
}

// put replaces the samples, and remembers what the probes took.
func (s *sampler) put(fresh map[string]*sample, took []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenants = fresh
	s.probes = append(s.probes, took...)
	s.probes = s.probes[max(0, len(s.probes)-keptProbes):]
}

// newSample takes the counts of a hub. The parts are read one after the other, so they can differ
// by what was counted meanwhile.
func newSample(h *hub.Hub) *sample {
	s := &sample{hub: h, at: time.Now(), sessions: make(map[uint64]amounts), commands: make(map[pdu.CommandID]uint64)}
	c := h.Counts()
	s.counts = amounts{c.Received, c.BytesIn, c.Delivered, c.BytesOut}
	for _, session := range h.Sessions(nil) {
		s.sessions[session.Number] = amounts{session.PDUsIn, session.BytesIn, session.PDUsOut, session.BytesOut}
	}
	for _, c := range append(h.CommandStats(), h.UnknownStats()...) {
		s.commands[c.Command] = c.PDUs
	}
	return s
}

// compare computes the rates since the sample before, which may be empty or of another hub.
func (s *sample) compare(before *sample) {
	s.sessionRates, s.commandRates = make(map[uint64]api.Rates), make(map[pdu.CommandID]float64)
	if before.hub != s.hub {
		return
	}
	seconds := s.at.Sub(before.at).Seconds()
	if seconds <= 0 {
		return
	}
	s.rates = s.counts.since(before.counts, seconds)
	for session, now := range s.sessions {
		if r := now.since(before.sessions[session], seconds); r != (api.Rates{}) {
			s.sessionRates[session] = r
		}
	}
	for command, now := range s.commands {
		if n := now - before.commands[command]; n > 0 {
			s.commandRates[command] = float64(n) / seconds
		}
	}
}

// of returns the last sample of a tenant; an empty one if there is none.
func (s *sampler) of(t Tenant) *sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.tenants[t.Name]; found != nil && found.hub == t.Hub() {
		return found
	}
	return &sample{}
}

// latency returns how long the last probes took, or nil if there were none.
func (s *sampler) latency() *api.Latency {
	s.mu.Lock()
	took := slices.Clone(s.probes)
	s.mu.Unlock()
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	at := func(part float64) float64 { return took[min(len(took)-1, int(part*float64(len(took))))].Seconds() }
	return &api.Latency{P50: at(0.5), P99: at(0.99), Max: at(1)}
}
