package api

import (
	"time"

	"switchyard/policy/review"
)

// The answers to /api/v1/policies, /api/v1/policies/compare, /api/v1/compare and /api/v1/routes. What a
// verdict does is said in the words of package review, as on the command line.

// Policies are the histories of tenants.
type Policies struct {
	Policies []History `json:"policies"`
}

// A History is the last 50 policies of one tenant, the latest first.
type History struct {
	Tenant  string        `json:"tenant"`
	History []PolicyEvent `json:"history"`
}

// A PolicyEvent is one policy that came into force, or that was refused.
type PolicyEvent struct {
	ID          uint64            `json:"id"` // rises with time, over all tenants
	Tenant      string            `json:"tenant"`
	State       string            `json:"state"` // InForce, Retired or Refused
	Name        string            `json:"name"`
	SHA256      string            `json:"sha256"`        // of the file, in hex; empty if it was refused before it could be read
	Module      string            `json:"module_sha256"` // of the module, in hex; empty if it was refused
	Signature   *Signature        `json:"signature"`     // nil if it is not signed
	Since       time.Time         `json:"since"`         // when it came into force, or was refused
	Until       *time.Time        `json:"until"`         // when it was replaced; nil for the one in force and for refused ones
	Gate        string            `json:"gate"`          // that refused it; empty if none did
	Error       string            `json:"error"`         // why it was refused; empty if it was not
	Faults      map[string]uint64 `json:"faults"`        // by kind
	LoadSeconds *float64          `json:"load_seconds"`  // how long loading took; nil if not known
	Routes      string            `json:"routes"`        // what it does, in one line
}

// States of a policy.
const (
	InForce = "in-force"
	Retired = "retired"
	Refused = "refused" // the result of a reload as well
)

// A Signature is who vouched for a policy.
type Signature struct {
	Version uint64     `json:"version"`
	Signers []string   `json:"signers"` // names of keys in the configuration
	Expires *time.Time `json:"expires"` // nil is never
}

// Routes are the routing table of the policy in force.
type Routes struct {
	Tenant   string   `json:"tenant"`
	Policy   Policy   `json:"policy"`
	Routes   []Route  `json:"routes"`   // by command id; review.Else at the end
	Asked    string   `json:"asked"`    // what the policy was asked about, in words
	Warnings []string `json:"warnings"` // about the policy as a whole
}

// A Route is a row of the routing table, with the traffic so far.
type Route struct {
	Command string `json:"command"` // as in review.Row, or review.Else
	First   uint16 `json:"first"`   // the lowest id
	Last    uint16 `json:"last"`    // the highest id
	Known   bool   `json:"known"`   // it is a command of the protocol, or a custom one
	Alike   bool   `json:"alike"`   // it is treated as unknown commands are
	review.Scope
	Decision review.Decision   `json:"decision"`
	PDUs     uint64            `json:"pdus"` // of those commands under any service, as far as unknown ones are counted by themselves; the others count as review.Else
	Bytes    uint64            `json:"bytes"`
	Rate     float64           `json:"rate"`    // PDUs per second
	Actions  map[string]uint64 `json:"actions"` // PDUs by what was done with them, by this policy or earlier ones
}

// A Comparison is what a candidate would change. It is not installed.
type Comparison struct {
	Tenant   string   `json:"tenant"`
	Before   Policy   `json:"before"`
	After    Policy   `json:"after"`
	Same     bool     `json:"same"` // module and configuration are those in force
	Changes  []Change `json:"changes"`
	Asked    string   `json:"asked"`    // what both were asked about, in words
	Warnings []string `json:"warnings"` // about the candidate as a whole
}

// A Change is a review.Change without the weight that a capture would give it.
type Change struct {
	Command  string `json:"command"`
	First    uint16 `json:"first"`
	Last     uint16 `json:"last"`
	Known    bool   `json:"known"`
	Alike    bool   `json:"alike"`    // both policies treat it as unknown commands
	Unproven bool   `json:"unproven"` // both inspect it, each with its own code: only traffic can show a difference
	review.Scope
	Before review.Decision `json:"before"`
	After  review.Decision `json:"after"`
}
