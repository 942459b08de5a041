package proxy

import (
	"context"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
)

// beatEvery is how often the clock is looked at, as by the original.
const beatEvery = time.Second

var heartbeat = pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil)

// beat looks at every session once in a while, for what depends on time alone.
func (t *Tenant) beat(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			t.beatOnce(now)
		case <-ctx.Done():
			return
		}
	}
}

func (t *Tenant) beatOnce(now time.Time) {
	limits := *t.limits.Load()
	sessions := *t.sessions.Load()
	if g := t.gate.Load(); t.relieveBy(g) && g != nil && g.logBytes > 0 {
		limits.shareLogs(hub.Share(g.logBytes, len(sessions)))
	}
	for _, s := range sessions {
		s.beat(now, &limits)
	}
	t.flush.request()
	t.relieve()
	t.hub.Forgive()
	t.notes.flush()
	t.beaten.Store(clock())
}

// shareLogs lets a peer be behind by its share of the logs at most, while they are
// full: so somebody is too far behind, and senders do not wait for ever for peers that
// take little and each stay below the soft limit.
func (l *Limits) shareLogs(share uint64) {
	if l.LagSoft == 0 || l.LagSoft > share {
		l.LagSoft = share
	}
}

// beat closes a session that is silent or slow for too long, and sends it a
// heartbeat if nothing else was sent. "Too long" is strict, as in the original.
func (s *session) beat(now time.Time, limits *Limits) {
	at := clock()
	exceeded := func(since int64, limit time.Duration) bool { return limit > 0 && at-since > int64(limit) }
	switch {
	case !s.paused.Load() && exceeded(s.lastRead.Load(), limits.Timeout): // in this order, see pause
		s.Close(hub.IdleTimeout)
		return
	case !s.spoke.Load() && exceeded(s.opened, limits.FirstPDU):
		s.Close(hub.NoPDU)
		return
	case s.raw.urgent():
		s.Close(hub.UrgentData)
		return
	}
	if exceeded(s.lastWrite.Load(), limits.Heartbeat) && !s.seat.Behind(s.tenant.hub.Head()) {
		s.tenant.hub.Tell(s.seat, heartbeat)
	}
	s.trim()
	switch {
	case limits.LagSoft == 0 || s.seat.Lag() <= limits.LagSoft:
		s.lagsSince = time.Time{}
	case s.lagsSince.IsZero():
		s.lagsSince = now
	case now.Sub(s.lagsSince) >= limits.LagSoftTime:
		s.Close(hub.SlowConsumer)
	}
}

// trim gives back memory that the session's writer does not need any more, if nobody
// writes just now.
func (s *session) trim() {
	switch {
	case !s.seat.Trimmable():
	case s.raw == nil:
		s.trims.Store(true)
		s.wakeWriter()
	case s.writing.TryLock():
		s.seat.Trim()
		s.writing.Unlock()
		if s.seat.Behind(s.tenant.hub.Head()) { // a flusher found somebody at it
			s.tenant.flush.request()
		}
	}
}
