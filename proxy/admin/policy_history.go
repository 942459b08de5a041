package admin

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"switchyard/policy"
	"switchyard/policy/wasm"
	"switchyard/proxy/admin/api"
)

// How many policies are remembered for each tenant, and how many bytes of an error.
const (
	keptPolicies = 50
	keptError    = 8 << 10
)

// A policyEvent is an api.PolicyEvent whose generation may still be in use.
type policyEvent struct {
	api.PolicyEvent
	generation *policy.Generation // whose faults still count; nil once Faults is final
}

// A PolicyHistory remembers each tenant's policies: the one in force, earlier ones, and those
// that were refused. The zero PolicyHistory is ready, and may be used by several goroutines.
type PolicyHistory struct {
	changed notifier

	mu      sync.Mutex // guards what follows
	last    uint64     // id of the last event
	tenants map[string]*tenantHistory
}

// A tenantHistory is one tenant's part of a PolicyHistory.
type tenantHistory struct {
	events  []*policyEvent // the latest last
	reloads Reloads
	faults  map[policy.FaultKind]uint64 // of all events that were frozen
}

// Reloads count how often a tenant's policy was exchanged or refused.
type Reloads struct {
	Swapped, Refused uint64
	LoadSeconds      float64 // that the last load took; 0 if unknown
}

// How the faults of a generation are counted once, although it can be in several events. Here
// generation g is in force, then h, then g again by a rollback, then k:
//
//	event          g        h        g        k
//	counts live    g        h        -        -       before the rollback
//	counts live    kept     h        g        -       the first event keeps what it had
//	counts live    kept     frozen   g        k       h cannot be in use any longer
//
// Batches may hold a generation for a moment after it was replaced, so it is frozen only when the
// next but one comes.

// The methods that record something unlock mu before they wake the streams of events, which lock it.

// InForce records that g is the tenant's policy from now on. Of event, Signature, LoadSeconds
// and Routes are used.
func (p *PolicyHistory) InForce(tenant string, g *policy.Generation, event api.PolicyEvent) {
	e, now := inForceEvent(tenant, g, event)
	p.mu.Lock()
	h := p.of(tenant)
	// The previous generation may still finish its batches; the ones before it cannot be in
	// use, so their faults are final.
	for _, before := range h.events {
		switch {
		case before.State == api.InForce:
			before.State, before.Until = api.Retired, &now
		case before.generation == g: // it is in force again: e counts its faults from now on
			before.Faults, before.generation = byName(faultsOf(g)), nil
		case before.generation != nil:
			h.freeze(before)
		}
	}
	if e.LoadSeconds != nil {
		h.reloads.LoadSeconds = *e.LoadSeconds
	}
	h.reloads.Swapped++
	p.add(h, e)
	p.mu.Unlock()
	p.changed.notify()
}

// inForceEvent completes the event of a generation that is in force from now on.
func inForceEvent(tenant string, g *policy.Generation, event api.PolicyEvent) (e *policyEvent, now time.Time) {
	now = time.Now().UTC()
	event.Tenant, event.State, event.Name, event.SHA256, event.Module, event.Since = tenant, api.InForce, g.Name, g.Sum(), g.SHA256, now
	return &policyEvent{PolicyEvent: event, generation: g}, now
}

// Confirmed records new facts about the tenant's policy in force: that it was signed again, or
// that its file is again the one in force after another was refused. It becomes the latest
// event, and keeps its faults.
func (p *PolicyHistory) Confirmed(tenant string, g *policy.Generation, event api.PolicyEvent) {
	e, now := inForceEvent(tenant, g, event)
	p.mu.Lock()
	h := p.of(tenant)
	for _, before := range h.events {
		if before.State == api.InForce {
			before.State, before.Until = api.Retired, &now
			before.Faults, before.generation = byName(faultsOf(g)), nil // e counts them from now on
		}
	}
	p.add(h, e)
	p.mu.Unlock()
	p.changed.notify()
}

// Refused records that a policy was refused for the tenant. The caller does so once, however often
// it finds the same policy.
func (p *PolicyHistory) Refused(tenant, name, sha256 string, err error) {
	e := &policyEvent{PolicyEvent: api.PolicyEvent{Tenant: tenant, State: api.Refused, Name: name, SHA256: sha256, Since: time.Now().UTC(), Error: err.Error()}}
	if g, ok := errors.AsType[*wasm.GateError](err); ok {
		e.Gate = string(g.Gate)
	}
	if len(e.Error) > keptError {
		e.Error = strings.ToValidUTF8(e.Error[:keptError], "") + "…"
	}
	p.mu.Lock()
	h := p.of(tenant)
	h.reloads.Refused++
	p.add(h, e)
	p.mu.Unlock()
	p.changed.notify()
}

// Removed forgets the tenant, as it is no longer served.
func (p *PolicyHistory) Removed(tenant string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.tenants, tenant)
}

// of returns the history of a tenant, and creates it if necessary. Called under mu.
func (p *PolicyHistory) of(tenant string) *tenantHistory {
	h := p.tenants[tenant]
	if h == nil {
		if p.tenants == nil {
			p.tenants = make(map[string]*tenantHistory)
		}
		h = &tenantHistory{faults: make(map[policy.FaultKind]uint64)}
		p.tenants[tenant] = h
	}
	return h
}

// add appends an event, and drops the oldest one that is not in force if there are too many.
// Called under mu.
func (p *PolicyHistory) add(h *tenantHistory, e *policyEvent) {
	p.last++
	e.ID = p.last
	h.events = append(h.events, e)
	if len(h.events) <= keptPolicies {
		return
	}
	i := slices.IndexFunc(h.events, func(e *policyEvent) bool { return e.State != api.InForce })
	if h.events[i].generation != nil {
		h.freeze(h.events[i])
	}
	h.events = slices.Delete(h.events, i, i+1)
}

// freeze stores the fault counts of a generation that is no longer in use.
func (h *tenantHistory) freeze(e *policyEvent) {
	faults := faultsOf(e.generation)
	e.Faults, e.generation = byName(faults), nil
	for kind, n := range faults {
		h.faults[kind] += n
	}
}

// faultsOf returns how often a generation failed.
func faultsOf(g *policy.Generation) map[policy.FaultKind]uint64 {
	faults := make(map[policy.FaultKind]uint64)
	for _, kind := range policy.FaultKinds {
		if n := g.Faults(kind); n > 0 {
			faults[kind] = n
		}
	}
	return faults
}

// copy returns the event with its faults so far. Called under mu.
func (e *policyEvent) copy() api.PolicyEvent {
	t := e.PolicyEvent
	if e.generation != nil {
		t.Faults = byName(faultsOf(e.generation))
	} else {
		t.Faults = byName(t.Faults) // a copy, and never nil
	}
	return t
}

// History returns what is remembered of a tenant, the latest first.
func (p *PolicyHistory) History(tenant string) []api.PolicyEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	history := []api.PolicyEvent{}
	if h := p.tenants[tenant]; h != nil {
		for _, e := range slices.Backward(h.events) {
			history = append(history, e.copy())
		}
	}
	return history
}

// Counts returns how often the tenant's policy was exchanged and refused, and the faults of
// all its generations.
func (p *PolicyHistory) Counts(tenant string) (Reloads, map[policy.FaultKind]uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.tenants[tenant]
	if h == nil {
		return Reloads{}, nil
	}
	faults := maps.Clone(h.faults)
	for _, e := range h.events {
		if e.generation == nil {
			continue
		}
		for kind, n := range faultsOf(e.generation) {
			faults[kind] += n
		}
	}
	return h.reloads, faults
}

// after returns the events with a higher id, in their order, and the highest id.
func (p *PolicyHistory) after(id uint64) (events []api.PolicyEvent, last uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id == p.last {
		return nil, id
	}
	for _, h := range p.tenants {
		for _, e := range h.events {
			if e.ID > id {
				events = append(events, e.copy())
			}
		}
	}
	slices.SortFunc(events, func(x, y api.PolicyEvent) int { return cmp.Compare(x.ID, y.ID) })
	return events, p.last
}

// policies lists what is remembered of tenants' policies.
func (s *Server) policies(w http.ResponseWriter, r *http.Request) error {
	tenants, err := s.tenantsOf(r)
	if err != nil {
		return err
	}
	all := []api.History{}
	for _, t := range tenants {
		all = append(all, api.History{Tenant: t.Name, History: s.options.History.History(t.Name)})
	}
	return answer(w, http.StatusOK, api.Policies{Policies: all})
}
