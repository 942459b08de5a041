package proxy

import (
	"time"

	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// A throttle sits between reading PDUs and handing them to the hub: it applies a
// tenant's quota and the memory limit of its logs. It is replaced as a whole; a tenant
// without limits has none.
type throttle struct {
	meter    *tenant.Meter // nil without a quota
	drop     bool          // PDUs beyond a limit are dropped; otherwise their sender waits
	logBytes uint64        // 0 is unlimited
	replaced chan struct{} // closed when the tenant has another throttle
}

// newThrottle returns the throttle for those limits, or nil. The use that the previous
// throttle counted, which may be nil, still counts.
func newThrottle(l *Limits, before *throttle) *throttle {
	if !l.Quota.Any() && l.LogBytes == 0 {
		return nil
	}
	t := &throttle{drop: l.Quota.OnBreach == tenant.Drop, replaced: make(chan struct{})}
	if l.LogBytes > 0 {
		t.logBytes = max(l.LogBytes, hub.MinMemory)
	}
	if l.Quota.Any() {
		var meter *tenant.Meter
		if before != nil {
			meter = before.meter
		}
		t.meter = tenant.NewMeter(l.Quota, meter)
	}
	return t
}

// passes reports whether every PDU may be handed over at once. The throttle may be nil.
func (t *throttle) passes(h *hub.Hub) bool { return t == nil || t.meter == nil && !t.full(h) }

// full reports whether the logs have reached their memory limit.
func (t *throttle) full(h *hub.Hub) bool { return t.logBytes > 0 && h.Memory() > t.logBytes }

// hasRoom reports whether waiting readers should be woken. That is somewhat below the
// limit, so that they are not all woken for every chunk that is freed.
func (t *throttle) hasRoom(h *hub.Hub) bool { return h.Memory() <= t.logBytes-t.logBytes/8 }

// overQuota is the reason for a breach of each measure.
var overQuota = [...]hub.Reason{
	tenant.PDUsIn: hub.OverQuotaPDUs, tenant.BytesIn: hub.OverQuotaBytesIn, tenant.BytesOut: hub.OverQuotaBytesOut,
}

// dropPause is how long a reader pauses when a whole batch was dropped. Reading takes
// CPU time as well, and a peer that floods must not get all of it.
const dropPause = time.Millisecond

// handleThrottled hands over the part of batch that the throttle admits, and returns when
// the peer may be read from again.
func (s *session) handleThrottled(t *throttle, batch []byte) error {
	if t.slows() {
		return s.handlePaid(batch)
	}
	batch = s.admit(t, batch)
	if len(batch) == 0 {
		time.Sleep(dropPause)
		return nil
	}
	before := s.outBefore()
	err := s.handle(batch)
	if t.meter != nil { // admit has charged the input, and checks the debt
		s.measure(t).Take(clock(), tenant.Use{tenant.BytesOut: s.outSince(before)})
	}
	return err
}

// handlePaid hands over batch in pieces. Each waits until what came in is paid for, and
// the next one until what became due by it is paid for. So PDUs arrive at the rate of the
// quota, and no peer waits for the debt of another one.
func (s *session) handlePaid(batch []byte) error {
	for len(batch) > 0 {
		t := s.tenant.throttle.Load() // again for each piece, as a reload may change it
		if !t.slows() {
			if t == nil {
				return s.handle(batch)
			}
			return s.handleThrottled(t, batch)
		}
		if t.full(s.tenant.hub) {
			s.tenant.logWasFull.Store(true)
			s.awaitRoom(t)
		}
		piece := batch[:s.measure(t).Piece(clock(), batch, len(*s.tenant.sessions.Load())-1)]
		if !s.pay(t, tenant.Use{tenant.PDUsIn: tenant.PDUs(piece), tenant.BytesIn: uint64(len(piece))}) {
			s.tenant.hub.Refuse(s.seat, batch, hub.SessionEnded)
			return nil // the reader finds the end of the connection
		}
		before := s.outBefore()
		if err := s.handle(piece); err != nil {
			if rest := batch[len(piece):]; len(rest) > 0 {
				s.tenant.hub.Refuse(s.seat, rest, hub.SessionEnded)
			}
			return err
		}
		s.pay(t, tenant.Use{tenant.BytesOut: s.outSince(before)})
		batch = batch[len(piece):]
	}
	return nil
}

// outBefore returns what the peer had caused before the batch that is about to be handled, as
// Seat.Out counts it. With an order a batch becomes due later than it is handled, so what has
// become due since the last one is charged together with this one.
func (s *session) outBefore() uint64 {
	if s.tenant.order == nil {
		return s.seat.Out()
	}
	return s.input.charged
}

// outSince returns how much has become due since before, and that it is charged now.
func (s *session) outSince(before uint64) uint64 {
	s.input.charged = s.seat.Out()
	return s.input.charged - before
}

// slows reports whether a quota slows senders down. The throttle may be nil.
func (t *throttle) slows() bool { return t != nil && t.meter != nil && !t.drop }

// readAtMost returns how many of n bytes to read at once.
func (s *session) readAtMost(n int) int {
	const least = 4 << 10 // or large PDUs would take many reads
	if t := s.tenant.throttle.Load(); n > least && t.slows() {
		n = int(min(uint64(n), max(least, s.measure(t).Room(clock()))))
	}
	return n
}

// admit returns the part of batch that may be handed over. It drops the rest, or waits
// until all of batch may be handed over; the wait ends when the session or the tenant
// stops.
func (s *session) admit(t *throttle, batch []byte) []byte {
	h := s.tenant.hub
	if t.full(h) {
		s.tenant.logWasFull.Store(true)
		if t.drop {
			h.Refuse(s.seat, batch, hub.LogFull)
			s.input.unhandled = nil
			return nil
		}
		s.awaitRoom(t)
	}
	if t.meter == nil {
		return batch
	}
	fit, what := s.measure(t).Fit(clock(), batch)
	if fit < len(batch) {
		h.Refuse(s.seat, batch[fit:], overQuota[what])
		s.input.unhandled = batch[:fit]
	}
	return batch[:fit]
}

// measure returns the peer's meter for that throttle.
func (s *session) measure(t *throttle) *tenant.PeerMeter {
	in := &s.input
	if in.throttle != t {
		in.throttle, in.meter, in.charged = t, t.meter.Peer(in.meter), s.seat.Out()
	}
	return in.meter
}

// pay pays for u in instalments. It returns true when all is paid, the quota is lifted, or
// the session or its tenant stops. It returns false if the session was closed or asked to
// end; part of the rest is then charged to the tenant.
func (s *session) pay(t *throttle, u tenant.Use) bool {
	bill := tenant.NewBill(u)
	wait, what := s.measure(t).Pay(clock(), &bill)
	if wait == 0 {
		return true
	}
	defer s.pause(overQuota[what])()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.closing:
			if s.reason.Load() == nil && s.asked.Load() == nil {
				return true // a session that stops still handles what has arrived
			}
			s.measure(t).Default(clock(), &bill)
			return false
		case <-s.tenant.gate.began():
			s.pass()
		case <-s.tenant.stopping:
			return true
		case <-t.replaced:
			if t = s.tenant.throttle.Load(); !t.slows() {
				return true
			}
		}
		if wait, _ = s.measure(t).Pay(clock(), &bill); wait == 0 {
			return true
		}
		timer.Reset(wait)
	}
}

// awaitRoom pauses until the log has room or no limit, or the session or the tenant
// stops. Room is certain to come: the goroutines that write to lagging peers never wait
// here, and peers that take nothing are closed.
func (s *session) awaitRoom(t *throttle) {
	defer s.pause(hub.LogFull)()
	for {
		woken := s.tenant.roomWaiters.join()
		if t == nil || t.drop || !t.full(s.tenant.hub) { // looked at after joining, so that no wake-up is missed
			return
		}
		select {
		case <-woken:
		case <-s.closing:
			return
		case <-s.tenant.gate.began():
			s.pass()
		case <-s.tenant.stopping:
			return
		case <-t.replaced:
		}
		t = s.tenant.throttle.Load()
	}
}

// pause counts that the reader pauses, and suspends the idle timeout. Calling end ends
// the pause.
func (s *session) pause(why hub.Reason) (end func()) {
	began := clock()
	s.input.paused.Store(true)
	s.tenant.hub.PauseBegins(why)
	return func() {
		now := clock()
		s.tenant.hub.PauseEnded(why, time.Duration(now-began))
		s.input.lastRead.Store(now)
		s.input.paused.Store(false)
	}
}

// wakeWaiters wakes the readers that wait for room in the log, if there is enough for
// all of them. Every goroutine that has freed a part of the log calls it.
func (t *Tenant) wakeWaiters() {
	if t.roomWaiters.any() {
		if throttle := t.throttle.Load(); throttle != nil && throttle.hasRoom(t.hub) {
			t.roomWaiters.wake()
		}
	}
}

// wakeWaitersForAny wakes the readers if there is any room. The tick calls it, because
// nothing more may be freed for a long time. It reports whether the log was full since
// the last call.
func (t *Tenant) wakeWaitersForAny(throttle *throttle) (wasFull bool) {
	waits := t.roomWaiters.any()
	if waits && throttle != nil && !throttle.full(t.hub) {
		t.roomWaiters.wake()
	}
	return t.logWasFull.Swap(false) || waits
}
