package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"switchyard/policy"
	"switchyard/policy/provenance"
)

const (
	// statementType is the type of every receipt.
	statementType = "https://in-toto.io/Statement/v1"
	// predicateType is the type of what a receipt says.
	predicateType = "urn:switchyard:policy-release:v1"
	// receiptType is the payload type of a signed receipt's envelope.
	receiptType = "application/vnd.in-toto+json"
)

// A Receipt holds what only the server knows about the end of a release.
type Receipt struct {
	Before string   `json:"routes_before,omitempty"` // what the previous policy did with commands, in one line
	After  string   `json:"routes_after,omitempty"`  // what the policy in force does with commands
	Sums   *Sums    `json:"sums,omitempty"`
	Steps  []Step   `json:"steps,omitempty"`  // of a release with stages
	Judged *Judged  `json:"judged,omitempty"` // of a release with stages
	Unseen []string `json:"unseen,omitempty"` // commands that the release affects but of which no PDU was seen

	Budgets []BudgetUse `json:"budgets,omitempty"` // of a release with stages
	Signals []Signal    `json:"signals,omitempty"` // of the whole tenant, those that were seen before or during the release
}

// A BudgetUse is how much of a budget the candidate used in the whole release.
type BudgetUse struct {
	Budget   string  `json:"budget"`            // faults, closes, undelivered, copies, bytes or fuel
	Used     float64 `json:"used"`              // a rate of PDUs; for copies and bytes the increase, such as 0.25; for fuel the units of an inspection
	Allowed  float64 `json:"allowed"`           // in the unit of Used
	Evidence float64 `json:"evidence,omitzero"` // for rates: the decimal logarithm of the evidence that the rate is above what is allowed; from 3 on it counts, and from 4 with ten affected commands
}

// A Signal counts events of the whole tenant that cannot be attributed to one policy.
type Signal struct {
	Name   string `json:"name"`
	Before uint64 `json:"before"` // in as long a time before the release: what was so already
	During uint64 `json:"during"`
}

// Judged counts the PDUs that peers sent during a release, since the server's last start. If none
// was lost,
//
//	received = refused + unstaged + alike + by stable + by candidate + under way
type Judged struct {
	Received    uint64 `json:"received"`
	Refused     uint64 `json:"refused"`      // by a quota or a full log, before they were judged
	Unstaged    uint64 `json:"unstaged"`     // judged by one policy alone, while the release began or ended
	Alike       uint64 `json:"alike"`        // both policies give the same verdict by ids
	ByStable    uint64 `json:"by_stable"`    // routed by the verdict of the stable policy
	ByCandidate uint64 `json:"by_candidate"` // routed by the verdict of the candidate

	Underway uint64 `json:"underway,omitempty"` // of a cluster: judged, and to be routed when all hubs know them
	Lost     int64  `json:"lost"`               // PDUs that are unaccounted for; always 0
}

// Balance sets Underway and Lost. underway is the number of the tenant's PDUs that are under way. Some
// of them may have been judged before the release began, and are not among the ones received.
func (j *Judged) Balance(underway uint64) {
	rest := int64(j.Received - j.Refused - j.Unstaged - j.Alike - j.ByStable - j.ByCandidate)
	j.Underway = min(underway, uint64(max(rest, 0)))
	j.Lost = rest - int64(j.Underway)
}

// A Step is one state of a release with stages, with its counts.
type Step struct {
	State       string        `json:"state"`
	Share       float64       `json:"share"`     // the planned share of the units that obey the candidate
	Effective   float64       `json:"effective"` // the actual share
	Begun       time.Time     `json:"begun"`
	Alike       uint64        `json:"alike"`          // PDUs for which both policies give the same verdict by ids
	ByStable    uint64        `json:"by_stable"`      // other PDUs, routed by the verdict of the stable policy
	ByCandidate uint64        `json:"by_candidate"`   // other PDUs, routed by the verdict of the candidate
	Ended       [2]uint64     `json:"ended,omitzero"` // sessions that ended, of peers that obeyed the stable policy and the candidate; by unit connection
	Commands    []StepCommand `json:"commands"`
}

// A StepCommand holds the counts of one command in a step. In each pair, index 0 is the stable
// policy and index 1 the candidate.
type StepCommand struct {
	Command     string    `json:"command"`
	PDUs        uint64    `json:"pdus"`
	Unweighed   uint64    `json:"unweighed"` // PDUs that were not compared
	Differ      uint64    `json:"differ"`
	Faults      uint64    `json:"faults"`
	Closes      uint64    `json:"closes"`
	Presence    uint64    `json:"presence"`
	Undelivered uint64    `json:"undelivered"`
	Copies      [2]uint64 `json:"copies"`
	Bytes       [2]uint64 `json:"bytes"`
	Fuel        [2]uint64 `json:"fuel"`
}

// StepOf returns a step with its counts.
func StepOf(state string, share, effective float64, begun time.Time, c policy.Weighed) Step {
	s := Step{State: state, Share: share, Effective: effective, Begun: begun, Alike: c.Alike, ByStable: c.ByStable, ByCandidate: c.ByCandidate, Ended: c.Ended, Commands: []StepCommand{}}
	for i := range c.Commands {
		w := &c.Commands[i]
		s.Commands = append(s.Commands, StepCommand{Command: policy.CommandName(w.Command), PDUs: w.PDUs, Unweighed: w.Unweighed, Differ: w.Differ, Faults: w.Faults, Closes: w.Closes,
			Presence: w.Presence, Undelivered: w.Undelivered, Copies: [2]uint64{w.Copies[0].PDUs, w.Copies[1].PDUs},
			Bytes: [2]uint64{w.Copies[0].Bytes, w.Copies[1].Bytes}, Fuel: w.Fuel})
	}
	return s
}

// Sums are the counts of a tenant at one moment, since it began to be served. If nothing was
// lost, both sides of each line are equal:
//
//	received = accepted + dropped + under way    PDUs from peers
//	due      = delivered + pending + discarded   copies to peers
type Sums struct {
	Received  uint64 `json:"received"`
	Accepted  uint64 `json:"accepted"`
	Dropped   uint64 `json:"dropped"`
	Underway  uint64 `json:"underway,omitempty"` // of a cluster: judged, and to be routed when all hubs know them
	Due       uint64 `json:"due"`
	Delivered uint64 `json:"delivered"`
	Pending   uint64 `json:"pending"`
	Discarded uint64 `json:"discarded"`
	Lost      int64  `json:"lost"` // what the right sides lack; always 0
}

// Balance sets Lost.
func (s *Sums) Balance() {
	s.Lost = int64(s.Received-s.Accepted-s.Dropped-s.Underway) + int64(s.Due-s.Delivered-s.Pending-s.Discarded)
}

// A Statement is a receipt in the format that in-toto defines.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"` // the policy that is in force from then on
	PredicateType string    `json:"predicateType"`
	Predicate     Predicate `json:"predicate"`
}

// A Subject is a file.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"` // "sha256", in hex
}

// A Predicate is the content of a receipt.
type Predicate struct {
	Release uint64    `json:"release"` // the number of the entry that began it
	Tenant  string    `json:"tenant"`
	Result  Kind      `json:"result"`
	Time    time.Time `json:"time"`
	From    *Policy   `json:"from"`
	To      *Policy   `json:"to"`
	Held    *Policy   `json:"held,omitempty"`
	Who     Who       `json:"who"`
	Reason  string    `json:"reason,omitempty"`
	Receipt
}

// ID returns the number that identifies the release of the entry.
func (e *Entry) ID() uint64 {
	if e.Release != 0 {
		return e.Release
	}
	return e.Number
}

// sealed returns the receipt of a numbered entry: a Statement, or its envelope if there is a key.
func (e *Entry) sealed(signer *provenance.Signer) (json.RawMessage, error) {
	s := Statement{Type: statementType, PredicateType: predicateType, Subject: []Subject{},
		Predicate: Predicate{Release: e.ID(), Tenant: e.Tenant, Result: e.Kind, Time: e.Time, From: e.From, To: e.To,
			Held: e.Held, Who: e.Who, Reason: e.Reason, Receipt: e.receipt}}
	if e.To != nil {
		s.Subject = append(s.Subject, Subject{e.To.Name, map[string]string{"sha256": e.To.SHA256}})
	}
	text, err := encode(s)
	if err != nil || signer == nil {
		return text, err
	}
	return envelope(signer, receiptType, text)
}

// envelope returns a payload with the signature of a key, as the content of a file.
func envelope(signer *provenance.Signer, payloadType string, payload []byte) ([]byte, error) {
	e := &provenance.Envelope{Type: payloadType, Payload: payload}
	e.Sign(signer)
	return e.Encode()
}

// ReadReceipt returns the statement of a receipt as JSON, and the ids of the keys that signed it:
// none if it is not signed. If keys are given, a signature by none of them is an error.
func ReadReceipt(receipt json.RawMessage, keys []provenance.Key) (statement json.RawMessage, signers []string, err error) {
	e, notSigned := provenance.ParseEnvelopeOf(receiptType, receipt)
	if notSigned != nil {
		var s Statement
		if json.Unmarshal(receipt, &s) != nil || s.Type != statementType {
			return nil, nil, errors.New("the receipt is neither a statement nor an envelope with one")
		}
		return receipt, nil, nil
	}
	for _, s := range e.Signatures {
		signers = append(signers, s.KeyID)
	}
	if len(keys) > 0 {
		if signers, err = e.Verify(keys); err != nil {
			return nil, nil, fmt.Errorf("the receipt: %w", err)
		}
	}
	return e.Payload, signers, nil
}
