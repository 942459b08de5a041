package dialogue

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"switchyard/pdu"
)

// A Transcript is what the connections of a dialogue received.
type Transcript struct {
	Name  string       `json:"scenario"`
	Conns []Connection `json:"conns"`
}

// A Connection is what one connection received, without the server's heartbeats.
type Connection struct {
	Name  string `json:"conn"`
	State State  `json:"state"`
	PDUs  []PDU  `json:"pdus"`
	Tail  string `json:"tail"` // hex of the bytes after the last whole PDU
}

// A State is the state of a connection at the end of a dialogue.
type State string

const (
	StateOpen   State = "open"
	StateClosed State = "closed"        // by the server
	StateLeft   State = "client-closed" // by the script, first
)

// wholeBody is the length in bytes up to which a body is recorded whole.
const wholeBody = 512

// A PDU is a received PDU: its header, and its body or, if that is longer than wholeBody, the
// body's length and hash.
type PDU struct {
	Step    int    `json:"step"` // the last step before it arrived; informative, never compared
	Head    string `json:"head"`
	Body    string `json:"body"`
	BodyLen int    `json:"body_len"`
	BodySHA string `json:"body_sha256"`
}

// record records a whole PDU.
func record(b []byte, step int) PDU {
	head, body := b[:pdu.HeaderLen], b[pdu.HeaderLen:]
	p := PDU{Step: step, Head: hex.EncodeToString(head)}
	if len(body) <= wholeBody {
		p.Body = hex.EncodeToString(body)
		return p
	}
	p.BodyLen, p.BodySHA = len(body), fmt.Sprintf("%x", sha256.Sum256(body))
	return p
}

// String returns the decoded header and the bytes.
func (p PDU) String() string {
	bytes := p.Head + " " + p.Body
	if p.BodySHA != "" {
		bytes = fmt.Sprintf("%s + %d bytes of sha256 %s", p.Head, p.BodyLen, p.BodySHA)
	}
	b, err := hex.DecodeString(p.Head)
	if err != nil || len(b) != pdu.HeaderLen {
		return fmt.Sprintf("no header: %s", bytes)
	}
	h := pdu.ParseHeader(b)
	return fmt.Sprintf("%v (%v, version %d, flag %d, seq %d, reserved %d, length %d) %s",
		h.Command, h.Service, h.Version, h.Flag, h.Seq, h.Reserved, h.Length, bytes)
}

// same reports whether two PDUs are equal, at whatever step they arrived.
func (p PDU) same(q PDU) bool {
	p.Step = q.Step
	return p == q
}
