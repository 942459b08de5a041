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
	limits := t.limits.Load()
	for _, s := range *t.sessions.Load() {
		s.beat(now, limits)
	}
	t.flush.request()
	t.hub.Forgive()
	t.notes.flush()
}

// beat closes a session that is silent or slow for too long, and sends it a
// heartbeat if nothing else was sent. "Too long" is strict, as in the original.
func (s *session) beat(now time.Time, limits *Limits) {
	at := clock()
	exceeded := func(since int64, limit time.Duration) bool { return limit > 0 && at-since > int64(limit) }
	switch {
	case exceeded(s.lastRead.Load(), limits.Timeout):
		s.Close(hub.IdleTimeout)
		return
	case s.raw.urgent():
		s.Close(hub.UrgentData)
		return
	}
	if exceeded(s.lastWrite.Load(), limits.Heartbeat) && !s.seat.Behind(s.tenant.hub.Head()) {
		s.tenant.hub.Tell(s.seat, heartbeat)
	}
	switch {
	case limits.LagSoft == 0 || s.seat.Lag() <= limits.LagSoft:
		s.lagsSince = time.Time{}
	case s.lagsSince.IsZero():
		s.lagsSince = now
	case now.Sub(s.lagsSince) >= limits.LagSoftTime:
		s.Close(hub.SlowConsumer)
	}
}
