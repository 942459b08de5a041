package cluster

import (
	"context"
	"sync"
	"time"

	"switchyard/proxy/order"
	"switchyard/proxy/order/ordertest"
)

// A busLog is a hub's connection to the bus, with faults of the hub's own.
type busLog struct {
	*ordertest.Conn
	hub    uint16
	events chan order.Event
	closed chan struct{}
	ended  sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond // on mu
	stalled bool      // it reads nothing
	mute    bool      // it sends no state
	cuts    bool      // it cuts the end of the state off
	states  int       // that it has sent
	blocked bool      // Append does not return
	over    bool
}

func connect(b *ordertest.Bus, hub uint16) *busLog {
	l := &busLog{Conn: b.Conn(), hub: hub, events: make(chan order.Event), closed: make(chan struct{})}
	l.changed.L = &l.mu
	l.ended.Go(l.pump)
	return l
}

// set changes the faults.
func (l *busLog) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	l.changed.Broadcast()
}

// await returns when the fault is over, or false if the log is closed.
func (l *busLog) await(fault *bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for *fault && !l.over {
		l.changed.Wait()
	}
	return !l.over
}

// pump hands over the events of the bus.
func (l *busLog) pump() {
	for l.await(&l.stalled) {
		select {
		case e := <-l.Conn.Events():
			if !l.await(&l.stalled) {
				return
			}
			select {
			case l.events <- e:
			case <-l.closed:
			}
		case <-l.closed:
		}
	}
}

func (l *busLog) Append(record []byte) error {
	l.await(&l.blocked)
	return l.Conn.Append(record)
}

func (l *busLog) Events() <-chan order.Event { return l.events }

func (l *busLog) SendState(ctx context.Context, from, to order.Origin, chunk []byte, last bool) error {
	stop := context.AfterFunc(ctx, func() { l.set(func() {}) })
	defer stop()
	l.mu.Lock()
	for l.mute && ctx.Err() == nil {
		l.changed.Wait()
	}
	if last {
		l.states++
	}
	cut := last && l.cuts
	l.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if cut {
		time.Sleep(10 * time.Millisecond) // takes no real time: it moves the clock of the synctest bubble
		chunk = chunk[:len(chunk)-1]
	}
	return l.Conn.SendState(ctx, from, to, chunk, last)
}

func (l *busLog) Close() {
	l.set(func() { l.over = true })
	close(l.closed)
	l.ended.Wait()
	l.Conn.Close()
}
