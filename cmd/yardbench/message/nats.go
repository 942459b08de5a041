package message

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	natsSubject = "hub"
	// Without echo, nobody gets back what it published.
	natsGreeting = `CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"echo":false,"lang":"yardbench","version":"1","protocol":1}` +
		"\r\nSUB " + natsSubject + " 1\r\n"

	// NATSPong answers a ping; who does not is taken for dead.
	NATSPong = "PONG\r\n"

	natsMaxLine = 64 << 10 // INFO is the longest, with a line of JSON
)

// A NATSKind is what a nats-server said.
type NATSKind uint8

const (
	NATSMsg   NATSKind = iota + 1 // a message, which is in Payload
	NATSPing                      // wants a pong
	NATSOther                     // needs nothing: INFO, PONG, +OK
)

// A NATSOperation is one thing that a nats-server said.
type NATSOperation struct {
	Kind    NATSKind
	Line    []byte // what it said, without its end
	Payload []byte // of a message
}

// Errors of NextNATS. The stream behind them cannot be understood any more.
var (
	errNATSLine    = fmt.Errorf("a line of NATS is longer than %d bytes", natsMaxLine)
	errNATSPayload = errors.New("a payload of NATS does not end where it should")
)

// NextNATS reads the operation that b begins with and returns how many bytes it has,
// or 0 if b does not hold it whole. The operation aliases b. Besides a stream that
// makes no sense, an error is what the server reports as one.
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
		return NATSOperation{}, 0, fmt.Errorf("nats-server says %.40q, which is no operation of its protocol", line)
	}
	return op, end, nil
}

// nextNATSMessage reads "MSG subject sid [reply] size" and the payload, which begins
// at b[at].
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

// decimal returns the number that b is, or -1 if it is none of up to nine digits.
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
