package proxy

import (
	"time"

	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// A gate is what stands between reading PDUs and handing them over: a tenant's quota,
// and the memory of its logs. It is replaced whole; a tenant without limits has none.
type gate struct {
	meter    *tenant.Meter // nil without a quota
	drop     bool          // what does not pass is dropped, and not waited for
	logBytes uint64        // 0 is unlimited
	replaced chan struct{} // closed once this is not the tenant's gate any more
}

// newGate returns the gate for those limits, or nil; what was used at the one before,
// which may be nil, still counts.
func newGate(l *Limits, before *gate) *gate {
	if !l.Quota.Any() && l.LogBytes == 0 {
		return nil
	}
	g := &gate{drop: l.Quota.OnBreach == tenant.Drop, replaced: make(chan struct{})}
	if l.LogBytes > 0 {
		g.logBytes = max(l.LogBytes, hub.MinMemory)
	}
	if l.Quota.Any() {
		var meter *tenant.Meter
		if before != nil {
			meter = before.meter
		}
		g.meter = tenant.NewMeter(l.Quota, meter)
	}
	return g
}

// open reports whether whatever is read may be handed over at once. The gate may be nil.
func (g *gate) open(h *hub.Hub) bool { return g == nil || g.meter == nil && !g.full(h) }

// full reports whether the logs take more memory than they may.
func (g *gate) full(h *hub.Hub) bool { return g.logBytes > 0 && h.Memory() > g.logBytes }

// hasRoom reports whether there is enough again for those who wait: somewhat less than
// there may be, so that not all of them are woken for every chunk.
func (g *gate) hasRoom(h *hub.Hub) bool { return h.Memory() <= g.logBytes-g.logBytes/8 }

// overQuota names what was used too much.
var overQuota = [...]hub.Reason{
	tenant.PDUsIn: hub.OverQuotaPDUs, tenant.BytesIn: hub.OverQuotaBytesIn, tenant.BytesOut: hub.OverQuotaBytesOut,
}

// dropPause is how long a reader rests when all of a batch was dropped: reading, too,
// takes time on the cores that others need, and a peer that floods would have all of it.
const dropPause = time.Millisecond

// A waitingRoom is for readers that wait for room in the log.
type waitingRoom struct {
	left chan struct{} // closed by whoever finds that there is room
}

// handleAt hands over what of batch passes the gate, and returns when the peer may be
// read from again.
func (s *session) handleAt(g *gate, batch []byte) error {
	batch = s.admit(g, batch)
	if len(batch) == 0 {
		time.Sleep(dropPause)
		return nil
	}
	before := s.seat.Out()
	err := s.handle(batch)
	wait, why := s.charge(g, batch, s.seat.Out()-before)
	if err == nil && wait > 0 {
		s.awaitPaid(g, wait, why)
	}
	return err
}

// admit returns what of batch may be handed over. What may not is dropped, or waited
// for: only as long as the peer is to be read from at all.
func (s *session) admit(g *gate, batch []byte) []byte {
	h := s.tenant.hub
	if g.full(h) {
		s.tenant.wasFull.Store(true)
		if g.drop {
			h.Refuse(s.seat, batch, hub.LogFull)
			return nil
		}
		s.awaitRoom(g)
	}
	if g.meter == nil || !g.drop {
		return batch
	}
	fit, what := s.measure(g).Fit(clock(), batch)
	if fit < len(batch) {
		h.Refuse(s.seat, batch[fit:], overQuota[what])
	}
	return batch[:fit]
}

// charge charges what was handed over, and out bytes that became due by it. It returns
// for how long the peer is not to be read from, and why.
func (s *session) charge(g *gate, batch []byte, out uint64) (wait time.Duration, why hub.Reason) {
	if g.meter == nil {
		return 0, ""
	}
	use := tenant.Use{tenant.BytesOut: out}
	if g.drop { // admit has charged what came in, and looks at what is owed
		s.measure(g).Take(clock(), use)
		return 0, ""
	}
	use[tenant.PDUsIn], use[tenant.BytesIn] = tenant.PDUs(batch), uint64(len(batch))
	wait, what := s.measure(g).Take(clock(), use)
	return wait, overQuota[what]
}

// measure returns the peer's meter at that gate.
func (s *session) measure(g *gate) *tenant.PeerMeter {
	if s.gate != g {
		s.gate, s.meter = g, g.meter.Peer(s.meter)
	}
	return s.meter
}

// awaitPaid pauses until the debt is paid, is not asked for any more, or the reader is
// wanted elsewhere.
func (s *session) awaitPaid(g *gate, wait time.Duration, why hub.Reason) {
	defer s.pause(why)()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for paidAt := clock() + int64(wait); ; {
		select {
		case <-timer.C:
			return
		case <-s.closing:
			return
		case <-s.tenant.stopping:
			return
		case <-g.replaced:
		}
		g = s.tenant.gate.Load()
		if g == nil || g.meter == nil || g.drop {
			return
		}
		now := clock()
		wait = min(s.measure(g).Owes(now), time.Duration(paidAt-now))
		if wait <= 0 {
			return
		}
		timer.Reset(wait)
	}
}

// awaitRoom pauses until there is room in the log, it is not limited any more, or the
// reader is wanted elsewhere. Somebody will make room: whoever writes to those that lag
// is a goroutine that never waits here, and those who take nothing are closed.
func (s *session) awaitRoom(g *gate) {
	defer s.pause(hub.LogFull)()
	t := s.tenant
	for g != nil && !g.drop && g.full(t.hub) {
		room := t.waiting.Load()
		if room == nil {
			t.waiting.CompareAndSwap(nil, &waitingRoom{make(chan struct{})})
			continue
		}
		t.relieve() // if there came to be room before anybody could know of the waiting room
		select {
		case <-room.left:
		case <-s.closing:
			return
		case <-t.stopping:
			return
		case <-g.replaced:
		}
		g = t.gate.Load()
	}
}

// pause counts that the reader pauses, and has nobody take that for the peer's silence
// until what it returns is called.
func (s *session) pause(why hub.Reason) (end func()) {
	began := clock()
	s.paused.Store(true)
	s.tenant.hub.PauseBegins(why)
	return func() {
		now := clock()
		s.tenant.hub.PauseEnded(why, time.Duration(now-began))
		s.lastRead.Store(now)
		s.paused.Store(false)
	}
}

// relieve wakes the readers that wait for room in the log, if there is enough for all
// of them. It is called by whoever has given back a part of the log.
func (t *Tenant) relieve() {
	if room := t.waiting.Load(); room != nil {
		if g := t.gate.Load(); g != nil && g.hasRoom(t.hub) {
			t.open(room)
		}
	}
}

// relieveBy wakes them if there is any room, once in a while: nothing more may be given
// back for long. It reports whether there was none since it was called last.
func (t *Tenant) relieveBy(g *gate) (wasFull bool) {
	room := t.waiting.Load()
	if room != nil && g != nil && !g.full(t.hub) {
		t.open(room)
	}
	return t.wasFull.Swap(false) || room != nil
}

func (t *Tenant) open(room *waitingRoom) {
	if t.waiting.CompareAndSwap(room, nil) {
		close(room.left)
	}
}
