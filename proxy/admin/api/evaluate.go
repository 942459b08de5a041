package api

import (
	"encoding/json"

	"switchyard/policy/review"
)

// What /api/v1/evaluate takes and answers. A request says as little as it can; the answer repeats what
// was made of it.

// An EvaluateRequest is one PDU to be decided about: whole as Hex, or by command and
// body. What is left out takes the default.
type EvaluateRequest struct {
	Tenant  string   `json:"tenant,omitempty"`  // the default is the only one
	Hex     string   `json:"hex,omitempty"`     // the whole PDU; spaces are ignored
	Command string   `json:"command,omitempty"` // by name or id
	Service string   `json:"service,omitempty"` // by name or id; the default is the command's own
	Seq     uint16   `json:"seq,omitempty"`     // sequence number
	Body    string   `json:"body,omitempty"`    // in hex
	Session *uint64  `json:"session,omitempty"` // of the sender; the default is 1
	Master  bool     `json:"master,omitempty"`  // the sender has declared itself master
	Groups  []string `json:"groups,omitempty"`  // in which the sender is; nil: those of the session's peer
}

// An Evaluation is how the policy in force decides about one PDU. Nothing is sent.
type Evaluation struct {
	Tenant     string          `json:"tenant"`
	Policy     Policy          `json:"policy"`
	PDU        EvaluatedPDU    `json:"pdu"`
	Sender     Sender          `json:"sender"`
	ByIDs      Answer          `json:"by_ids"`     // of classify, which gets only the ids
	Inspection *Answer         `json:"inspection"` // of inspect or inspect_body; nil if neither is called
	Decision   review.Decision `json:"decision"`
	Fault      *Fault          `json:"fault"`    // nil if the policy decided
	Copies     *int            `json:"copies"`   // to how many sessions it would be sent now; nil if not known
	Sessions   []uint64        `json:"sessions"` // the first 20 of those
	Notes      []string        `json:"notes"`
}

// An EvaluatedPDU is the PDU that an evaluation is about.
type EvaluatedPDU struct {
	Service string          `json:"service"`
	Command string          `json:"command"`
	Seq     uint16          `json:"seq"`
	Length  uint32          `json:"length"` // header included
	Header  string          `json:"header"` // in hex
	Body    string          `json:"body"`   // in hex
	Fields  json.RawMessage `json:"fields"` // the body's message, an object; null if it is none
}

// A Sender is the peer that sends the PDU of an evaluation.
type Sender struct {
	Session    uint64   `json:"session"`
	Attributes uint64   `json:"attributes"` // bits, as the policy gets them, without those of groups
	Groups     []string `json:"groups"`     // in which it is
}

// An Answer is what the policy returned to one question, and what that took.
type Answer struct {
	Export     string           `json:"export"`     // the function that was called
	Decision   *review.Decision `json:"decision"`   // nil after a fault
	Remembered bool             `json:"remembered"` // it is asked once for these ids, and not for each PDU
	Fuel       uint64           `json:"fuel"`       // units used
	FuelLimit  uint64           `json:"fuel_limit"`
	Memory     uint64           `json:"memory"` // of the instance afterwards
}

// A Fault is how a policy failed to decide.
type Fault struct {
	Kind  string `json:"kind"`
	Error string `json:"error"`
}
