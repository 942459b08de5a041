package policy

import (
	"sync"
	"sync/atomic"
)

// An Active holds the generation in force for one tenant and replaces it as a whole: a
// batch that is being judged keeps the generation that it began with.
type Active struct {
	current atomic.Pointer[Generation]

	replacing sync.Mutex  // held while current is replaced; guards what follows
	audited   *Generation // nil if no policy is audited
	tally     *Tally      // of the audit
}

const (
	auditQuota = 20_000_000 // fuel that an audited policy may use in a second: a few percent of a core
	auditByIDs = 200_000    // fuel charged for each classification that the memo cannot hold
)

// NewActive puts g in force.
func NewActive(g *Generation) *Active {
	a := new(Active)
	a.current.Store(g)
	return a
}

// Acquire returns the generation in force. The caller may use it until its Release, also
// if another one is installed meanwhile.
func (a *Active) Acquire() *Generation {
	for {
		if g := a.current.Load(); g.Acquire() {
			return g
		}
		// It was retired between the two steps, so its successor is already stored.
	}
}

// TryAcquire is Acquire for callers that may come after Close: it then returns nil.
func (a *Active) TryAcquire() *Generation {
	for {
		g := a.current.Load()
		if g.Acquire() {
			return g
		}
		if a.current.Load() == g { // a successor would already be stored, so Close retired it
			return nil
		}
	}
}

// Install puts g in force for every later Acquire. The previous generation is closed
// when its last user releases it.
func (a *Active) Install(g *Generation) {
	a.replacing.Lock()
	defer a.replacing.Unlock()
	a.install(g)
}

// install is Install under replacing. An audited policy is compared with g in a shadow that
// never ends, unless g is a stage, which compares two already.
func (a *Active) install(g *Generation) {
	if a.audited != nil && g.stage == nil {
		plain := g
		s := &Split{Stable: plain, Candidate: a.audited, Fuel: auditByIDs}
		s.SetRules(&Rules{Quota: auditQuota})
		g = NewStage(s, 0, a.tally)
		plain.Release() // the stage keeps it
	}
	g.rates.continues(a.current.Load().rates)
	a.current.Swap(g).Release()
}

// SetAudit starts comparing g with the generation in force, and counts in t. It takes
// ownership of g, which replaces the previous audited policy. A nil g ends the audit.
func (a *Active) SetAudit(g *Generation, t *Tally) {
	a.replacing.Lock()
	defer a.replacing.Unlock()
	previous, current := a.audited, a.current.Load()
	a.audited, a.tally = g, t
	audits := current.stage != nil && current.stage.Split.Candidate == previous
	if audits {
		current = current.stage.Split.Stable
	}
	if (audits || current.stage == nil) && current.Acquire() { // Acquire returns false after Close
		a.install(current)
	}
	if previous != nil {
		previous.Release()
	}
}

// Audit returns the counts of the audit, or nil if no policy is audited.
func (a *Active) Audit() *Tally {
	a.replacing.Lock()
	defer a.replacing.Unlock()
	return a.tally
}

// Close retires the generation in force. After it, only TryAcquire may be called.
func (a *Active) Close() {
	a.replacing.Lock()
	defer a.replacing.Unlock()
	a.current.Load().Release()
}
