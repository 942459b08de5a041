package admin

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// probeTime is how long a probe may take before the tenant's log counts as stalled.
const probeTime = 2 * time.Second

var errStalled = errors.New("it has not routed a PDU of the server's own within 2 seconds; its peers get nothing, so restart the server if that lasts")

// Probes sends PDUs of the server's own through the logs of tenants, to see that they still
// move. At most one probe per tenant is in flight: if a log stalls, callers wait for the same
// probe, so that one goroutine hangs and not one for each call. The zero Probes is ready, and
// may be used by several goroutines.
type Probes struct {
	mu       sync.Mutex               // guards what follows
	inflight map[string]*probe        // by tenant
	last     map[string]time.Duration // that the last finished probe took, by tenant

	running sync.WaitGroup // the goroutines of start
}

// A probe and its callers, where a tenant's log stalls:
//
//	0.0 s  /livez     start: sends the probe, a goroutine waits in Served.Probe
//	2.0 s             answers 503; the probe is still in flight
//	2.5 s  /livez     start: returns the same probe; wait ends at once, as its 2 s are over
//	3.1 s             the log moves again: the probe is done, and the goroutine ends

// A probe is one PDU in flight.
type probe struct {
	begun time.Time
	done  chan struct{} // closed when took and err are set
	took  time.Duration
	err   error
}

// start sends a probe through the tenant's log, or returns the one that is in flight.
func (p *Probes) start(t Tenant) *probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.inflight[t.Name]; f != nil {
		return f
	}
	if p.inflight == nil {
		p.inflight, p.last = make(map[string]*probe), make(map[string]time.Duration)
	}
	f := &probe{begun: time.Now(), done: make(chan struct{})}
	p.inflight[t.Name] = f
	p.running.Go(func() {
		f.err = t.Served.Probe()
		f.took = time.Since(f.begun)
		p.mu.Lock()
		delete(p.inflight, t.Name)
		p.last[t.Name] = f.took
		p.mu.Unlock()
		close(f.done)
	})
	return f
}

// wait waits until the probe is done, or probeTime after its start.
func (f *probe) wait() (took time.Duration, err error) {
	timer := time.NewTimer(probeTime - time.Since(f.begun))
	defer timer.Stop()
	select {
	case <-f.done:
		return f.took, f.err
	case <-timer.C:
		return probeTime, errStalled
	}
}

// probeAll probes all tenants at once, and returns the result of each.
func (p *Probes) probeAll(tenants []Tenant) (took []time.Duration, errs []error) {
	probes := make([]*probe, len(tenants))
	for i, t := range tenants {
		probes[i] = p.start(t)
	}
	for _, f := range probes {
		d, err := f.wait()
		took, errs = append(took, d), append(errs, err)
	}
	return took, errs
}

// Alive probes all tenants, and returns an error about those whose probe does not come
// through within 2 seconds.
func (p *Probes) Alive(tenants []Tenant) error {
	_, errs := p.probeAll(tenants)
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("tenant %s: %w", tenants[i].Name, err)
		}
	}
	return errors.Join(errs...)
}

// Last returns how long the tenant's last probe took, or how long the one in flight has taken
// so far if that is more; zero if there was none.
func (p *Probes) Last(tenant string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.last[tenant]
	if f := p.inflight[tenant]; f != nil {
		took = max(took, time.Since(f.begun))
	}
	return took
}

// waitAll waits until no probe is in flight, for at most that time.
func (p *Probes) waitAll(most time.Duration) {
	p.mu.Lock()
	var probes []*probe
	for _, f := range p.inflight {
		probes = append(probes, f)
	}
	p.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	for _, f := range probes {
		select {
		case <-f.done:
		case <-timer.C:
			return
		}
	}
	if len(probes) == 0 {
		p.running.Wait()
	}
}
