package api

import (
	"encoding/json"
	"time"
)

// A line of the stream of /api/v1/tap.

// A TapLine is one line of a tap. Fields that do not apply to its kind are left out.
type TapLine struct {
	Kind    string    `json:"kind"` // one of the Tap constants
	Time    time.Time `json:"time"`
	Tenant  string    `json:"tenant"`
	Session uint64    `json:"session"` // 0 for statistics

	// Of a PDU.
	Service string          `json:"service,omitempty"` // by name, or as 0x0009
	Command string          `json:"command,omitempty"` // by name, or as 0x0720
	Seq     *uint16         `json:"seq,omitempty"`     // sequence number
	Length  int             `json:"length,omitempty"`  // header included
	Verdict string          `json:"verdict,omitempty"`
	Action  string          `json:"action,omitempty"`
	Fault   string          `json:"fault,omitempty"` // how the policy failed to decide
	Body    json.RawMessage `json:"body,omitempty"`  // the body's message, an object, if bodies were asked for
	Hex     string          `json:"hex,omitempty"`   // instead of Body if that is not a message, or too long
	Cut     bool            `json:"cut,omitempty"`   // Hex is only the beginning

	// Of statistics.
	Missed *uint64 `json:"missed,omitempty"` // PDUs that the client was too slow for, so far
	PDUs   *uint64 `json:"pdus,omitempty"`   // lines of kind pdu so far
}

// Kinds of lines of a tap.
const (
	TapPDU        = "pdu"
	TapJoined     = "joined"
	TapLeft       = "left"
	TapStatistics = "statistics" // at least once a second for each tenant
)
