package proxy

import (
	"context"
	"time"

	"switchyard/proxy/hub"
)

// An Order puts what the tenant's peers say into one order with what the peers of other hubs
// say. Say takes it from the hub, and the order's own goroutine brings it back:
//
//	reader ─▶ Hub.HandleTurn ─▶ Order.Say            Tenant.Ordered ─▶ Hub.Apply ─▶ flush ─▶ peers
//
// Until it has come back it takes room. When there is none, readers wait, see awaitOrder.
type Order interface {
	hub.Order
	// Full reports whether there is no room, so that readers have to wait. The order calls
	// Tenant.OrderHasRoom when there may be room for another reason than that Ordered was called.
	Full() bool
	// Ready returns why connections should not be sent to this hub; nil if they should.
	Ready() error
	// Leave says that this hub is gone, once all sessions have ended. It returns when all
	// that was said before has come back, or when ctx is done.
	Leave(ctx context.Context)
	// Depart says that another process continues with this hub's place in the order: from now on nothing
	// is said or brought back here. It is called while the tenant is frozen.
	Depart()
	// Close ends the order's goroutines. Nothing is said after that. It may be called again.
	Close()
}

// orderTime is for how long a session that ends waits until what its peer said has come back.
const orderTime = 5 * time.Second

// SetOrder makes the tenant one of several that act as one. The number is this hub's among
// them. SetOrder must be called before Serve, and the tenant closes the order.
func (t *Tenant) SetOrder(o Order, number uint16) {
	t.order = o
	t.hub.SetOrder(o, number)
}

// Order returns what SetOrder has set; nil for a lone hub.
func (t *Tenant) Order() Order { return t.order }

// Ordered calls f, which may change the hub and make PDUs due, and has them written. It waits
// while the tenant is frozen. The order calls it from its own goroutine.
func (t *Tenant) Ordered(f func()) {
	t.gate.enter()
	defer t.gate.leave(tenantWork)
	began := clock()
	f()
	t.sampleLatency(began)
	t.flush.request()
	if !t.order.Full() {
		t.orderWaiters.wake()
	}
}

// OrderHasRoom wakes the readers that wait for room in the order.
func (t *Tenant) OrderHasRoom() { t.orderWaiters.wake() }

// Ready returns why connections should not be sent to this tenant now, although it works; nil
// if they should.
func (t *Tenant) Ready() error {
	if t.order == nil {
		return nil
	}
	return t.order.Ready()
}

// orderIsFull reports whether readers have to wait for the order.
func (t *Tenant) orderIsFull() bool { return t.order != nil && t.order.Full() }

// awaitOrder pauses until the order has room, or the session or the tenant stops. Room is certain
// to come: a hub that cannot reach the others continues alone after a while.
func (s *session) awaitOrder() {
	t := s.tenant
	if !t.orderIsFull() {
		return
	}
	defer s.pause(hub.OrderFull)()
	for {
		wake := t.orderWaiters.join()
		if !t.order.Full() { // looked at after joining, so that no wake-up is missed
			return
		}
		select {
		case <-wake:
		case <-t.gate.began():
			s.pass()
		case <-s.closing:
			return
		case <-t.stopping:
			return
		}
	}
}

// leaveOrder says that the session ends, and serves it until everybody knows: what its peer
// said before reaches all, itself included. A session to which nothing can be written any more is
// not served: it only leaves the hub. So does one that is closed at once meanwhile.
func (s *session) leaveOrder() {
	t := s.tenant
	if t.order == nil || s.abandoned() || t.departed.Load() {
		return
	}
	back, aborting := t.hub.LeaveOrdered(s.seat), s.aborting.join()
	timer := time.NewTimer(orderTime)
	defer timer.Stop()
	for !s.aborted.Load() { // looked at after joining, so that no wake-up is missed
		select {
		case <-back:
			return
		case <-aborting:
			return
		case <-timer.C:
			return
		case <-t.forced:
			return
		case <-t.gate.began():
			if s.pass(); t.departed.Load() {
				return
			}
		}
	}
}

// awaitLate waits until all sessions have left the order, which the tick sees to, or ctx is done. After
// Depart the other process sees to it.
func (t *Tenant) awaitLate(ctx context.Context) {
	poll := time.NewTicker(tickInterval / 20)
	defer poll.Stop()
	for !t.departed.Load() && t.hub.Late() > 0 {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}
