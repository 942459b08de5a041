package server

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"switchyard/policy/release"
	"switchyard/proxy/admin"
	"switchyard/proxy/hub"
)

// The signals of a release are counts that say how well a whole tenant is, such as senders that had
// to be slowed. Everybody receives what a few send, so they can be attributed to no policy. They are
// compared with as long a time before the release, and can pause or end it by release.on_suspicion.
// They have nothing to do with the signals of the operating system.

// slowProbe is how long a probe through a tenant's log may take, and fullLog which part of the log's
// limit may be used, before a second counts as a bad one.
const (
	slowProbe = time.Second
	fullLog   = 0.8
)

// badSeconds counts the seconds in which a tenant was in trouble. The goroutine of eachSecond counts; Serve reads as well.
type badSeconds struct {
	ticking              atomic.Pointer[staged] // the release that eachSecond ticks; nil if none is under way
	slowProbes, fullLogs atomic.Uint64
}

// eachSecond is called once a second by a goroutine of the tenant, while it is served. It reads the view
// and not the server, which belongs to the goroutine of Serve.
func (srv *server) eachSecond(s *served) {
	if srv.state.probes.Last(s.tenant.Name) > slowProbe {
		s.slowProbes.Add(1)
	}
	tenants := srv.state.view.Load().tenants
	i := slices.IndexFunc(tenants, func(t admin.Tenant) bool { return t.Served == s.tenant })
	if i >= 0 && tenants[i].Limits.LogBytes > 0 && float64(s.tenant.Hub().Memory()) > fullLog*float64(tenants[i].Limits.LogBytes) {
		s.fullLogs.Add(1)
	}
	if r := s.ticking.Load(); r != nil {
		r.tick(time.Now())
	}
}

// troubles counts, since the tenant is served, what may be the doing of a policy.
func (s *served) troubles() map[string]uint64 {
	c := s.tenant.Hub().Counts()
	return map[string]uint64{
		"sessions closed for slow-consumer, write-timeout or peer-reset": c.Closed[hub.SlowConsumer] + c.Closed[hub.WriteTimeout] + c.Closed[hub.PeerReset],
		"senders slowed": hub.Sum(c.Slowed), "seconds with a log that is nearly full": s.fullLogs.Load(), "seconds with a slow probe": s.slowProbes.Load(),
	}

}

// releaseSignals returns a function that counts troubles during a release that begins now, and in as
// long a time before, by what was counted since the tenant is served. With 120 slowed senders in the
// ten hours before, and a release that has lasted for one hour, 12 are expected.
func (s *served) releaseSignals() func() []release.Signal {
	begun, before := time.Now(), s.troubles()
	served := begun.Sub(s.since)
	return func() []release.Signal {
		now, part := s.troubles(), min(1, float64(time.Since(begun))/float64(max(served, time.Second)))
		var all []release.Signal
		for _, name := range slices.Sorted(maps.Keys(now)) {
			all = append(all, release.Signal{Name: name, Before: uint64(part * float64(before[name])), During: now[name] - before[name]})
		}
		return all
	}
}
