package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"switchyard/policy"
	"switchyard/proxy"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// tenants answers with everything about all tenants.
func (s *Server) tenants(w http.ResponseWriter, _ *http.Request) error {
	s.sampler.keepFresh()
	all := []api.Tenant{}
	for _, t := range s.backend.State().Tenants {
		all = append(all, s.describe(t))
	}
	return answer(w, http.StatusOK, api.Tenants{Tenants: all})
}

// describe returns everything about a tenant. The counts are of one moment, so they add up; the figures
// beside them are read a little later.
func (s *Server) describe(t Tenant) api.Tenant {
	h := t.Hub()
	c, sample := h.Counts(), s.sampler.of(t)
	return api.Tenant{
		Tenant: t.Name, Sessions: c.Sessions, Received: c.Received, Accepted: byName(c.Actions), Dropped: byName(c.Dropped), Underway: c.Underway, Lost: c.Lost(),
		Made: c.Made, Due: c.Due, Delivered: c.Delivered, Pending: c.Pending, Discarded: byName(c.Discarded),
		BytesIn: c.BytesIn, BytesOut: c.BytesOut, Slowed: byName(c.Slowed), SlowedSeconds: inSeconds(c.SlowedTime),
		Rates: sample.rates, Users: h.Users(), Lag: c.Lag, Lags: c.Lags, Log: h.Memory(), ProbeSeconds: sample.probe,
		Groups: groupsOf(t), Limits: limitsOf(t.Limits), Policy: policyOf(t), PolicyError: t.PolicyError, AuditError: t.AuditError, Audit: auditOf(t),
	}
}

// inSeconds converts times for JSON, whose durations are all in seconds.
func inSeconds(times map[hub.Reason]time.Duration) map[string]float64 {
	seconds := make(map[string]float64)
	for why, d := range times {
		seconds[string(why)] = d.Seconds()
	}
	return seconds
}

// limitsOf returns the limits in force as JSON has them, with times in seconds.
func limitsOf(l proxy.Limits) api.Limits {
	quota := func(r tenant.Rates) api.Quota {
		return api.Quota{PDUsIn: r.PDUsIn, BytesIn: r.BytesIn, BytesOut: r.BytesOut}
	}
	a := api.Limits{Connections: l.Connections, LagHard: l.LagHard, LagSoft: l.LagSoft, LagSoftSeconds: l.LagSoftTime.Seconds(),
		Log: l.LogBytes, MaxPDU: l.MaxPDU, Users: l.Users, PeerUsers: l.PeerUsers, OnBreach: "slow",
		Quota: quota(l.Quota.Tenant), PeerQuota: quota(l.Quota.Peer)}
	if l.Quota.OnBreach == tenant.Drop {
		a.OnBreach = "drop"
	}
	return a
}

// groupsOf returns the state of the tenant's groups, by name; it is not nil.
func groupsOf(t Tenant) []api.Group {
	all := []api.Group{}
	for g, n := range t.Hub().Groups() {
		all = append(all, api.Group{Group: g.String(), Peers: n.Peers, Copies: n.Copies})
	}
	slices.SortFunc(all, func(a, b api.Group) int { return strings.Compare(a.Group, b.Group) })
	return all
}

// A tenant that a request has found may end while it is answered. Then Active has no generation any more,
// and TryAcquire returns nil.

// policyOf returns the policy in force; an empty one if the tenant has just ended.
func policyOf(t Tenant) api.Policy {
	g := t.Active.TryAcquire()
	if g == nil {
		return api.Policy{}
	}
	defer g.Release()
	return identify(g)
}

// identify returns the name and content of a generation.
func identify(g *policy.Generation) api.Policy {
	return api.Policy{Name: g.Name, SHA256: g.Sum(), ModuleSHA256: g.SHA256}
}

// acquire returns the generation in force, which the caller releases.
func acquire(t Tenant) (*policy.Generation, error) {
	g := t.Active.TryAcquire()
	if g == nil {
		return nil, refuse(http.StatusNotFound, "tenant %s has just ended", t.Name)
	}
	return g, nil
}

// auditOf returns what the audited policy would have done; nil if none is audited.
func auditOf(t Tenant) *api.Audit {
	if t.Audited.Name == "" {
		return nil
	}
	a := &api.Audit{Policy: t.Audited, Rows: []api.AuditRow{}}
	for _, r := range t.Hub().Audit() {
		a.Rows = append(a.Rows, api.AuditRow{Command: policy.CommandName(r.Command), PDUs: r.PDUs, Sent: api.Copies(r.Sent), Audited: api.Copies(r.Audited),
			Useless: api.Copies(r.Useless), Missed: api.Copies(r.Missed), Faults: r.Faults})
	}
	return a
}
