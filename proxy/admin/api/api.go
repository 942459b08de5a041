// Package api is the JSON of the admin interface as Go types: what the server writes and
// its clients read. A test holds it equal to openapi.json, which describes the same to
// programs in other languages.
//
// Throughout, sizes and lags are bytes, and sizes of PDUs include the header. Counts
// begin at 0 when the tenant begins to be served. Rates are per second. Times are UTC. A
// pointer that is nil is null in JSON; lists and maps are never null.
package api

import (
	"encoding/json"
	"time"
)

// An Error is the answer to a request that failed.
type Error struct {
	Error string `json:"error"`          // what is wrong, where, and what to do
	Gate  string `json:"gate,omitempty"` // the load gate that refused a policy, if one did
}

// Rates are averages over the last 1 to 10 seconds.
type Rates struct {
	PDUsIn   float64 `json:"pdus_in"`   // received from peers
	BytesIn  float64 `json:"bytes_in"`  // received from peers
	PDUsOut  float64 `json:"pdus_out"`  // copies written to peers
	BytesOut float64 `json:"bytes_out"` // written to peers
}

// Add adds o to r.
func (r *Rates) Add(o Rates) {
	r.PDUsIn += o.PDUsIn
	r.BytesIn += o.BytesIn
	r.PDUsOut += o.PDUsOut
	r.BytesOut += o.BytesOut
}

// A Policy identifies a policy.
type Policy struct {
	Name         string `json:"name"`          // as the configuration names it
	SHA256       string `json:"sha256"`        // of its file, in hex, as sha256sum prints it; of a shipped policy's module
	ModuleSHA256 string `json:"module_sha256"` // of the module, in hex: for a table, of that compiled from it
}

// A Drain is the answer to a request to stop.
type Drain struct {
	Draining       bool    `json:"draining"`
	TimeoutSeconds float64 `json:"timeout_seconds"` // what is not written by then is discarded
}

// A LogLevel is the level from which lines are logged: debug, info, warn or error. A
// request to change it has no Configured.
type LogLevel struct {
	Level      string `json:"level"`
	Configured string `json:"configured,omitempty"` // in the configuration
}

// A Line is one line of the log.
type Line struct {
	ID         uint64          `json:"id"` // rises with each line
	Time       time.Time       `json:"time"`
	Level      string          `json:"level"` // DEBUG, INFO, WARN or ERROR
	Message    string          `json:"message"`
	Attributes json.RawMessage `json:"attributes"` // an object
}
