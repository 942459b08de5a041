package admin

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// probeTime is how long a PDU may take through a tenant's log before it is taken for
// standing still.
const probeTime = 2 * time.Second

var errStill = errors.New("a PDU has not come through its log for 2 seconds")

// Probes are PDUs of the server's own, sent through the logs of tenants. What hangs there
// hangs in one goroutine for each tenant, however often somebody asks. The zero Probes
// is ready, and may be used by several goroutines.
type Probes struct {
	mu      sync.Mutex // guards flights and last
	flights map[string]*flight
	last    map[string]time.Duration
	flying  sync.WaitGroup
}

// A flight is one such PDU under way.
type flight struct {
	begun time.Time
	done  chan struct{} // closed when the rest is set
	took  time.Duration
	err   error
}

// launch sends one through the tenant's log, unless one is under way.
func (p *Probes) launch(t Tenant) *flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.flights[t.Name]; f != nil {
		return f
	}
	if p.flights == nil {
		p.flights, p.last = make(map[string]*flight), make(map[string]time.Duration)
	}
	f := &flight{begun: time.Now(), done: make(chan struct{})}
	p.flights[t.Name] = f
	p.flying.Go(func() {
		f.err = t.Served.Probe()
		f.took = time.Since(f.begun)
		p.mu.Lock()
		delete(p.flights, t.Name)
		p.last[t.Name] = f.took
		p.mu.Unlock()
		close(f.done)
	})
	return f
}

// land waits for a flight until its time is over.
func (f *flight) land() (took time.Duration, err error) {
	timer := time.NewTimer(probeTime - time.Since(f.begun))
	defer timer.Stop()
	select {
	case <-f.done:
		return f.took, f.err
	case <-timer.C:
		return probeTime, errStill
	}
}

// probe sends one through the log of every tenant, and returns what came of each.
func (p *Probes) probe(tenants []Tenant) (took []time.Duration, errs []error) {
	flights := make([]*flight, len(tenants))
	for i, t := range tenants {
		flights[i] = p.launch(t)
	}
	for _, f := range flights {
		d, err := f.land()
		took, errs = append(took, d), append(errs, err)
	}
	return took, errs
}

// Alive sends one through the log of every tenant, and returns an error about those
// where it does not come through in 2 seconds.
func (p *Probes) Alive(tenants []Tenant) error {
	_, errs := p.probe(tenants)
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("tenant %s: %w", tenants[i].Name, err)
		}
	}
	return errors.Join(errs...)
}

// Last returns how long the last one took through the log of that tenant, or the one
// that is under way takes by now; zero if there was none.
func (p *Probes) Last(tenant string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.last[tenant]
	if f := p.flights[tenant]; f != nil {
		took = max(took, time.Since(f.begun))
	}
	return took
}

// wait waits for those under way, for that time at most.
func (p *Probes) wait(most time.Duration) {
	p.mu.Lock()
	var under []*flight
	for _, f := range p.flights {
		under = append(under, f)
	}
	p.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	for _, f := range under {
		select {
		case <-f.done:
		case <-timer.C:
			return
		}
	}
	if len(under) == 0 {
		p.flying.Wait()
	}
}
