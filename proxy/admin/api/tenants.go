package api

// The answers to /api/v1/tenants and /api/v1/presence.

// Tenants are all tenants, by name.
type Tenants struct {
	Tenants []Tenant `json:"tenants"`
}

// A Tenant is everything there is to know about one. Its counts add up:
//
//	Received = sum of Accepted + sum of Dropped + Underway
//	Due      = Delivered + Pending + sum of Discarded
type Tenant struct {
	Tenant    string            `json:"tenant"` // its name
	Sessions  int               `json:"sessions"`
	Received  uint64            `json:"received"`           // PDUs from peers
	Accepted  map[string]uint64 `json:"accepted"`           // PDUs by action; drop is not among them
	Dropped   map[string]uint64 `json:"dropped"`            // PDUs by reason
	Underway  uint64            `json:"underway,omitempty"` // PDUs judged that have not come back in the cluster's order
	Lost      uint64            `json:"lost"`               // PDUs dropped for other reasons than policy, over-limit and no-holder, which are as the policy says
	Made      uint64            `json:"made"`               // PDUs that the hub created: notices, answers, heartbeats
	Due       uint64            `json:"due"`                // copies to be sent to peers
	Delivered uint64            `json:"delivered"`          // copies written whole
	Pending   uint64            `json:"pending"`            // copies not written yet
	Discarded map[string]uint64 `json:"discarded"`          // copies by the reason for which the session ended
	BytesIn   uint64            `json:"bytes_in"`
	BytesOut  uint64            `json:"bytes_out"`

	Slowed        map[string]uint64  `json:"slowed"`         // pauses in reading from a sender, by reason
	SlowedSeconds map[string]float64 `json:"slowed_seconds"` // length of the pauses that have ended, by reason

	Groups []Group `json:"groups"` // that have peers, or had copies, by name

	Rates        Rates    `json:"rates"`
	Users        int      `json:"users"`         // present
	Lag          uint64   `json:"lag"`           // of the peer furthest behind
	Lags         uint64   `json:"lags"`          // of all peers together
	Log          uint64   `json:"log"`           // memory of the logs
	ProbeSeconds *float64 `json:"probe_seconds"` // how long the last probe took through the log; nil before the first
	Limits       Limits   `json:"limits"`
	Policy       Policy   `json:"policy"`
	PolicyError  string   `json:"policy_error"` // why the policy that the configuration names is refused; empty if it is in force
	AuditError   string   `json:"audit_error"`  // the same of the policy that is to be audited; empty if none is
	Audit        *Audit   `json:"audit"`        // nil if no policy is audited
}

// A Group is a group of a tenant's peers.
type Group struct {
	Group  string `json:"group"`  // its name
	Peers  int    `json:"peers"`  // that are in it now
	Copies uint64 `json:"copies"` // of PDUs that its peers got because a verdict names the group
}

// Limits are what the configuration allows a tenant. 0 means no limit.
type Limits struct {
	Connections    int     `json:"connections"` // at once
	LagHard        uint64  `json:"lag_hard"`    // a peer that lags more is closed at once
	LagSoft        uint64  `json:"lag_soft"`    // a peer that lags more for LagSoftSeconds is closed
	LagSoftSeconds float64 `json:"lag_soft_seconds"`
	Log            uint64  `json:"log"`        // memory of the logs
	MaxPDU         int     `json:"max_pdu"`    // size of a PDU
	Users          int     `json:"users"`      // presence entries of all peers together
	PeerUsers      int     `json:"peer_users"` // presence entries of one peer
	OnBreach       string  `json:"on_breach"`  // what happens to a peer over its quota: slow or drop
	Quota          Quota   `json:"quota"`      // of the tenant
	PeerQuota      Quota   `json:"peer_quota"` // of one peer
}

// A Quota is what may pass in a second. 0 means no limit.
type Quota struct {
	PDUsIn   uint64 `json:"pdus_in"`
	BytesIn  uint64 `json:"bytes_in"`
	BytesOut uint64 `json:"bytes_out"` // after fan-out
}

// An Audit compares a second policy, which is evaluated and not obeyed, with the one in
// force.
type Audit struct {
	Policy Policy     `json:"policy"`
	Rows   []AuditRow `json:"rows"` // by command id
}

// An AuditRow is what the audited policy would have done with one command.
type AuditRow struct {
	Command string `json:"command"` // by name; unknown for all commands that the protocol does not have
	PDUs    uint64 `json:"pdus"`    // compared
	Sent    Copies `json:"sent"`    // by the policy in force
	Audited Copies `json:"audited"` // that the audited policy would have sent
	Useless Copies `json:"useless"` // that only the policy in force sent
	Missed  Copies `json:"missed"`  // that only the audited policy would have sent
	Faults  uint64 `json:"faults"`  // PDUs on which the audited policy failed to decide
}

// Copies are PDUs sent, each counted once for each receiver.
type Copies struct {
	PDUs  uint64 `json:"pdus"`
	Bytes uint64 `json:"bytes"`
}

// A Presence is who is present in a tenant.
type Presence struct {
	Tenant  string `json:"tenant"`
	Users   int    `json:"users"`   // present
	Entries int    `json:"entries"` // users, each counted once for each peer that holds it
	Limit   int    `json:"limit"`   // of Entries; 0 means no limit
	User    *User  `json:"user"`    // the user that was asked for; nil if none was
}

// A User is a user and the peers that hold it.
type User struct {
	User    uint64   `json:"user"`
	Present bool     `json:"present"`
	Holders []Holder `json:"holders"`
}

// A Holder is a peer that holds a user.
type Holder struct {
	Session uint64 `json:"session"`
	Peer    string `json:"peer"` // its address; empty if it has just left
}
