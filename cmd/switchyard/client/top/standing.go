package top

import (
	"time"

	"switchyard/cmd/switchyard/client"
)

// A Standing is how everything stands, and how fast it moves. Its names in JSON stay as
// they are. Counts are since the tenant began to be served, rates per second over the
// time between two samples; of what was not in the first, they are what the server says.
type Standing struct {
	Time     time.Time       `json:"time"`
	Server   string          `json:"server"` // address or path that was asked
	Uptime   float64         `json:"uptime_seconds"`
	Draining bool            `json:"draining"`
	Seconds  float64         `json:"seconds"` // between the samples; 0 if there was one
	Latency  *client.Latency `json:"latency"` // in seconds; null if not known
	Rates    client.Rates    `json:"rates"`   // of the tenants below together
	Sessions int             `json:"sessions"`
	Tenants  []Tenant        `json:"tenants"`
	Commands []Command       `json:"commands"`
	Peers    []Peer          `json:"peers"`
}

// A Tenant is how one stands.
type Tenant struct {
	Tenant   string        `json:"tenant"`
	Sessions int64         `json:"sessions"`
	Users    uint64        `json:"users"`
	Received uint64        `json:"received"`
	Dropped  uint64        `json:"dropped"`
	DropRate float64       `json:"drop_rate"`
	Rates    client.Rates  `json:"rates"`
	Paused   int64         `json:"paused"` // sessions that are not read from now
	Lag      uint64        `json:"lag"`    // of the peer furthest behind
	Lags     uint64        `json:"lags"`   // of all peers together
	Log      uint64        `json:"log"`    // bytes of memory
	Policy   client.Policy `json:"policy"`
}

// A Command is what peers of one tenant say of one.
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

// A Peer is how one session stands.
type Peer struct {
	Tenant     string       `json:"tenant"`
	Session    uint64       `json:"session"`
	Peer       string       `json:"peer"`
	Identities []string     `json:"identities"`
	Since      time.Time    `json:"since"`
	Master     bool         `json:"master"`
	Paused     bool         `json:"paused"`
	Users      uint64       `json:"users"`
	PDUsIn     uint64       `json:"pdus_in"`
	BytesIn    uint64       `json:"bytes_in"`
	PDUsOut    uint64       `json:"pdus_out"`
	BytesOut   uint64       `json:"bytes_out"`
	Rates      client.Rates `json:"rates"`
	Lag        uint64       `json:"lag"`
}

// compare makes a standing of two samples; before may be nil.
func compare(server string, before, now *sample) *Standing {
	w := now.snapshot
	s := &Standing{Time: w.Time, Server: server, Uptime: w.Uptime, Draining: w.Draining, Latency: w.Latency,
		Sessions: now.sessions.Total, Tenants: []Tenant{}, Commands: []Command{}, Peers: []Peer{}}
	tenants := map[string]client.Tenant{}
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

// addTenant adds a tenant and its commands, with how it stood before. A tenant that has
// counted less than before was made anew.
func (s *Standing) addTenant(t, before client.Tenant) {
	known := s.Seconds > 0 && before.Tenant == t.Tenant && t.Received >= before.Received && t.Delivered >= before.Delivered
	entry := Tenant{Tenant: t.Tenant, Sessions: t.Sessions, Users: t.Users, Received: t.Received, Dropped: sum(t.Dropped),
		Rates: t.Rates, Paused: t.Paused, Lag: t.Lag, Lags: t.Lags, Log: t.Log, Policy: t.Policy}
	if known {
		entry.DropRate = per(entry.Dropped, sum(before.Dropped), s.Seconds)
		entry.Rates = client.Rates{
			PDUsIn: per(t.Received, before.Received, s.Seconds), BytesIn: per(t.BytesIn, before.BytesIn, s.Seconds),
			PDUsOut: per(t.Delivered, before.Delivered, s.Seconds), BytesOut: per(t.BytesOut, before.BytesOut, s.Seconds)}
	}
	s.Tenants = append(s.Tenants, entry)
	s.Rates.PDUsIn += entry.Rates.PDUsIn
	s.Rates.BytesIn += entry.Rates.BytesIn
	s.Rates.PDUsOut += entry.Rates.PDUsOut
	s.Rates.BytesOut += entry.Rates.BytesOut

	commands := map[string]client.Command{}
	for _, c := range before.Commands {
		commands[c.Command] = c
	}
	for _, c := range t.Commands {
		entry := Command{Tenant: t.Tenant, Command: c.Command, ID: c.ID, PDUs: c.PDUs, Bytes: c.Bytes, Rate: c.Rate, Actions: c.Actions}
		if known { // and if it was not said before, 0 is what it was
			was := commands[c.Command]
			entry.Rate, entry.ByteRate = per(c.PDUs, was.PDUs, s.Seconds), per(c.Bytes, was.Bytes, s.Seconds)
		}
		s.Commands = append(s.Commands, entry)
	}
}

// addPeers adds the sessions, with what they had said before.
func (s *Standing) addPeers(before, now *sample) {
	type key struct {
		tenant  string
		session uint64
	}
	was := map[key]client.Connection{}
	seconds := 0.0
	if before != nil {
		seconds = now.at.Sub(before.at).Seconds()
		for _, c := range before.sessions.Connections {
			was[key{c.Tenant, c.Session}] = c
		}
	}
	for _, c := range now.sessions.Connections {
		rates := c.Rates
		if b, known := was[key{c.Tenant, c.Session}]; known && seconds > 0 && b.Since.Equal(c.Since) {
			rates = client.Rates{
				PDUsIn: per(c.PDUsIn, b.PDUsIn, seconds), BytesIn: per(c.BytesIn, b.BytesIn, seconds),
				PDUsOut: per(c.PDUsOut, b.PDUsOut, seconds), BytesOut: per(c.BytesOut, b.BytesOut, seconds)}
		}
		s.Peers = append(s.Peers, Peer{Tenant: c.Tenant, Session: c.Session, Peer: c.Peer, Identities: c.Identities, Since: c.Since,
			Master: c.Master, Paused: c.Paused, Users: c.Users, PDUsIn: c.PDUsIn, BytesIn: c.BytesIn, PDUsOut: c.PDUsOut, BytesOut: c.BytesOut,
			Rates: rates, Lag: c.Lag})
	}
}

// per is how much a count grew in a second.
func per(now, before uint64, seconds float64) float64 {
	if now < before {
		return 0
	}
	return float64(now-before) / seconds
}

func sum(counts map[string]uint64) (all uint64) {
	for _, n := range counts {
		all += n
	}
	return all
}
