package api

import "time"

// The answer to /api/v1/disconnects.

// Disconnects are sessions that have ended, the latest first.
type Disconnects struct {
	Disconnects []Disconnect `json:"disconnects"`
}

// A Disconnect is a session that has ended, with its counts at the end.
type Disconnect struct {
	Tenant   string    `json:"tenant"`
	Session  uint64    `json:"session"`
	Peer     string    `json:"peer"`     // address and port
	Listener string    `json:"listener"` // address at which it was accepted
	Identity string    `json:"identity"` // the name in its verified certificate, or its address
	Master   bool      `json:"master"`   // it had declared itself master
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Reason   string    `json:"reason"`  // of the end, as in the log and in the metrics
	Error    string    `json:"error"`   // what explains the reason; empty if there is nothing to say
	Warning  bool      `json:"warning"` // the peer or the path to it is at fault: the log has the end as a warning
	PDUsIn   uint64    `json:"pdus_in"`
	BytesIn  uint64    `json:"bytes_in"`
	PDUsOut  uint64    `json:"pdus_out"`
	BytesOut uint64    `json:"bytes_out"`
	Lag      uint64    `json:"lag"`
}
