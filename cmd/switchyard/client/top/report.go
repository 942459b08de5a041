package top

import (
	"time"

	"switchyard/proxy/admin/api"
)

// A Report is the state of the server and the rates between two samples. The names of its
// fields in JSON do not change. Counts begin when the tenant begins to be served. Rates are
// per second between the samples; for what only the second sample has, they are the
// server's own. Sizes and lags are bytes.
type Report struct {
	Time     time.Time    `json:"time"`
	Server   string       `json:"server"` // its address or path
	Uptime   float64      `json:"uptime_seconds"`
	Draining bool         `json:"draining"`
	Seconds  float64      `json:"seconds"` // between the samples; 0 if there was one
	Latency  *api.Latency `json:"latency"` // in seconds; nil if not known
	Rates    api.Rates    `json:"rates"`   // of the tenants below together
	Sessions int          `json:"sessions"`
	Tenants  []Tenant     `json:"tenants"`
	Commands []Command    `json:"commands"`
	Peers    []Peer       `json:"peers"`
}

// A Tenant is the row of one tenant.
type Tenant struct {
	Tenant   string     `json:"tenant"`
	Sessions int        `json:"sessions"`
	Users    int        `json:"users"`
	Received uint64     `json:"received"`
	Dropped  uint64     `json:"dropped"`
	DropRate float64    `json:"drop_rate"`
	Lost     uint64     `json:"lost"` // dropped, and not as the policy says
	LostRate float64    `json:"lost_rate"`
	Rates    api.Rates  `json:"rates"`
	Paused   int        `json:"paused"` // sessions that are not read from now
	Lag      uint64     `json:"lag"`    // of the peer furthest behind
	Lags     uint64     `json:"lags"`   // of all peers together
	Log      uint64     `json:"log"`    // memory of the logs
	Policy   api.Policy `json:"policy"`

	Cluster *api.ClusterTenant `json:"cluster,omitempty"` // nil if this hub alone serves the tenant by its configuration
}

// A Command is the row of a command that peers of one tenant send.
type Command struct {
	Tenant   string            `json:"tenant"`
	Command  string            `json:"command"`
	ID       uint16            `json:"id"`
	PDUs     uint64            `json:"pdus"`
	Bytes    uint64            `json:"bytes"`
	Rate     float64           `json:"rate"`
	ByteRate float64           `json:"byte_rate"`
	Actions  map[string]uint64 `json:"actions"`
}

// A Peer is the row of one session.
type Peer struct {
	Tenant     string    `json:"tenant"`
	Session    uint64    `json:"session"`
	Peer       string    `json:"peer"`
	Identities []string  `json:"identities"`
	Groups     []string  `json:"groups"`
	Since      time.Time `json:"since"`
	Master     bool      `json:"master"`
	Standby    bool      `json:"standby"`
	Paused     bool      `json:"paused"`
	Users      int       `json:"users"`
	PDUsIn     uint64    `json:"pdus_in"`
	OverLimit  float64   `json:"over_limit"` // PDUs per second beyond a rate limit of the policy
	BytesIn    uint64    `json:"bytes_in"`
	PDUsOut    uint64    `json:"pdus_out"`
	BytesOut   uint64    `json:"bytes_out"`
	Rates      api.Rates `json:"rates"`
	Lag        uint64    `json:"lag"`
}

// compare makes a report from two samples; before may be nil. Rates are differences of counts, not
// averages of the server's rates, so they are exact over the interval:
//
//	before   10.0 s   received 1,000    lost 3
//	now      12.0 s   received 1,500    lost 3    ▶ in 250/s, lost 0/s
func compare(server string, before, now *sample) *Report {
	w := now.snapshot
	s := &Report{Time: w.Time, Server: server, Uptime: w.UptimeSeconds, Draining: w.Draining, Latency: w.Latency,
		Sessions: now.sessions.Total, Tenants: []Tenant{}, Commands: []Command{}, Peers: []Peer{}}
	tenants := make(map[string]api.TenantSnapshot)
	if before != nil {
		s.Seconds = max(0, w.Time.Sub(before.snapshot.Time).Seconds())
		for _, t := range before.snapshot.Tenants {
			tenants[t.Tenant] = t
		}
	}
	for _, t := range w.Tenants {
		s.addTenant(t, tenants[t.Tenant])
	}
	s.addPeers(before, now)
	return s
}

// addTenant adds a tenant and its commands; before is the zero value for a tenant that the
// earlier sample does not have. Lower counts mean that the tenant was removed and added
// again in between.
func (s *Report) addTenant(t, before api.TenantSnapshot) {
	known := s.Seconds > 0 && before.Tenant == t.Tenant && t.Received >= before.Received && t.Delivered >= before.Delivered
	entry := Tenant{Tenant: t.Tenant, Sessions: t.Sessions, Users: t.Users, Received: t.Received, Dropped: sum(t.Dropped), Lost: t.Lost,
		Rates: t.Rates, Paused: t.Paused, Lag: t.Lag, Lags: t.Lags, Log: t.Log, Policy: t.Policy, Cluster: t.Cluster}
	if known {
		// Counts are compared, since rates of the server are averages over another interval.
		entry.DropRate = per(entry.Dropped, sum(before.Dropped), s.Seconds)
		entry.LostRate = per(entry.Lost, before.Lost, s.Seconds)
		entry.Rates = api.Rates{
			PDUsIn: per(t.Received, before.Received, s.Seconds), BytesIn: per(t.BytesIn, before.BytesIn, s.Seconds),
			PDUsOut: per(t.Delivered, before.Delivered, s.Seconds), BytesOut: per(t.BytesOut, before.BytesOut, s.Seconds)}
	}
	s.Tenants = append(s.Tenants, entry)
	s.Rates.PDUsIn += entry.Rates.PDUsIn
	s.Rates.BytesIn += entry.Rates.BytesIn
	s.Rates.PDUsOut += entry.Rates.PDUsOut
	s.Rates.BytesOut += entry.Rates.BytesOut

	commands := make(map[string]api.CommandTraffic)
	for _, c := range before.Commands {
		commands[c.Command] = c
	}
	for _, c := range t.Commands {
		entry := Command{Tenant: t.Tenant, Command: c.Command, ID: c.ID, PDUs: c.PDUs, Bytes: c.Bytes, Rate: c.Rate, Actions: c.Actions}
		if known { // a command that is new had a count of 0
			was := commands[c.Command]
			entry.Rate, entry.ByteRate = per(c.PDUs, was.PDUs, s.Seconds), per(c.Bytes, was.Bytes, s.Seconds)
		}
		s.Commands = append(s.Commands, entry)
	}
}

// addPeers adds the sessions. A session keeps its number for as long as it lasts, and numbers begin
// again when the server is restarted, so a session is the same one only if it began at the same time.
func (s *Report) addPeers(before, now *sample) {
	type key struct {
		tenant  string
		session uint64
	}
	earlier := make(map[key]api.Connection)
	seconds := 0.0
	if before != nil {
		seconds = now.at.Sub(before.at).Seconds()
		for _, c := range before.sessions.Connections {
			earlier[key{c.Tenant, c.Session}] = c
		}
	}
	for _, c := range now.sessions.Connections {
		rates, over := c.Rates, 0.0
		if b, known := earlier[key{c.Tenant, c.Session}]; known && seconds > 0 && b.Since.Equal(c.Since) {
			rates = api.Rates{
				PDUsIn: per(c.PDUsIn, b.PDUsIn, seconds), BytesIn: per(c.BytesIn, b.BytesIn, seconds),
				PDUsOut: per(c.PDUsOut, b.PDUsOut, seconds), BytesOut: per(c.BytesOut, b.BytesOut, seconds)}
			over = per(c.OverLimit, b.OverLimit, seconds)
		}
		s.Peers = append(s.Peers, Peer{Tenant: c.Tenant, Session: c.Session, Peer: c.Peer, Identities: c.Identities, Groups: c.Groups, Since: c.Since,
			Master: c.Master, Standby: c.Standby, Paused: c.Paused, Users: c.Users, PDUsIn: c.PDUsIn, OverLimit: over, BytesIn: c.BytesIn, PDUsOut: c.PDUsOut, BytesOut: c.BytesOut,
			Rates: rates, Lag: c.Lag})
	}
}

// per returns how fast a count grew, per second; 0 for one that has fallen, which is another count.
func per(now, before uint64, seconds float64) float64 {
	if now < before {
		return 0
	}
	return float64(now-before) / seconds
}

// sum returns the sum of counts by reason.
func sum(counts map[string]uint64) (all uint64) {
	for _, n := range counts {
		all += n
	}
	return all
}
