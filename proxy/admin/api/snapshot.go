package api

import "time"

// The answer to /api/v1/snapshot, which /api/v1/events sends once a second.

// A Snapshot is the state of the server at one moment: what changes all the time.
type Snapshot struct {
	Time          time.Time        `json:"time"`
	UptimeSeconds float64          `json:"uptime_seconds"`
	Draining      bool             `json:"draining"`
	Totals        Totals           `json:"totals"`
	Latency       *Latency         `json:"latency"` // nil if not known
	Tenants       []TenantSnapshot `json:"tenants"` // by name
	Fastest       []Connection     `json:"fastest"` // the 10 sessions that send most bytes per second
	Slowest       []Connection     `json:"slowest"` // the 10 sessions with the largest lag, of those that lag
}

// Totals are all tenants together.
type Totals struct {
	Tenants   int    `json:"tenants"`
	Sessions  int    `json:"sessions"`
	Received  uint64 `json:"received"`
	Delivered uint64 `json:"delivered"`
	Dropped   uint64 `json:"dropped"`
	Lost      uint64 `json:"lost"` // of those dropped, all that the policy did not want dropped
	Discarded uint64 `json:"discarded"`
	Pending   uint64 `json:"pending"`
	BytesIn   uint64 `json:"bytes_in"`
	BytesOut  uint64 `json:"bytes_out"`
	Users     int    `json:"users"`
	Rates     Rates  `json:"rates"`
}

// Latency is how long probes took through the logs of all tenants in the last minute, in
// seconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// A TenantSnapshot is the part of a snapshot about one tenant. Its fields mean what
// those of Tenant do.
type TenantSnapshot struct {
	Tenant       string            `json:"tenant"`
	Sessions     int               `json:"sessions"`
	Received     uint64            `json:"received"`
	Delivered    uint64            `json:"delivered"`
	Pending      uint64            `json:"pending"`
	Dropped      map[string]uint64 `json:"dropped"`
	Underway     uint64            `json:"underway,omitempty"`
	Lost         uint64            `json:"lost"`
	Discarded    map[string]uint64 `json:"discarded"`
	BytesIn      uint64            `json:"bytes_in"`
	BytesOut     uint64            `json:"bytes_out"`
	Rates        Rates             `json:"rates"`
	Users        int               `json:"users"`
	Lag          uint64            `json:"lag"`
	Lags         uint64            `json:"lags"`
	Log          uint64            `json:"log"`
	Paused       int               `json:"paused"` // sessions that are not read from now
	ProbeSeconds *float64          `json:"probe_seconds"`
	Policy       Policy            `json:"policy"`
	Faults       map[string]uint64 `json:"faults"`            // of the policy in force, by kind
	Commands     []CommandTraffic  `json:"commands"`          // that peers have sent
	Cluster      *ClusterTenant    `json:"cluster,omitempty"` // nil if this hub alone serves the tenant by its configuration
}

// CommandTraffic is what peers have sent of one command.
type CommandTraffic struct {
	Command string            `json:"command"` // by name; unknown ones by id, and other for all of them that have no entry
	ID      uint16            `json:"id"`      // 0 for other
	PDUs    uint64            `json:"pdus"`
	Bytes   uint64            `json:"bytes"`
	Rate    float64           `json:"rate"`    // PDUs per second
	Actions map[string]uint64 `json:"actions"` // PDUs by what was done with them
}
