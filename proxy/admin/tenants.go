package admin

import (
	"net/http"
	"time"

	"switchyard/policy"
	"switchyard/proxy"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

// tenantAnswer is one tenant as JSON has it. Names stay as they are.
type tenantAnswer struct {
	Tenant    string                   `json:"tenant"`
	Sessions  int                      `json:"sessions"`
	Received  uint64                   `json:"received"`
	Accepted  map[policy.Action]uint64 `json:"accepted"`
	Dropped   map[hub.Reason]uint64    `json:"dropped"`
	Made      uint64                   `json:"made"`
	Due       uint64                   `json:"due"`
	Delivered uint64                   `json:"delivered"`
	Pending   uint64                   `json:"pending"`
	Discarded map[hub.Reason]uint64    `json:"discarded"`
	BytesIn   uint64                   `json:"bytes_in"`
	BytesOut  uint64                   `json:"bytes_out"`

	Slowed        map[hub.Reason]uint64  `json:"slowed"`
	SlowedSeconds map[hub.Reason]float64 `json:"slowed_seconds"`

	Rates        Rates        `json:"rates"`
	Users        int          `json:"users"`
	Lag          uint64       `json:"lag"`
	Lags         uint64       `json:"lags"`
	Log          uint64       `json:"log"`
	ProbeSeconds *float64     `json:"probe_seconds"`
	Limits       limitsAnswer `json:"limits"`
	Policy       Policy       `json:"policy"`
	Audit        *auditAnswer `json:"audit"`
}

// A Policy is one by name and content.
type Policy struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

type limitsAnswer struct {
	Connections    int         `json:"connections"`
	LagHard        uint64      `json:"lag_hard"`
	LagSoft        uint64      `json:"lag_soft"`
	LagSoftSeconds float64     `json:"lag_soft_seconds"`
	Log            uint64      `json:"log"`
	MaxPDU         int         `json:"max_pdu"`
	Users          int         `json:"users"`
	PeerUsers      int         `json:"peer_users"`
	OnBreach       string      `json:"on_breach"`
	Quota          quotaAnswer `json:"quota"`
	PeerQuota      quotaAnswer `json:"peer_quota"`
}

type quotaAnswer struct {
	PDUsIn   uint64 `json:"pdus_in"`
	BytesIn  uint64 `json:"bytes_in"`
	BytesOut uint64 `json:"bytes_out"`
}

type auditAnswer struct {
	Policy Policy     `json:"policy"`
	Rows   []auditRow `json:"rows"`
}

type auditRow struct {
	Command string `json:"command"`
	PDUs    uint64 `json:"pdus"`
	Sent    copies `json:"sent"`
	Audited copies `json:"audited"`
	Useless copies `json:"useless"`
	Missed  copies `json:"missed"`
	Faults  uint64 `json:"faults"`
}

type copies struct {
	PDUs  uint64 `json:"pdus"`
	Bytes uint64 `json:"bytes"`
}

func (s *Server) tenants(w http.ResponseWriter, _ *http.Request) error {
	s.sampler.want()
	all := []tenantAnswer{}
	for _, t := range s.facts.Tenants() {
		all = append(all, s.describe(t))
	}
	return answer(w, http.StatusOK, map[string]any{"tenants": all})
}

// describe tells everything of a tenant.
func (s *Server) describe(t Tenant) tenantAnswer {
	h := t.Hub()
	c, sample := h.Counts(), s.sampler.of(t)
	return tenantAnswer{
		Tenant: t.Name, Sessions: c.Sessions, Received: c.Received, Accepted: c.Actions, Dropped: c.Dropped,
		Made: c.Made, Due: c.Due, Delivered: c.Delivered, Pending: c.Pending, Discarded: c.Discarded,
		BytesIn: c.BytesIn, BytesOut: c.BytesOut, Slowed: c.Slowed, SlowedSeconds: inSeconds(c.SlowedTime),
		Rates: sample.rates, Users: h.Users(), Lag: c.Lag, Lags: c.Lags, Log: h.Memory(), ProbeSeconds: sample.probe,
		Limits: limitsOf(t.Limits), Policy: policyOf(t), Audit: auditOf(t),
	}
}

func inSeconds(times map[hub.Reason]time.Duration) map[hub.Reason]float64 {
	seconds := make(map[hub.Reason]float64)
	for why, d := range times {
		seconds[why] = d.Seconds()
	}
	return seconds
}

func limitsOf(l proxy.Limits) limitsAnswer {
	quota := func(r tenant.Rates) quotaAnswer { return quotaAnswer{r.PDUsIn, r.BytesIn, r.BytesOut} }
	a := limitsAnswer{Connections: l.Connections, LagHard: l.LagHard, LagSoft: l.LagSoft, LagSoftSeconds: l.LagSoftTime.Seconds(),
		Log: l.LogBytes, MaxPDU: l.MaxPDU, Users: l.Users, PeerUsers: l.PeerUsers, OnBreach: "slow",
		Quota: quota(l.Quota.Tenant), PeerQuota: quota(l.Quota.Peer)}
	if l.Quota.OnBreach == tenant.Drop {
		a.OnBreach = "drop"
	}
	return a
}

// policyOf returns the policy in force; nothing of a tenant that has just ended.
func policyOf(t Tenant) Policy {
	g := t.Judge.TryAcquire()
	if g == nil {
		return Policy{}
	}
	defer g.Release()
	return Policy{g.Name, g.SHA256}
}

// look returns the generation in force, which is the caller's to release.
func look(t Tenant) (*policy.Generation, error) {
	g := t.Judge.TryAcquire()
	if g == nil {
		return nil, refuse(http.StatusNotFound, "tenant %s has just ended", t.Name)
	}
	return g, nil
}

func auditOf(t Tenant) *auditAnswer {
	if t.Audited.Name == "" {
		return nil
	}
	a := &auditAnswer{Policy: t.Audited, Rows: []auditRow{}}
	for _, r := range t.Hub().Audit() {
		row := auditRow{Command: r.Command.String(), PDUs: r.PDUs, Sent: copies(r.Sent), Audited: copies(r.Audited),
			Useless: copies(r.Useless), Missed: copies(r.Missed), Faults: r.Faults}
		if r.Command == 0 {
			row.Command = "unknown"
		}
		a.Rows = append(a.Rows, row)
	}
	return a
}
