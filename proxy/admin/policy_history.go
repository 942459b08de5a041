package admin

import (
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

// What is remembered of each tenant, in policies and in bytes of an error.
const (
	keptPolicies = 50
	keptError    = 8 << 10
)

// A remembered is a policy of the past, or the one in force.
type remembered struct {
	api.PolicyEvent
	generation *policy.Generation // that may still fail; nil if Faults has all
}

// A PolicyHistory remembers the policies of tenants: those in force, before, and refused.
// The zero PolicyHistory is ready, and may be used by several goroutines.
type PolicyHistory struct {
	bell bell

	mu      sync.Mutex // guards the rest
	last    uint64     // id
	tenants map[string]*annals
}

// annals are one tenant's part of a Chronicle.
type annals struct {
	events  []*remembered // the latest last
	reloads Reloads
	faults  map[policy.FaultKind]uint64 // of generations that are forgotten
}

// Reloads are how often a tenant's policy was exchanged, or was not.
type Reloads struct {
	Swapped, Refused uint64
	LoadSeconds      float64 // that the last took; 0 if that is not known
}

// InForce records that g decides for the tenant from now on. Of event, Signature, LoadSeconds
// and Routes are used.
func (c *PolicyHistory) InForce(tenant string, g *policy.Generation, event api.PolicyEvent) {
	now := time.Now().UTC()
	e := &remembered{PolicyEvent: event, generation: g}
	e.Tenant, e.State, e.Name, e.SHA256, e.Since = tenant, api.InForce, g.Name, g.SHA256, now
	c.mu.Lock()
	a := c.of(tenant)
	// The one before may still be asked about what it has begun with, the one before
	// that no more.
	for _, before := range a.events {
		switch {
		case before.State == api.InForce:
			before.State, before.Until = api.Retired, &now
		case before.generation != nil:
			a.settle(before)
		}
	}
	if e.LoadSeconds != nil {
		a.reloads.LoadSeconds = *e.LoadSeconds
	}
	a.reloads.Swapped++
	c.add(a, e)
	c.mu.Unlock()
	c.bell.ring()
}

// Refused tells that a policy was refused for the tenant. The same one again for the
// same reason is counted, and is no new event.
func (c *PolicyHistory) Refused(tenant, name, sha256 string, err error) {
	e := &remembered{PolicyEvent: api.PolicyEvent{Tenant: tenant, State: api.Refused, Name: name, SHA256: sha256, Since: time.Now().UTC(), Error: err.Error()}}
	if g, ok := errors.AsType[*wasm.GateError](err); ok {
		e.Gate = string(g.Gate)
	}
	if len(e.Error) > keptError {
		e.Error = strings.ToValidUTF8(e.Error[:keptError], "") + "…"
	}
	c.mu.Lock()
	a := c.of(tenant)
	a.reloads.Refused++
	before := a.latest()
	known := before != nil && before.State == api.Refused && before.SHA256 == sha256 && before.Error == e.Error
	if !known {
		c.add(a, e)
	}
	c.mu.Unlock()
	if !known {
		c.bell.ring()
	}
}

// Removed tells that the tenant is served no more. What is remembered of it goes.
func (c *PolicyHistory) Removed(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tenants, tenant)
}

// of returns the annals of a tenant. Called under mu.
func (c *PolicyHistory) of(tenant string) *annals {
	a := c.tenants[tenant]
	if a == nil {
		if c.tenants == nil {
			c.tenants = make(map[string]*annals)
		}
		a = &annals{faults: make(map[policy.FaultKind]uint64)}
		c.tenants[tenant] = a
	}
	return a
}

func (a *annals) latest() *remembered {
	if len(a.events) == 0 {
		return nil
	}
	return a.events[len(a.events)-1]
}

// add adds an event. The oldest goes, if it is not what is in force. Called under mu.
func (c *PolicyHistory) add(a *annals, e *remembered) {
	c.last++
	e.ID = c.last
	a.events = append(a.events, e)
	if len(a.events) <= keptPolicies {
		return
	}
	i := slices.IndexFunc(a.events, func(e *remembered) bool { return e.State != api.InForce })
	if a.events[i].generation != nil {
		a.settle(a.events[i])
	}
	a.events = slices.Delete(a.events, i, i+1)
}

// settle takes down how often a generation failed that nobody asks any more.
func (a *annals) settle(e *remembered) {
	faults := faultsOf(e.generation)
	e.Faults, e.generation = byName(faults), nil
	for kind, n := range faults {
		a.faults[kind] += n
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

// told returns the event as it is told now. Called under mu.
func (e *remembered) told() api.PolicyEvent {
	t := e.PolicyEvent
	if e.generation != nil {
		t.Faults = byName(faultsOf(e.generation))
	} else {
		t.Faults = byName(t.Faults) // a copy, and never nil
	}
	return t
}

// History returns what is remembered of a tenant, the latest first.
func (c *PolicyHistory) History(tenant string) []api.PolicyEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	history := []api.PolicyEvent{}
	if a := c.tenants[tenant]; a != nil {
		for _, e := range slices.Backward(a.events) {
			history = append(history, e.told())
		}
	}
	return history
}

// Counts returns how often the tenant's policy was exchanged or refused, and how often
// all its generations failed.
func (c *PolicyHistory) Counts(tenant string) (Reloads, map[policy.FaultKind]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.tenants[tenant]
	if a == nil {
		return Reloads{}, nil
	}
	faults := maps.Clone(a.faults)
	for _, e := range a.events {
		if e.generation == nil {
			continue
		}
		for kind, n := range faultsOf(e.generation) {
			faults[kind] += n
		}
	}
	return a.reloads, faults
}

// after returns the events with a higher id, in their order, and the highest id.
func (c *PolicyHistory) after(id uint64) (events []api.PolicyEvent, last uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == c.last {
		return nil, id
	}
	for _, a := range c.tenants {
		for _, e := range a.events {
			if e.ID > id {
				events = append(events, e.told())
			}
		}
	}
	slices.SortFunc(events, func(x, y api.PolicyEvent) int { return int(int64(x.ID - y.ID)) })
	return events, c.last
}

// policies tells what is remembered of tenants.
func (s *Server) policies(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "tenant")
	if err != nil {
		return err
	}
	tenants, err := s.chosen(q["tenant"])
	if err != nil {
		return err
	}
	all := []api.History{}
	for _, t := range tenants {
		all = append(all, api.History{Tenant: t.Name, History: s.facts.Chronicle.History(t.Name)})
	}
	return answer(w, http.StatusOK, api.Policies{Policies: all})
}
