package client

import "time"

// What the server answers, as far as it is used here. Counts are since the tenant began
// to be served, rates per second; sizes and lags are bytes.

// Rates are how much passes in a second.
type Rates struct {
	PDUsIn   float64 `json:"pdus_in"`
	BytesIn  float64 `json:"bytes_in"`
	PDUsOut  float64 `json:"pdus_out"`
	BytesOut float64 `json:"bytes_out"`
}

// A Snapshot is how everything stands.
type Snapshot struct {
	Time     time.Time `json:"time"`
	Uptime   float64   `json:"uptime_seconds"`
	Draining bool      `json:"draining"`
	Latency  *Latency  `json:"latency"` // nil if not known
	Tenants  []Tenant  `json:"tenants"`
}

// Latency is how long PDUs take through the logs of all tenants, in seconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// A Tenant is what a snapshot has of one.
type Tenant struct {
	Tenant    string            `json:"tenant"`
	Sessions  int64             `json:"sessions"`
	Received  uint64            `json:"received"`
	Delivered uint64            `json:"delivered"`
	Pending   uint64            `json:"pending"`
	Dropped   map[string]uint64 `json:"dropped"`   // by reason
	Discarded map[string]uint64 `json:"discarded"` // by reason
	BytesIn   uint64            `json:"bytes_in"`
	BytesOut  uint64            `json:"bytes_out"`
	Rates     Rates             `json:"rates"`
	Users     uint64            `json:"users"`
	Lag       uint64            `json:"lag"`  // of the peer furthest behind
	Lags      uint64            `json:"lags"` // of all peers together
	Log       uint64            `json:"log"`
	Paused    int64             `json:"paused"` // sessions that are not read from now
	Policy    Policy            `json:"policy"`
	Faults    map[string]uint64 `json:"faults"`
	Commands  []Command         `json:"commands"`
}

// A Policy is one by name and content.
type Policy struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// A Command is what peers said of one.
type Command struct {
	Command string            `json:"command"` // by name; other for those that the protocol does not have
	ID      uint16            `json:"id"`
	PDUs    uint64            `json:"pdus"`
	Bytes   uint64            `json:"bytes"`
	Rate    float64           `json:"rate"`
	Actions map[string]uint64 `json:"actions"`
}

// Connections are sessions, as many as were asked for.
type Connections struct {
	Total       int          `json:"total"` // how many there are
	Connections []Connection `json:"connections"`
}

// A Connection is one session.
type Connection struct {
	Tenant     string    `json:"tenant"`
	Session    uint64    `json:"session"`
	Peer       string    `json:"peer"` // address and port
	Listener   string    `json:"listener"`
	Identities []string  `json:"identities"`
	Since      time.Time `json:"since"`
	Master     bool      `json:"master"`
	Users      uint64    `json:"users"`
	PDUsIn     uint64    `json:"pdus_in"`
	BytesIn    uint64    `json:"bytes_in"`
	PDUsOut    uint64    `json:"pdus_out"`
	BytesOut   uint64    `json:"bytes_out"`
	Rates      Rates     `json:"rates"`
	Lag        uint64    `json:"lag"`
	Paused     bool      `json:"paused"`
}
