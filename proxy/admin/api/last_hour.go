package api

import "time"

// The answer to /api/v1/last-hour, for charts.

// A LastHour is what happened in the last hour: a sample every EverySeconds, and marks.
type LastHour struct {
	Tenant       string    `json:"tenant"` // empty for all tenants together
	Since        time.Time `json:"since"`  // when samples began: an hour ago, or at the server's or the tenant's start
	EverySeconds float64   `json:"every_seconds"`
	Samples      []Sample  `json:"samples"` // the earliest first
	Marks        []Mark    `json:"marks"`   // the earliest first
}

// A Sample is the average since the sample before, and the lag at its time.
type Sample struct {
	Time         time.Time `json:"time"`
	Rates        Rates     `json:"rates"`
	Lag          uint64    `json:"lag"`           // of the peer furthest behind
	ProbeSeconds *float64  `json:"probe_seconds"` // of one tenant, how long the last probe took through its log
	Latency      *Latency  `json:"latency"`       // of all tenants together; nil if not known
}

// A Mark is an event that explains why figures change.
type Mark struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`   // one of the Mark constants
	Tenant string    `json:"tenant"` // empty for the whole server
	Text   string    `json:"text"`
}

// Kinds of marks.
const (
	MarkStart   = "start"   // of the server, or the end of an upgrade
	MarkReload  = "reload"  // of the configuration
	MarkPolicy  = "policy"  // a policy came into force
	MarkRelease = "release" // a step of a release, a rollback, a kill or a revive
	MarkRefused = "refused" // a configuration or a policy was refused
)
