package message

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	natsSubject = "hub"
	// Without echo, a client does not receive its own messages.
	natsGreeting = `CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"echo":false,"lang":"yardbench","version":"1","protocol":1}` +
		"\r\nSUB " + natsSubject + " 1\r\n"

	// NATSPong answers a ping. nats-server closes connections that do not answer.
	NATSPong = "PONG\r\n"

	natsMaxLine = 64 << 10 // INFO is the longest, with a line of JSON
)

// A NATSKind is the kind of an operation from nats-server.
type NATSKind uint8

const (
	NATSMsg   NATSKind = iota + 1 // a message, which is in Payload
	NATSPing                      // to be answered by NATSPong
	NATSOther                     // to be ignored: INFO, PONG, +OK
)

// A NATSOperation is one operation from nats-server.
type NATSOperation struct {
	Kind    NATSKind
	Line    []byte // without the line end
	Payload []byte // of a message
}

// Errors of NextNATS. The rest of the stream cannot be parsed.
var (
	errNATSLine    = fmt.Errorf("a line of NATS is longer than %d bytes", natsMaxLine)
	errNATSPayload = errors.New("a payload of NATS does not end where it should")
)

// NextNATS parses the operation at the beginning of b and returns its length, or 0 if it is
// incomplete. The operation aliases b. The error is a violation of the protocol, or an
// error that the server reports.
func NextNATS(b []byte) (NATSOperation, int, error) {
	line, _, found := bytes.Cut(b[:min(len(b), natsMaxLine)], []byte("\r\n"))
	switch {
	case !found && len(b) >= natsMaxLine:
		return NATSOperation{}, 0, errNATSLine
	case !found:
		return NATSOperation{}, 0, nil
	}
	op := NATSOperation{Kind: NATSOther, Line: line}
	end := len(line) + 2
	word, _, _ := bytes.Cut(line, []byte(" "))
	switch string(word) {
	case "MSG":
		return nextNATSMessage(op, b, end)
	case "PING":
		op.Kind = NATSPing
	case "PONG", "INFO", "+OK":
	case "-ERR":
		return NATSOperation{}, 0, fmt.Errorf("nats-server reports %q", line)
	default:
		return NATSOperation{}, 0, fmt.Errorf("nats-server says %.40q, which is not an operation of its protocol", line)
	}
	return op, end, nil
}

// nextNATSMessage parses "MSG subject sid [reply] size" and the payload at b[at].
func nextNATSMessage(op NATSOperation, b []byte, at int) (NATSOperation, int, error) {
	words := bytes.Fields(op.Line)
	size := -1
	if len(words) == 4 || len(words) == 5 {
		size = decimal(words[len(words)-1])
	}
	if size < 0 || size > MaxSize {
		return NATSOperation{}, 0, fmt.Errorf("nats-server says %.40q, whose size cannot be that of a message", op.Line)
	}
	end := at + size
	if len(b) < end+2 {
		return NATSOperation{}, 0, nil
	}
	if b[end] != '\r' || b[end+1] != '\n' {
		return NATSOperation{}, 0, errNATSPayload
	}
	op.Kind, op.Payload = NATSMsg, b[at:end:end]
	return op, end + 2, nil
}

// decimal parses a number of up to nine digits. It returns -1 for anything else.
func decimal(b []byte) int {
	if len(b) == 0 || len(b) > 9 {
		return -1
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
