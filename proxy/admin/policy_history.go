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
)

// What is remembered of each tenant, in policies and in bytes of an error.
const (
	keptPolicies = 50
	keptError    = 8 << 10
)

// A PolicyEvent is one policy that was in force, or that was refused.
type PolicyEvent struct {
	ID          uint64                      `json:"id"`
	Tenant      string                      `json:"tenant"`
	State       string                      `json:"state"`
	Name        string                      `json:"name"`
	SHA256      string                      `json:"sha256"`
	Signature   *Signature                  `json:"signature"`
	Since       time.Time                   `json:"since"`
	Until       *time.Time                  `json:"until"`
	Gate        string                      `json:"gate"`
	Error       string                      `json:"error"`
	Faults      map[policy.FaultKind]uint64 `json:"faults"`
	LoadSeconds *float64                    `json:"load_seconds"`
	Routes      string                      `json:"routes"`

	generation *policy.Generation // that may still fail; nil if Faults has all
}

// A Signature is who vouched for a policy.
type Signature struct {
	Version uint64     `json:"version"`
	Signers []string   `json:"signers"`
	Expires *time.Time `json:"expires"`
}

// What became of a policy.
const (
	inForce = "in-force"
	retired = "retired"
	refused = "refused"
)

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
	events  []*PolicyEvent // the latest last
	reloads Reloads
	faults  map[policy.FaultKind]uint64 // of generations that are forgotten
}

// Reloads are how often a tenant's policy was exchanged, or was not.
type Reloads struct {
	Swapped, Refused uint64
	LoadSeconds      float64 // that the last took; 0 if that is not known
}

// InForce tells that g decides for the tenant from now on. Of e, Signature, LoadSeconds
// and Routes are looked at.
func (c *PolicyHistory) InForce(tenant string, g *policy.Generation, e PolicyEvent) {
	now := time.Now().UTC()
	e.Tenant, e.State, e.Name, e.SHA256, e.Since, e.generation = tenant, inForce, g.Name, g.SHA256, now, g
	c.mu.Lock()
	a := c.of(tenant)
	// The one before may still be asked about what it has begun with, the one before
	// that no more.
	for _, before := range a.events {
		switch {
		case before.State == inForce:
			before.State, before.Until = retired, &now
		case before.generation != nil:
			a.settle(before)
		}
	}
	if e.LoadSeconds != nil {
		a.reloads.LoadSeconds = *e.LoadSeconds
	}
	a.reloads.Swapped++
	c.add(a, &e)
	c.mu.Unlock()
	c.bell.ring()
}

// Refused tells that a policy was refused for the tenant. The same one again for the
// same reason is counted, and is no new event.
func (c *PolicyHistory) Refused(tenant, name, sha256 string, err error) {
	e := &PolicyEvent{Tenant: tenant, State: refused, Name: name, SHA256: sha256, Since: time.Now().UTC(), Error: err.Error()}
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
	known := before != nil && before.State == refused && before.SHA256 == sha256 && before.Error == e.Error
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

func (a *annals) latest() *PolicyEvent {
	if len(a.events) == 0 {
		return nil
	}
	return a.events[len(a.events)-1]
}

// add adds an event. The oldest goes, if it is not what is in force. Called under mu.
func (c *PolicyHistory) add(a *annals, e *PolicyEvent) {
	c.last++
	e.ID = c.last
	a.events = append(a.events, e)
	if len(a.events) <= keptPolicies {
		return
	}
	i := slices.IndexFunc(a.events, func(e *PolicyEvent) bool { return e.State != inForce })
	if a.events[i].generation != nil {
		a.settle(a.events[i])
	}
	a.events = slices.Delete(a.events, i, i+1)
}

// settle takes down how often a generation failed that nobody asks any more.
func (a *annals) settle(e *PolicyEvent) {
	e.Faults = faultsOf(e.generation)
	e.generation = nil
	for kind, n := range e.Faults {
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
func (e *PolicyEvent) told() PolicyEvent {
	t := *e
	if t.generation != nil {
		t.Faults = faultsOf(t.generation)
	} else {
		t.Faults = maps.Clone(t.Faults)
	}
	if t.Faults == nil {
		t.Faults = map[policy.FaultKind]uint64{}
	}
	return t
}

// History returns what is remembered of a tenant, the latest first.
func (c *PolicyHistory) History(tenant string) []PolicyEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	history := []PolicyEvent{}
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
func (c *PolicyHistory) after(id uint64) (events []PolicyEvent, last uint64) {
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
	slices.SortFunc(events, func(x, y PolicyEvent) int { return int(int64(x.ID - y.ID)) })
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
	type history struct {
		Tenant  string        `json:"tenant"`
		History []PolicyEvent `json:"history"`
	}
	all := []history{}
	for _, t := range tenants {
		all = append(all, history{t.Name, s.facts.Chronicle.History(t.Name)})
	}
	return answer(w, http.StatusOK, map[string]any{"policies": all})
}
