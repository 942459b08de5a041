package history

import "slices"

// A State is the result of all entries, by tenant.
type State map[string]*Tenant

// A Tenant is the result of a tenant's entries.
type Tenant struct {
	InForce  *Policy   `json:"in_force"`
	Previous []Policy  `json:"previous,omitempty"` // policies that were in force before, the latest last; a rollback goes to the last
	Held     []Policy  `json:"held,omitempty"`     // policies that were rolled back and are skipped
	Killed   bool      `json:"killed,omitempty"`   // the shipped policy is in force instead of InForce
	Returned bool      `json:"returned,omitempty"` // InForce is in force again because a later policy was rolled back
	Lost     bool      `json:"lost,omitempty"`     // InForce is in force because the policy before it was lost
	Release  uint64    `json:"release,omitempty"`  // the number of the last release that ended
	Underway *Underway `json:"underway,omitempty"` // the active release; nil if there is none
}

// An Underway is an active release.
type Underway struct {
	Release   uint64 `json:"release"`
	Candidate Policy `json:"candidate"`
	Progress
}

// Holds reports whether the policy was rolled back and is skipped.
func (t *Tenant) Holds(p *Policy) bool {
	return slices.ContainsFunc(t.Held, func(h Policy) bool { return h.Same(p) })
}

// of returns a copy of a tenant's state; the state of an unknown tenant is empty.
func (s State) of(tenant string) Tenant {
	t := s[tenant]
	if t == nil {
		return Tenant{}
	}
	return Tenant{t.InForce, slices.Clone(t.Previous), slices.Clone(t.Held), t.Killed, t.Returned, t.Lost, t.Release, t.Underway}
}

// clone returns a deep copy.
func (s State) clone() State {
	c := make(State, len(s))
	for name := range s {
		t := s.of(name)
		c[name] = &t
	}
	return c
}

// apply updates the state by an entry. keep is how many policies are kept for each tenant.
func (s State) apply(e *Entry, keep int) {
	if e.Tenant == "" {
		return
	}
	t := s[e.Tenant]
	if t == nil {
		t = new(Tenant)
		s[e.Tenant] = t
	}
	if e.Kind.ends() {
		t.Release, t.Underway = e.ID(), nil
	}
	switch e.Kind {
	case Initial, AtOnce, Done:
		t.Returned = t.Returned && e.To.Same(t.InForce) // with other may settings
		t.advance(e.To, keep)
		t.Lost = e.Lost
	case RolledBack:
		t.back(e.To)
		t.Returned, t.Lost = true, false
	case Begin:
		t.Underway = &Underway{e.Number, *e.To, *e.Stage}
	case Stage, Pause, Resume:
		if t.Underway != nil && e.Stage != nil {
			t.Underway = &Underway{t.Underway.Release, t.Underway.Candidate, *e.Stage}
		}
	case Kill:
		t.Killed = true
	case Revive:
		t.Killed = false
	case Retry:
		t.Held, t.Lost = nil, false
	}
	if e.Held != nil && !t.Holds(e.Held) {
		t.Held = append(t.Held, *e.Held)
		t.Held = t.Held[max(0, len(t.Held)-keep):]
	}
}

// How the lists change, with policies a, b and c and at most three kept:
//
//	entry                in force   previous   held
//	initial a            a
//	at-once b            b          a
//	at-once c            c          a b
//	rolled-back to b     b          a          c      it is skipped until a retry
//	rolled-back to a     a                     c b
//	at-once c            c          a          b      what is in force is not held
//
// A rollback removes its target and all later policies from the list, so that a second
// rollback goes one policy further back instead of alternating between two.

// advance puts a policy in force and keeps the previous one for a rollback.
func (t *Tenant) advance(to *Policy, keep int) {
	if to == nil {
		return
	}
	same := func(p Policy) bool { return p.Same(to) }
	t.Previous, t.Held = slices.DeleteFunc(t.Previous, same), slices.DeleteFunc(t.Held, same)
	if before := t.InForce; before != nil && !before.Same(to) {
		t.Previous = append(t.Previous, *before)
	}
	t.Previous = t.Previous[max(0, len(t.Previous)-keep+1):]
	t.InForce = to
}

// back puts an earlier policy in force again: a further rollback goes to those before it.
func (t *Tenant) back(to *Policy) {
	if to == nil {
		return
	}
	same := func(p Policy) bool { return p.Same(to) }
	if i := slices.IndexFunc(t.Previous, same); i >= 0 {
		t.Previous = t.Previous[:i]
	}
	t.Held = slices.DeleteFunc(t.Held, same)
	t.InForce = to
}

// sums returns the sums of all files that the state refers to.
func (s State) sums() map[string]bool {
	used := make(map[string]bool)
	note := func(p *Policy) {
		used[p.SHA256], used[p.Config], used[p.Signature] = true, true, true
	}
	for _, t := range s {
		if t.InForce != nil {
			note(t.InForce)
		}
		for i := range t.Previous {
			note(&t.Previous[i])
		}
		for i := range t.Held {
			note(&t.Held[i])
		}
		if t.Underway != nil {
			note(&t.Underway.Candidate)
		}
	}
	return used
}
