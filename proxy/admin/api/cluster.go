package api

// The answer to /api/v1/cluster, which is a part of each tenant in a snapshot as well.

// A Cluster is what this hub is in its cluster.
type Cluster struct {
	Tenants []ClusterTenant `json:"tenants"` // by name; without those that the hub serves alone by its configuration
}

// A ClusterTenant is what a tenant's hub is among those that act as one, and what it has counted
// since the tenant was made.
type ClusterTenant struct {
	Tenant       string          `json:"tenant"`
	State        string          `json:"state"` // entering, together, waiting, alone or departed
	Why          string          `json:"why"`   // it enters, or entered last: start, gone, fell-out, …
	Hub          uint16          `json:"hub"`   // its number
	Incarnation  uint32          `json:"incarnation"`
	Position     ClusterPosition `json:"position"`  // up to which it has applied the log
	TableSum     string          `json:"table_sum"` // of the user table as of there, in hexadecimal; equal tables have equal sums
	Members      []ClusterMember `json:"members"`   // as of there, by number; empty unless it is one of them
	Rules        uint8           `json:"rules"`     // in force
	QuietSeconds float64         `json:"quiet_seconds"`

	UnderwayRecords int     `json:"underway_records"` // said and not come back
	UnderwayBytes   int     `json:"underway_bytes"`
	UnderwaySeconds float64 `json:"underway_seconds"` // age of the oldest

	Applied         map[string]uint64 `json:"applied"`          // records, by the number of the hub that said them
	Ignored         map[string]uint64 `json:"ignored"`          // records, by why they did not count
	Entered         map[string]uint64 `json:"entered"`          // by why
	FellOut         map[string]uint64 `json:"fell_out"`         // by why
	Gone            uint64            `json:"gone"`             // hubs that ceased to be members
	Alone           uint64            `json:"alone"`            // times that this hub continued alone
	TableMismatches uint64            `json:"table_mismatches"` // checks at which not all tables were equal

	PolicyMismatches int `json:"policy_mismatches"` // other members that have no policy in common with this hub
}

// A ClusterPosition is a place in a log. Another epoch is another log.
type ClusterPosition struct {
	Epoch    string `json:"epoch"` // Unix nanoseconds of its creation, in decimal, as readers of JSON may know no integers of 64 bits
	Sequence uint64 `json:"sequence"`
}

// A ClusterMember is a hub that is a member.
type ClusterMember struct {
	Hub         uint16   `json:"hub"`
	Incarnation uint32   `json:"incarnation"`
	Name        string   `json:"name"`
	Ready       bool     `json:"ready"`    // it has the tenant's state
	Next        uint64   `json:"next"`     // number of its next record
	Policies    []string `json:"policies"` // sums of what it has in force, in hexadecimal

	HeardSeconds  float64 `json:"heard_seconds"`  // since one of its records was read
	TablePosition uint64  `json:"table_position"` // at which it took the sum of its user table last; 0 if it has told none
	TableSum      string  `json:"table_sum"`      // in hexadecimal
}
