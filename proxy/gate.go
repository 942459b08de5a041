package proxy

import (
	"context"
	"sync/atomic"
)

// A gate counts the goroutines of a tenant that may change its hub, and stops them.
type gate struct {
	freeze atomic.Pointer[freeze]  // the present one, or the next one
	inside [gateKinds]atomic.Int64 // goroutines that have entered and not stopped
	idle   chan struct{}           // has room for one; sent to when a goroutine stops during a freeze; never closed
}

// A freeze stops the goroutines once. Its channels are closed by Freeze and Thaw; nothing is
// sent.
type freeze struct {
	began  chan struct{} // goroutines must stop, except catchUp
	writes chan struct{} // catchUp must stop as well
	over   chan struct{} // they continue
}

// A gateKind says what a goroutine does, for the error of a freeze that fails. A goroutine starts
// others only of its own kind, or of one further down.
type gateKind int

const (
	tenantWork  gateKind = iota // the tick, a relayed flush, or a connection that is being admitted
	loopWork                    // the tenant's loop
	sessionWork                 // reads from a session outside the loop, or ends a session
	gateKinds
)

func newGate() *gate {
	g := &gate{idle: make(chan struct{}, 1)}
	g.renew()
	return g
}

// renew prepares the next freeze.
func (g *gate) renew() {
	g.freeze.Store(&freeze{make(chan struct{}), make(chan struct{}), make(chan struct{})})
}

// began returns a channel that is closed when the present or the next freeze begins.
func (g *gate) began() <-chan struct{} { return g.freeze.Load().began }

// isShut reports whether a freeze has begun and is not over.
func (g *gate) isShut() bool { return isClosed(g.began()) }

// endsWrites reports whether catchUp must stop.
func (g *gate) endsWrites() bool { return isClosed(g.freeze.Load().writes) }

// enter counts a goroutine of kind tenantWork. It waits while there is a freeze, and reports whether it
// has waited.
func (g *gate) enter() (waited bool) {
	g.add(tenantWork)
	return g.pass(tenantWork)
}

// add enters for a goroutine that an entered one is about to start.
func (g *gate) add(k gateKind) { g.inside[k].Add(1) }

// pass stops a goroutine that has entered for as long as there is a freeze, and reports whether
// there was one.
func (g *gate) pass(k gateKind) (waited bool) {
	for g.isShut() {
		g.leave(k)
		g.awaitOpen()
		g.inside[k].Add(1)
		waited = true
	}
	return waited
}

// awaitOpen returns when there is no freeze.
func (g *gate) awaitOpen() {
	for {
		f := g.freeze.Load()
		if !isClosed(f.began) {
			return
		}
		<-f.over
	}
}

// leave undoes enter or add.
func (g *gate) leave(k gateKind) {
	if g.inside[k].Add(-1) == 0 && g.isShut() {
		select {
		case g.idle <- struct{}{}:
		default:
		}
	}
}

// await returns when all goroutines that have entered have stopped, or with the cause of ctx.
func (g *gate) await(ctx context.Context) error {
	for k := range gateKinds {
		for g.inside[k].Load() > 0 {
			select {
			case <-g.idle:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
