package server

import (
	"time"

	"switchyard/policy"
	"switchyard/policy/release"
	"switchyard/proxy"
	"switchyard/proxy/admin"
	"switchyard/proxy/admin/api"
	"switchyard/proxy/admission"
	"switchyard/proxy/cluster"
	"switchyard/proxy/hub"
	"switchyard/proxy/metrics"
)

// What both processes say about what moves, as JSON. A change needs another handover.Format, unless
// it is a field without which the other program does as before: what it does not know, it ignores. So
// a field that is added gets omitempty, and its zero means that the old program did not have it.

// A listenerRecord comes with a listening socket: of a listener of the configuration, or, without
// a name, of metrics or of the admin interface. A process that knows no address for metrics is not
// offered one, because it refuses a configuration with one.
type listenerRecord struct {
	Listener string
	State    admission.State // empty without a name
	Metrics  bool            `json:",omitempty"`
}

// A processRecord is what belongs to no tenant.
type processRecord struct {
	Upgrade   api.Upgrade   // with the sessions' fates
	By        string        // who asked for it
	Frozen    time.Duration // when peers ceased to be served, on the clock of monotonic
	Handovers handovers     // so far
	Reloads   metrics.Reloads
	Started   time.Time // of the service: the start of the first process

	LastHour *admin.Hour `json:",omitempty"` // of all tenants together
	Marks    []api.Mark  `json:",omitempty"` // in the charts of it
}

// A tenantRecord begins a tenant.
type tenantRecord struct {
	Name         string
	Hub          hub.State
	EndsOutdated bool // its outdated sessions are being ended, one after the other
	MemberChunks int  `json:"PlaceChunks,omitempty"` // how many of the chunks of presence are its clusterRecord

	Limits   []policy.BucketState     `json:",omitempty"` // of its policy's rate limits per tenant
	LastHour *admin.Hour              `json:",omitempty"`
	Releases map[release.State]uint64 `json:",omitempty"` // that ended, by how
	Weighed  *policy.Weighed          `json:",omitempty"` // by those, and by the one that is under way
}

// A clusterRecord is what a tenant's membership of a cluster needs to continue. It is encoded with gob, as it can have
// all that is under way.
type clusterRecord struct {
	Member   cluster.Checkpoint
	Underway hub.Underway
}

// A sessionRecord comes with a connection.
type sessionRecord struct {
	Session  proxy.SessionState
	Listener string // that accepted it; "" if a reload has removed that
	Admitted admission.Record
}
