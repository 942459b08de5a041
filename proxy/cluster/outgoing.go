package cluster

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/proxy/order"
)

// An outgoing is what this hub has said and not read back. Together with other hubs that is the
// outbox. Alone it is a queue that the applier empties at once:
//
//	sessions ─ Say ─▶ outbox ─ next ─▶ sender ─▶ log ─▶ applier ─ back
//	                ╲
//	                 alone: kept ─ take ──────────────▶ applier
//
// A session calls Say under a lock of the hub, so nobody calls the hub while holding mu.
type outgoing struct {
	// Static.
	room func()        // called when senders need no longer wait
	wake chan struct{} // holds one; sent to when next may have more; received by the sender
	loop chan struct{} // holds one; sent to when take may have more; received by the applier

	hub   uint16
	queue int // bytes that may be kept alone

	full      atomic.Bool // set under mu
	mu        sync.Mutex  // guards what follows
	outbox    *order.Outbox
	wakes     time.Time // when the sender wakes by itself; zero: it does not
	stopped   bool      // nothing is to be appended, as another process may continue
	alone     bool
	kept      []order.Record // said and not applied, alone
	keptBytes int
}

func newOutgoing(hub uint16, window, queue int, room func()) *outgoing {
	return &outgoing{room: room, wake: make(chan struct{}, 1), loop: make(chan struct{}, 1), hub: hub, queue: queue,
		outbox: order.NewOutbox(hub, 0, window, queue)}
}

// Say implements hub.Order.
func (o *outgoing) Say(r *order.Record) {
	o.mu.Lock()
	defer o.unlock()
	if o.alone {
		o.keep(clone(r))
		return
	}
	o.outbox.Say(r)
	notify(o.wake)
}

// keep adds a record to what the applier takes. Called under mu.
func (o *outgoing) keep(r order.Record) {
	r.Hub = o.hub
	o.kept = append(o.kept, r)
	o.keptBytes += size(&r)
	notify(o.loop)
}

// Full reports whether senders have to wait.
func (o *outgoing) Full() bool { return o.full.Load() }

// unlock unlocks mu, and wakes the senders that wait if there is room for them again.
func (o *outgoing) unlock() {
	full := o.outbox.Full()
	if o.alone {
		full = o.keptBytes > o.queue
	}
	freed := o.full.Swap(full) && !full
	o.mu.Unlock()
	if freed {
		o.room()
	}
}

// do calls f with the outbox, and wakes the sender if it may have something to do before it wakes by
// itself.
func (o *outgoing) do(f func(*order.Outbox)) {
	o.mu.Lock()
	defer o.unlock()
	f(o.outbox)
	at := o.outbox.Wake()
	if o.outbox.Pending() || !at.IsZero() && at.Before(o.wakes) {
		notify(o.wake)
	}
}

// next returns a record to append, or when to ask again although nothing has happened.
func (o *outgoing) next(now time.Time) (record []byte, at time.Time) {
	o.mu.Lock()
	defer o.unlock()
	if o.stopped {
		return nil, time.Time{}
	}
	if record, ok := o.outbox.Next(now); ok {
		return record, time.Time{}
	}
	o.wakes = o.outbox.Wake()
	return nil, o.wakes
}

// separate makes the hub's peers its only ones: what they have said is applied in that order.
func (o *outgoing) separate() {
	o.mu.Lock()
	defer o.unlock()
	o.alone = true
	for _, r := range o.outbox.TakeAll() {
		o.keep(r)
	}
}

// take returns what was said alone and is not applied.
func (o *outgoing) take() []order.Record {
	o.mu.Lock()
	defer o.unlock()
	return o.takeKept()
}

// takeKept is take under mu.
func (o *outgoing) takeKept() []order.Record {
	kept := o.kept
	o.kept, o.keptBytes = nil, 0
	return kept
}

// unite is take, and ends separate: what is said from then on is for all hubs.
func (o *outgoing) unite() []order.Record {
	o.mu.Lock()
	defer o.unlock()
	o.alone = false
	return o.takeKept()
}

// clone returns a copy that shares no bytes with r.
func clone(r *order.Record) order.Record {
	c := *r
	c.Runs = slices.Clone(r.Runs)
	for i := range c.Runs {
		c.Runs[i].Bytes = slices.Clone(c.Runs[i].Bytes)
	}
	return c
}

// size returns about how much memory a record takes.
func size(r *order.Record) int {
	n := 64
	for i := range r.Runs {
		n += 64 + len(r.Runs[i].Bytes)
	}
	return n
}

// notify sends to a channel that holds one notice. If there is one already, it covers this one.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
