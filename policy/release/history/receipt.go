package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"switchyard/policy/provenance"
)

const (
	// StatementType is the type of every receipt.
	StatementType = "https://in-toto.io/Statement/v1"
	// PredicateType is the type of what a receipt says.
	PredicateType = "urn:switchyard:policy-release:v1"
	// ReceiptType is the payload type of a signed receipt's envelope.
	ReceiptType = "application/vnd.in-toto+json"
)

// A Receipt is what only the server knows about the end of a release.
type Receipt struct {
	Before string `json:"routes_before,omitempty"` // what the policy before did with commands, in one line
	After  string `json:"routes_after,omitempty"`  // what the one in force does
	Sums   *Sums  `json:"sums,omitempty"`
}

// Sums are the counts of a tenant at one moment, since it began to be served. If nothing was
// lost, both sides of each line are equal:
//
//	received = accepted + dropped                PDUs from peers
//	due      = delivered + pending + discarded   copies to peers
type Sums struct {
	Received  uint64 `json:"received"`
	Accepted  uint64 `json:"accepted"`
	Dropped   uint64 `json:"dropped"`
	Due       uint64 `json:"due"`
	Delivered uint64 `json:"delivered"`
	Pending   uint64 `json:"pending"`
	Discarded uint64 `json:"discarded"`
	Lost      int64  `json:"lost"` // what is missing on the right sides: 0
}

// Balance sets Lost.
func (s *Sums) Balance() {
	s.Lost = int64(s.Received-s.Accepted-s.Dropped) + int64(s.Due-s.Delivered-s.Pending-s.Discarded)
}

// A Statement is a receipt, as in-toto defines it.
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

// A Predicate is what a receipt says.
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

// ID returns the number by which the release of the entry is known.
func (e *Entry) ID() uint64 {
	if e.Release != 0 {
		return e.Release
	}
	return e.Number
}

// sealed returns the receipt of an entry that has its number: a Statement, or an envelope with it
// if there is a key.
func (e *Entry) sealed(signer *provenance.Signer) (json.RawMessage, error) {
	s := Statement{Type: StatementType, PredicateType: PredicateType, Subject: []Subject{},
		Predicate: Predicate{Release: e.ID(), Tenant: e.Tenant, Result: e.Kind, Time: e.Time, From: e.From, To: e.To,
			Held: e.Held, Who: e.Who, Reason: e.Reason, Receipt: e.receipt}}
	if e.To != nil {
		s.Subject = append(s.Subject, Subject{e.To.Name, map[string]string{"sha256": e.To.SHA256}})
	}
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	if err := j.Encode(s); err != nil {
		return nil, err
	}
	text := bytes.TrimSpace(b.Bytes())
	if signer == nil {
		return text, nil
	}
	envelope := &provenance.Envelope{Type: ReceiptType, Payload: text}
	envelope.Sign(signer)
	text, err := envelope.Encode()
	if err != nil {
		return nil, err
	}
	var line bytes.Buffer
	err = json.Compact(&line, text)
	return line.Bytes(), err
}

// ReadReceipt returns the statement of a receipt as JSON, and the ids of the keys that signed it:
// none if it is not signed. With keys, a signature that fits none of them is an error.
func ReadReceipt(receipt json.RawMessage, keys []provenance.Key) (statement json.RawMessage, signers []string, err error) {
	e, notSigned := provenance.ParseEnvelopeOf(ReceiptType, receipt)
	if notSigned != nil {
		var s Statement
		if json.Unmarshal(receipt, &s) != nil || s.Type != StatementType {
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
