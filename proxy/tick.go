package proxy

import (
	"context"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
)

// tickInterval is how often a tenant does what depends on time, as in the original.
const tickInterval = time.Second

var heartbeat = pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil)

// tick does what depends on time alone, for all sessions of the tenant, until ctx is
// done.
func (t *Tenant) tick(ctx context.Context) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if t.gate.enter() {
				ticker.Reset(tickInterval) // what has arrived during the freeze is read before the next tick
			}
			t.tickOnce(time.Now())
			t.gate.leave(tenantWork)
		case <-ctx.Done():
			return
		}
	}
}

// tickOnce is one tick. How long the hub has stood still is found out first, because no peer is to blame
// for that time. When the tick has ended is noted last, so that Probe also finds one that hangs.
func (t *Tenant) tickOnce(now time.Time) {
	late := time.Duration(clock()-t.lastTick.Load()) - tickInterval
	if late > standstill {
		t.stoodStill.Add(int64(late))
	}
	limits := *t.limits.Load()
	sessions := *t.sessions.Load()
	if throttle := t.throttle.Load(); t.wakeWaitersForAny(throttle) && throttle != nil && throttle.logBytes > 0 {
		limits.shareLogs(hub.Share(throttle.logBytes, len(sessions)))
	}
	for _, s := range sessions {
		s.tick(now, max(0, late), &limits)
	}
	t.flush.request()
	t.wakeWaiters()
	t.hub.ResetBreaker()
	t.hub.SayLate()
	t.endOneOutdated()
	if f := t.everySecond.Load(); f != nil {
		(*f)()
	}
	t.notes.flush()
	t.sessionLog.flush()
	t.lastTick.Store(clock())
}

// shareLogs lowers the soft limit to a peer's share of the logs, while they are full.
// Then at least one peer exceeds it, so senders do not wait for ever for many peers
// that each lag a little.
func (l *Limits) shareLogs(share uint64) {
	if l.LagSoft == 0 || l.LagSoft > share {
		l.LagSoft = share
	}
}

// beginsAfter is how long a connection may be open without being a session. Health checks
// are closed sooner.
const beginsAfter = time.Second

// standstill is how late a tick must be to count as a sign that the process or the machine
// stood still: it was stopped by a signal, suspended, or starved.
const standstill = tickInterval

// A wait measures how long the hub has waited for a peer. Time during which the hub stalled
// does not count.
type wait struct {
	tenant     *Tenant
	begun      int64 // see clock
	stoodStill int64 // the tenant's stoodStill at that time
}

func (t *Tenant) beginWait() wait { return wait{t, clock(), t.stoodStill.Load()} }

// disturbed reports, at the end of a wait of d, whether the hub stalled meanwhile. It also
// checks whether the wait itself ended late, because no tick may have come since.
func (w wait) disturbed(d time.Duration) bool {
	late := time.Duration(clock()-w.begun) - d
	return max(late, time.Duration(w.tenant.stoodStill.Load()-w.stoodStill)) > standstill
}

// endedEarly reports, at the end of a wait of d, whether it was cut short by a freeze. A wait
// without a limit can end in no other way.
func (w wait) endedEarly(d time.Duration) bool { return d == 0 || clock()-w.begun < int64(d) }

// tick closes a session that has been silent or slow for too long, and sends it a
// heartbeat if nothing else was sent. The limits are exclusive, as in the original.
//
// Time during which the hub itself stood still, or did not come to read what had arrived,
// is not held against the peer. late is how late this tick is.
func (s *session) tick(now time.Time, late time.Duration, limits *Limits) {
	at := clock()
	if at-s.opened >= int64(beginsAfter) {
		s.begin()
	}
	exceeded := func(since int64, limit time.Duration) bool { return limit > 0 && at-since > int64(limit) }
	unsure := late > standstill && !s.kernel.knows() // what has arrived meanwhile is read before the next tick
	switch {
	case !s.input.paused.Load() && !unsure && s.silentSince(at, s.input.lastRead.Load(), limits.Timeout): // in this order, see pause
		s.Close(hub.IdleTimeout)
		return
	case !s.input.gotPDU.Load() && exceeded(s.opened, limits.FirstPDU) && !unsure && !s.kernel.unread():
		s.Close(hub.NoPDU)
		return
	case s.input.unfinished.over(at, limits.Timeout) && !unsure && !s.kernel.unread():
		s.Close(hub.PDUTimeout)
		return
	case s.input.paused.Load() && s.kernel.reset(): // its reader would notice after the pause
		s.Close(hub.PeerReset)
		return
	case s.raw.urgent():
		s.Close(hub.UrgentData)
		return
	}
	if exceeded(s.output.lastWrite.Load(), limits.Heartbeat) && !s.seat.Behind(s.tenant.hub.Head()) {
		s.tenant.hub.Send(s.seat, heartbeat)
	}
	s.trim()
	switch {
	case limits.LagSoft == 0 || s.seat.Lag() <= limits.LagSoft:
		s.lagsSince = time.Time{}
	case s.lagsSince.IsZero():
		s.lagsSince = now
	case late > standstill: // nothing was written meanwhile
		s.lagsSince = s.lagsSince.Add(late)
	case now.Sub(s.lagsSince) >= limits.LagSoftTime:
		s.Close(hub.SlowConsumer)
	}
}

// silentSince reports whether nothing has arrived from the peer for longer than limit, by
// at. lastRead is input.lastRead, which is earlier than the last arrival if the session
// was not read from.
func (s *session) silentSince(at, lastRead int64, limit time.Duration) bool {
	if limit == 0 || at-lastRead <= int64(limit) {
		return false
	}
	silence, known := s.kernel.silence()
	if !known || silence > limit {
		return true
	}
	s.input.lastRead.CompareAndSwap(lastRead, max(lastRead, at-int64(silence)))
	return false
}

// wasSilent reports, before something that has arrived is handled, whether the session was
// over its timeout already. It can be if the hub stood still for longer than the timeout.
// Then the peer has given up the connection, and its words would come too late, and to
// the peer's own new connection. It is not over its timeout if something did arrive in
// time.
func (s *session) wasSilent(now int64) bool {
	lastRead, limit := s.input.lastRead.Load(), s.tenant.limits.Load().Timeout
	return now-lastRead > int64(limit) && s.kernel.knows() && s.silentSince(now, lastRead, limit)
}

// trim frees memory that the session's writer no longer needs, if no goroutine is
// writing.
func (s *session) trim() {
	switch {
	case !s.seat.Trimmable():
	case s.raw == nil:
		s.output.trims.Store(true)
		s.wakeWriter()
	case s.output.right.TryLock():
		s.seat.Trim()
		s.output.right.Unlock()
		if s.seat.Behind(s.tenant.hub.Head()) { // a flusher may have found the right to write taken
			s.tenant.flush.request()
		}
	}
}
