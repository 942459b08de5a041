package server

import (
	"context"
	"sync/atomic"
	"time"

	"switchyard/policy"
	"switchyard/policy/wasm"
)

// A load is a policy that is being loaded, in a goroutine of its own, while the server continues:
// a policy that takes long delays nothing but its own tenant.
//
//	begin ──▶ loadPolicy ──▶ srv.loaded ──▶ finish: then(l)
//	              │
//	              └─ drop, or a stop: a trial's child is killed, what was loaded is closed
//
// The goroutine of Serve owns a load. The load's own goroutine reads only what begin has set.
type load struct {
	candidate candidate
	engine    *wasm.Engine
	requested bool // an operator waits for it
	ctx       context.Context
	abandon   context.CancelFunc
	then      func(*load) // called when the load has ended, unless it was dropped
	with      *load       // is dropped with it; nil for none

	// Set when the load has ended.
	ended bool
	outcome
}

// An outcome is how a load ended.
type outcome struct {
	generation *policy.Generation // nil if the policy was refused
	err        error
	took       time.Duration
}

// Who closes the policy that was loaded depends on which comes first. In each case one does:
//
//	sent to Serve, then taken      its owner, when another replaces it
//	sent to Serve, then dropped    drop
//	dropped while it is handed     finish, which sees that ctx is done
//	dropped before                 loadFor
//
// A load never waits for Serve alone: after the server has gone, ctx is done.

// A finished is what the goroutine of a load sends to that of Serve.
type finished struct {
	load *load
	outcome
}

// loads are the policies that are being loaded.
type loads struct {
	loading atomic.Int64  // how many, also if that was given up
	loaded  chan finished // loads that have ended, from their goroutines
}

// begin begins to load a policy, and returns at once.
func (srv *server) begin(e *wasm.Engine, c candidate, requested bool, then func(*load)) *load {
	l := &load{candidate: c, engine: e, requested: requested, then: then}
	l.ctx, l.abandon = context.WithCancel(srv.stopper.requested)
	srv.loading.Add(1)
	go srv.loadFor(l, e, c)
	return l
}

// loadFor loads a policy and hands it over, or closes it if the load was dropped.
func (ls *loads) loadFor(l *load, e *wasm.Engine, c candidate) {
	defer ls.loading.Add(-1)
	begun := time.Now()
	g, err := loadPolicy(l.ctx, e, c)
	select {
	case ls.loaded <- finished{l, outcome{g, err, time.Since(begun)}}:
	case <-l.ctx.Done():
		if err == nil {
			g.Release()
		}
	}
}

// finish ends a load.
func (srv *server) finish(f finished) {
	l := f.load
	if l.ctx.Err() != nil { // dropped while it was handed over
		if f.err == nil {
			f.generation.Release()
		}
		return
	}
	l.abandon() // frees the context
	l.ended, l.outcome = true, f.outcome
	l.then(l)
}

// drop abandons a load, and closes its policy unless that was taken. l may be nil.
func (l *load) drop() {
	if l == nil {
		return
	}
	l.abandon()
	if g := l.take(); g != nil {
		g.Release()
	}
	l.with.drop()
}

// take returns the loaded policy, which the caller owns from then on.
func (l *load) take() *policy.Generation {
	g := l.generation
	l.generation = nil
	return g
}

// joins reports whether l loads that candidate already. If so, l takes its newest proof, and an
// operator may wait for it as well.
func (l *load) joins(c candidate, e *wasm.Engine, requested bool) bool {
	if l == nil || l.engine != e || !c.same(l.candidate) {
		return false
	}
	l.candidate.proof = c.proof
	l.requested = l.requested || requested
	return true
}

// awaited reports whether an operator waits for the load. l may be nil.
func (l *load) awaited() bool { return l != nil && l.requested }
