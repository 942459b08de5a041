//go:build linux

package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/cmd/yardbench/message"
)

// How messages are counted without a word between the connections. A message is published when a
// sender has made it, and delivered to a receiver when that has read it. With a window, a sender
// must know how far the slowest receiver is:
//
//	loop 0   receivers of its own: 118, 120, 117 messages of sender 3   floors[3] = 117
//	loop 1                         121, 119                             floors[3] = 119
//	progress(3) = 117; with a window of 64, sender 3 may make messages up to number 180
//
// A loop publishes a floor only when it changes, and then wakes loops whose senders wait.

// A run is the state that the loops of one Plan share.
type run struct {
	plan Plan
	wire message.Wire
	base time.Time // when the run's clock was 0

	// The course of a run:
	//
	//	join ── all have received a probe ──▶ begin ── warmup ──▶ measure ──▶ cease ── drain ──▶ end
	//
	// The party whose connection joins last sets begin, a moment ahead.
	joined atomic.Int32
	begin  atomic.Int64 // 0 until it is set

	// What has arrived from each sender, for senders that wait for room in their window.
	parties []*party
	// How many messages each sender has sent in total. Valid once all parties have ceased.
	sent   []atomic.Uint32
	ceased atomic.Int32

	closing atomic.Bool     // streams are being closed at the end of the run
	over    context.Context // when it is done, the run stops at once
}

// A party is a group of connections that one goroutine plays.
type party struct {
	// For each sender, the number below which all connections of the party have received
	// all messages. Written by the party, read by all.
	floors []atomic.Uint32
	// Whether the party waits for the floors of others to rise. A party that changes it from
	// true to false calls wake.
	starved atomic.Bool
	wake    func()
}

const (
	joinTime  = 20 * time.Second       // how long connections may take to join
	probeTime = 10 * time.Millisecond  // from one probe to the next
	lead      = 100 * time.Millisecond // from the last join to begin, so that the last probes have arrived
)

// newRun checks a plan and prepares its run. Times of the run count from now on.
func newRun(ctx context.Context, p Plan) (*run, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	p = p.complete()
	w, err := message.NewWire(p.Protocol, p.Size)
	if err != nil {
		return nil, err
	}
	return &run{plan: p, wire: w, base: time.Now(), sent: make([]atomic.Uint32, p.Senders), over: ctx}, nil
}

// newParty adds a party. All parties are added before the first one plays.
func (r *run) newParty(wake func()) *party {
	p := &party{floors: make([]atomic.Uint32, r.plan.Senders), wake: wake}
	r.parties = append(r.parties, p)
	return p
}

// now returns the time of the run's clock.
func (r *run) now() int64 { return int64(time.Since(r.base)) }

// join counts a connection as joined.
func (r *run) join() {
	if int(r.joined.Add(1)) == r.plan.Connections {
		r.begin.Store(r.now() + int64(lead))
	}
}

// measureFrom and measureTo are the measured span. Valid once begin is set.
func (r *run) measureFrom() int64 { return r.begin.Load() + int64(r.plan.Warmup) }
func (r *run) measureTo() int64   { return r.measureFrom() + int64(r.plan.Duration) }

// progress returns the number below which all have received all messages of a sender.
func (r *run) progress(sender uint32) uint32 {
	lowest := uint32(1<<32 - 1)
	for _, p := range r.parties {
		lowest = min(lowest, p.floors[sender].Load())
	}
	return lowest
}

// stalls reports whether a connection is one of those that stall.
func (r *run) stalls(number int) bool {
	return number >= r.plan.Connections-r.plan.Stall.Connections
}

// allCeased reports whether everything has been sent.
func (r *run) allCeased() bool { return int(r.ceased.Load()) == len(r.parties) }

// complete reports whether a party has received everything that was sent.
func (r *run) complete(p *party) bool {
	if !r.allCeased() {
		return false
	}
	for i := range p.floors {
		if p.floors[i].Load() < r.sent[i].Load() {
			return false
		}
	}
	return true
}

// Run plays a plan. When the context ends, the run ends with an error. An error means that
// the run was not possible. Faults of the hub are in the result.
func Run(ctx context.Context, p Plan) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := newRun(ctx, p)
	if err != nil {
		return Result{}, err
	}
	if p.TLS != nil {
		return r.playStreams(cancel)
	}
	return r.playLoops(cancel)
}

// playLoops plays the plan with event loops: connection n belongs to loop n modulo their number, so
// each has as many senders and receivers as the others.
func (r *run) playLoops(cancel context.CancelCauseFunc) (Result, error) {
	loops := make([]*loop, r.plan.Threads)
	for i := range loops {
		var err error
		if loops[i], err = newLoop(r, i); err != nil {
			return Result{}, err
		}
		defer loops[i].close()
	}
	for n := range r.plan.Connections {
		if err := loops[n%len(loops)].connect(n); err != nil {
			return Result{}, fmt.Errorf("connection %d of %d to %s: %w", n+1, r.plan.Connections, r.plan.address(n), err)
		}
	}
	var playing sync.WaitGroup
	for _, l := range loops {
		playing.Go(func() {
			if err := l.play(); err != nil {
				cancel(err) // since the other loops wait for this one
			}
		})
	}
	playing.Wait()
	if r.over.Err() != nil {
		return Result{}, context.Cause(r.over)
	}
	return r.result(loops)
}
