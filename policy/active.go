package policy

import "sync/atomic"

// A Active holds the generation that is in force for one tenant and swaps it
// whole: what is being judged ends with the generation it began with.
type Active struct {
	current atomic.Pointer[Generation]
}

// NewActive puts g in force.
func NewActive(g *Generation) *Active {
	j := new(Active)
	j.current.Store(g)
	return j
}

// Acquire returns the generation in force. It stays usable until Release.
func (j *Active) Acquire() *Generation {
	for {
		if g := j.current.Load(); g.acquire() {
			return g
		}
		// Retired between the two steps; its successor is in place already.
	}
}

// TryAcquire is Acquire for those who may come after Close: then there is none, and they get
// nil.
func (j *Active) TryAcquire() *Generation {
	for {
		g := j.current.Load()
		if g.acquire() {
			return g
		}
		if j.current.Load() == g { // its successor would be in place already
			return nil
		}
	}
}

// Install puts g in force for all that is acquired from now on. The one before
// it is closed when its last user has left.
func (j *Active) Install(g *Generation) {
	j.current.Swap(g).Release()
}

// Close retires the generation in force. Nobody may acquire any more.
func (j *Active) Close() { j.current.Load().Release() }
