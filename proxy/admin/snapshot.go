package admin

import (
	"slices"
	"time"

	"switchyard/policy"
	"switchyard/proxy/hub"
)

// snapshot is how everything stands, as JSON has it.
type snapshot struct {
	Time          time.Time          `json:"time"`
	UptimeSeconds float64            `json:"uptime_seconds"`
	Draining      bool               `json:"draining"`
	Totals        totals             `json:"totals"`
	Latency       *Latency           `json:"latency"`
	Tenants       []tenantSnapshot   `json:"tenants"`
	Fastest       []connectionAnswer `json:"fastest"`
	Slowest       []connectionAnswer `json:"slowest"`
}

type totals struct {
	Tenants   int    `json:"tenants"`
	Sessions  int    `json:"sessions"`
	Received  uint64 `json:"received"`
	Delivered uint64 `json:"delivered"`
	Dropped   uint64 `json:"dropped"`
	Discarded uint64 `json:"discarded"`
	Pending   uint64 `json:"pending"`
	BytesIn   uint64 `json:"bytes_in"`
	BytesOut  uint64 `json:"bytes_out"`
	Users     int    `json:"users"`
	Rates     Rates  `json:"rates"`
}

type tenantSnapshot struct {
	Tenant       string                      `json:"tenant"`
	Sessions     int                         `json:"sessions"`
	Received     uint64                      `json:"received"`
	Delivered    uint64                      `json:"delivered"`
	Pending      uint64                      `json:"pending"`
	Dropped      map[hub.Reason]uint64       `json:"dropped"`
	Discarded    map[hub.Reason]uint64       `json:"discarded"`
	BytesIn      uint64                      `json:"bytes_in"`
	BytesOut     uint64                      `json:"bytes_out"`
	Rates        Rates                       `json:"rates"`
	Users        int                         `json:"users"`
	Lag          uint64                      `json:"lag"`
	Lags         uint64                      `json:"lags"`
	Log          uint64                      `json:"log"`
	Paused       int                         `json:"paused"`
	ProbeSeconds *float64                    `json:"probe_seconds"`
	Policy       Policy                      `json:"policy"`
	Faults       map[policy.FaultKind]uint64 `json:"faults"`
	Commands     []commandTraffic            `json:"commands"`
}

type commandTraffic struct {
	Command string                   `json:"command"`
	ID      uint16                   `json:"id"`
	PDUs    uint64                   `json:"pdus"`
	Bytes   uint64                   `json:"bytes"`
	Rate    float64                  `json:"rate"`
	Actions map[policy.Action]uint64 `json:"actions"`
}

// mostShown is how many sessions a snapshot has of the fastest and of the slowest.
const mostShown = 10

// snapshot tells how everything stands.
func (s *Server) snapshot() snapshot {
	now := time.Now()
	tenants := s.facts.Tenants()
	n := snapshot{Time: now.UTC(), UptimeSeconds: now.Sub(s.facts.Started).Seconds(), Draining: s.facts.Draining(),
		Latency: s.sampler.latency(), Tenants: []tenantSnapshot{}}
	lines := s.lines(tenants)
	paused := make(map[string]int)
	for _, l := range lines {
		if l.Paused() {
			paused[l.tenant.Name]++
		}
	}
	for _, t := range tenants {
		one := s.tenantSnapshot(t)
		one.Paused = paused[t.Name]
		n.Tenants = append(n.Tenants, one)
		n.Totals.add(one)
	}
	n.Fastest = tell(most(lines, byRate, func(l line) bool { return l.rates.BytesIn > 0 }))
	n.Slowest = tell(most(lines, byLag, func(l line) bool { return l.Lag > 0 }))
	return n
}

// most returns the first of those lines that count.
func most(lines []line, order func(a, b line) int, counts func(line) bool) []line {
	var first []line
	for _, l := range lines {
		if !counts(l) || len(first) == mostShown && order(first[mostShown-1], l) < 0 {
			continue
		}
		i, _ := slices.BinarySearchFunc(first, l, order)
		first = slices.Insert(first, i, l)
		first = first[:min(len(first), mostShown)]
	}
	return first
}

func (s *Server) tenantSnapshot(t Tenant) tenantSnapshot {
	h, sample := t.Hub(), s.sampler.of(t)
	c := h.Counts()
	one := tenantSnapshot{Tenant: t.Name, Sessions: c.Sessions, Received: c.Received, Delivered: c.Delivered, Pending: c.Pending,
		Dropped: c.Dropped, Discarded: c.Discarded, BytesIn: c.BytesIn, BytesOut: c.BytesOut, Rates: sample.rates,
		Users: h.Users(), Lag: c.Lag, Lags: c.Lags, Log: h.Memory(), ProbeSeconds: sample.probe,
		Faults: map[policy.FaultKind]uint64{}, Commands: trafficOf(h, sample)}
	if g := t.Judge.TryAcquire(); g != nil {
		defer g.Release()
		one.Policy, one.Faults = Policy{g.Name, g.SHA256}, faultsOf(g)
	}
	return one
}

// trafficOf tells of the commands that peers have said.
func trafficOf(h *hub.Hub, s *sample) []commandTraffic {
	all := []commandTraffic{}
	for _, said := range h.CommandStats() {
		t := commandTraffic{Command: said.Command.String(), ID: uint16(said.Command), PDUs: said.PDUs, Bytes: said.Bytes,
			Rate: s.commandRates[said.Command], Actions: said.Actions}
		if said.Command == 0 {
			t.Command = "other"
		}
		all = append(all, t)
	}
	return all
}

func (t *totals) add(o tenantSnapshot) {
	t.Tenants++
	t.Sessions += o.Sessions
	t.Received += o.Received
	t.Delivered += o.Delivered
	t.Pending += o.Pending
	t.BytesIn += o.BytesIn
	t.BytesOut += o.BytesOut
	t.Users += o.Users
	t.Rates.add(o.Rates)
	for _, n := range o.Dropped {
		t.Dropped += n
	}
	for _, n := range o.Discarded {
		t.Discarded += n
	}
}
