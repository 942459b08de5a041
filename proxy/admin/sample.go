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
	// sampleEvery is how often counts are compared while somebody looks on, and
	// seldom when nobody has asked for wantedTime.
	sampleEvery = time.Second
	seldom      = 10
	wantedTime  = time.Minute
	// keptProbes is how many probes the latency is made of.
	keptProbes = 600
)

// A sampler compares counts with those before, which makes rates.
type sampler struct {
	facts  Facts
	wanted atomic.Int64 // until when somebody wants fresh rates, in Unix nanoseconds

	mu      sync.Mutex // guards the rest
	tenants map[string]*sample
	took    []time.Duration // of the last probes, of all tenants
	next    int             // of them, which is the oldest
}

// A sample is what one tenant had counted at one time, and how fast that grew.
type sample struct {
	hub      *hub.Hub // another one is another tenant of the same name
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

func (a amounts) since(before amounts, seconds float64) api.Rates {
	per := func(now, before uint64) float64 { return float64(now-before) / seconds }
	return api.Rates{PDUsIn: per(a.pdusIn, before.pdusIn), BytesIn: per(a.bytesIn, before.bytesIn),
		PDUsOut: per(a.pdusOut, before.pdusOut), BytesOut: per(a.bytesOut, before.bytesOut)}
}

func (s *sampler) init(facts Facts) {
	s.facts = facts
	s.tenants = make(map[string]*sample)
}

// want has rates be fresh from now on.
func (s *sampler) want() { s.wanted.Store(time.Now().Add(wantedTime).UnixNano()) }

// sampleLoop takes samples, and tells those who look on.
func (s *Server) sampleLoop(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		if len(s.streams) > 0 {
			s.sampler.want()
		}
		if n%seldom == 0 || time.Now().UnixNano() < s.sampler.wanted.Load() {
			s.sampler.take()
		}
		s.refused.Flush(func(kind string, n int) { s.log.Warn("admin refused more", "kind", kind, "times", n) })
		s.tell()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// take takes a sample of every tenant.
func (s *sampler) take() {
	tenants := s.facts.Tenants()
	took, errs := s.facts.Probes.probe(tenants)
	fresh := make(map[string]*sample, len(tenants))
	for i, t := range tenants {
		now := newSample(t.Hub())
		s.mu.Lock()
		now.compare(s.tenants[t.Name])
		s.mu.Unlock()
		if errs[i] == nil {
			seconds := took[i].Seconds()
			now.probe = &seconds
		}
		fresh[t.Name] = now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenants = fresh
	for _, d := range took {
		if len(s.took) < keptProbes {
			s.took = append(s.took, d)
			continue
		}
		s.took[s.next] = d
		s.next = (s.next + 1) % keptProbes
	}
}

func newSample(h *hub.Hub) *sample {
	s := &sample{hub: h, at: time.Now(), sessions: make(map[uint64]amounts), commands: make(map[pdu.CommandID]uint64)}
	c := h.Counts()
	s.counts = amounts{c.Received, c.BytesIn, c.Delivered, c.BytesOut}
	for _, session := range h.Sessions(nil) {
		s.sessions[session.Number] = amounts{session.PDUsIn, session.BytesIn, session.PDUsOut, session.BytesOut}
	}
	for _, said := range h.CommandStats() {
		s.commands[said.Command] = said.PDUs
	}
	return s
}

// compare works out the rates since the sample before, which may be nil.
func (s *sample) compare(before *sample) {
	s.sessionRates, s.commandRates = make(map[uint64]api.Rates), make(map[pdu.CommandID]float64)
	if before == nil || before.hub != s.hub {
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

// of returns the last sample of a tenant, which nobody changes; an empty one if there
// is none.
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
	took := slices.Clone(s.took)
	s.mu.Unlock()
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	at := func(part float64) float64 { return took[min(len(took)-1, int(part*float64(len(took))))].Seconds() }
	return &api.Latency{P50: at(0.5), P99: at(0.99), Max: at(1)}
}
