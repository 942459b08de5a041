package policy

import "sync/atomic"

// An Active holds the generation in force for one tenant and replaces it as a whole: a
// batch that is being judged keeps the generation that it began with.
type Active struct {
	current atomic.Pointer[Generation]
}

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
		if g := a.current.Load(); g.acquire() {
			return g
		}
		// It was retired between the two steps, so its successor is already stored.
	}
}

// TryAcquire is Acquire for callers that may come after Close: it then returns nil.
func (a *Active) TryAcquire() *Generation {
	for {
		g := a.current.Load()
		if g.acquire() {
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
	a.current.Swap(g).Release()
}

// Close retires the generation in force. After it, only TryAcquire may be called.
func (a *Active) Close() { a.current.Load().Release() }
