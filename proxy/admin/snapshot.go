package admin

import (
	"net/http"
	"slices"
	"time"

	"switchyard/proxy/admin/api"
	"switchyard/proxy/hub"
)

// A snapshot is what changes all the time, for the dashboard and 'switchyard top': all tenants, and the few
// sessions that stand out. It is made once a second for all streams together, and for each request for
// one. Rates come from the sampler, everything else is read at that moment, tenant by tenant.

// mostShown is how many sessions a snapshot has of the fastest and of the slowest.
const mostShown = 10

// snapshotNow answers with what the stream of events sends once a second.
func (s *Server) snapshotNow(w http.ResponseWriter, _ *http.Request) error {
	s.sampler.keepFresh()
	return answer(w, http.StatusOK, s.snapshot())
}

// snapshot returns the state of everything at this moment.
func (s *Server) snapshot() api.Snapshot {
	now := time.Now()
	state := s.backend.State()
	n := api.Snapshot{Time: now.UTC(), UptimeSeconds: now.Sub(s.options.Started).Seconds(), Draining: state.Draining,
		Latency: s.sampler.latency(), Tenants: []api.TenantSnapshot{}}
	rows := s.rows(state.Tenants)
	paused := make(map[string]int)
	for _, l := range rows {
		if l.Paused() {
			paused[l.tenant.Name]++
		}
	}
	for _, t := range state.Tenants {
		one := s.tenantSnapshot(t)
		one.Paused = paused[t.Name]
		n.Tenants = append(n.Tenants, one)
		addTotals(&n.Totals, one)
	}
	n.Fastest = connectionAnswers(firstOf(rows, byRate, func(l row) bool { return l.rates.BytesIn > 0 }))
	n.Slowest = connectionAnswers(firstOf(rows, byLag, func(l row) bool { return l.Lag > 0 }))
	return n
}

// firstOf returns the first mostShown rows in the order, of those that count. It does not sort all rows,
// because there may be thousands of sessions, and a snapshot is made every second.
func firstOf(rows []row, order func(a, b row) int, counts func(row) bool) []row {
	var first []row
	for _, l := range rows {
		if !counts(l) || len(first) == mostShown && order(first[mostShown-1], l) < 0 {
			continue
		}
		i, _ := slices.BinarySearchFunc(first, l, order)
		first = slices.Insert(first, i, l)
		first = first[:min(len(first), mostShown)]
	}
	return first
}

// tenantSnapshot returns the state of a tenant. One that has just ended no longer has a policy.
func (s *Server) tenantSnapshot(t Tenant) api.TenantSnapshot {
	h, sample := t.Hub(), s.sampler.of(t)
	c := h.Counts()
	one := api.TenantSnapshot{Tenant: t.Name, Sessions: c.Sessions, Received: c.Received, Delivered: c.Delivered, Pending: c.Pending,
		Dropped: byName(c.Dropped), Underway: c.Underway, Lost: c.Lost(), Discarded: byName(c.Discarded), BytesIn: c.BytesIn, BytesOut: c.BytesOut, Rates: sample.rates,
		Users: h.Users(), Lag: c.Lag, Lags: c.Lags, Log: h.Memory(), ProbeSeconds: sample.probe,
		Faults: map[string]uint64{}, Commands: trafficOf(h, sample)}
	if g := t.Active.TryAcquire(); g != nil {
		defer g.Release()
		one.Policy, one.Faults = identify(g), byName(faultsOf(g))
	}
	if t.Member != nil {
		member := clusterTenant(t.Name, t.Member.Status())
		one.Cluster = &member
	}
	return one
}

// trafficOf returns the traffic of each command that peers have sent. The hub counts
// all unknown commands under id 0, and some of them in entries of their own as well.
func trafficOf(h *hub.Hub, s *sample) []api.CommandTraffic {
	all := []api.CommandTraffic{}
	unknown := h.UnknownStats()
	for _, c := range h.CommandStats() { // after the unknown ones, so that these are part of it
		t := commandTraffic(c, s)
		if c.Command == 0 {
			if t.Command = "other"; !withoutThose(&t, unknown, s) {
				continue
			}
		}
		all = append(all, t)
	}
	for _, c := range unknown {
		all = append(all, commandTraffic(c, s))
	}
	return all
}

// commandTraffic returns the traffic of one command. Its rate is as of the last sample.
func commandTraffic(c hub.CommandStats, s *sample) api.CommandTraffic {
	return api.CommandTraffic{Command: c.Command.String(), ID: uint16(c.Command), PDUs: c.PDUs, Bytes: c.Bytes,
		Rate: s.commandRates[c.Command], Actions: byName(c.Actions)}
}

// withoutThose takes single commands out of the sum of all unknown ones, and reports whether
// others are left.
func withoutThose(t *api.CommandTraffic, unknown []hub.CommandStats, s *sample) bool {
	for _, c := range unknown {
		t.PDUs -= c.PDUs
		t.Bytes -= c.Bytes
		t.Rate = max(0, t.Rate-s.commandRates[c.Command])
		for action, n := range c.Actions {
			if t.Actions[action.String()] -= n; t.Actions[action.String()] == 0 {
				delete(t.Actions, action.String())
			}
		}
	}
	return t.PDUs > 0
}

// addTotals adds a tenant's figures to those of the server.
func addTotals(t *api.Totals, o api.TenantSnapshot) {
	t.Tenants++
	t.Sessions += o.Sessions
	t.Received += o.Received
	t.Delivered += o.Delivered
	t.Pending += o.Pending
	t.BytesIn += o.BytesIn
	t.BytesOut += o.BytesOut
	t.Users += o.Users
	t.Rates.Add(o.Rates)
	t.Lost += o.Lost
	t.Dropped += hub.Sum(o.Dropped)
	t.Discarded += hub.Sum(o.Discarded)
}
