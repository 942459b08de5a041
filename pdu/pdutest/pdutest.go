// Package pdutest helps tests build PDUs and read them back. It deals with bytes and
// messages, not with routing.
package pdutest

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/message"
)

// PDU returns a PDU with m as its body and the service that the command belongs to.
// Required fields may be missing, for tests of that case.
func PDU(command pdu.CommandID, seq uint16, m proto.Message) []byte {
	return message.Append(nil, command, seq, m)
}

// Raw is PDU with the body as bytes.
func Raw(command pdu.CommandID, seq uint16, body []byte) []byte {
	return pdu.Append(nil, command.Service(), command, seq, body)
}

// Split splits a stream into its PDUs. A truncated PDU or one of an illegal length is
// the last element, with everything after it.
func Split(stream []byte) [][]byte {
	var pdus [][]byte
	for len(stream) > 0 {
		n, err := pdu.Next(stream, math.MaxInt)
		if n == 0 || err != nil {
			return append(pdus, stream)
		}
		pdus = append(pdus, stream[:n:n])
		stream = stream[n:]
	}
	return pdus
}

// Dump describes a PDU in one line, for the message of a failed test: its command,
// sequence number, every other header field that is not the default, and the body as
// text if it parses. Do not compare the result: the spaces in the text vary.
func Dump(p []byte) string {
	if n, err := pdu.Next(p, math.MaxInt); err != nil || n != len(p) || n == 0 {
		return fmt.Sprintf("not a PDU: %d bytes %s", len(p), hex(p))
	}
	h, body := pdu.ParseHeader(p), p[pdu.HeaderLen:]
	line := fmt.Sprintf("%s seq %d", h.Command, h.Seq)
	if h.Service != h.Command.Service() {
		line += fmt.Sprintf(" service %s", h.Service)
	}
	if h.Version != 1 || h.Flag != 0 || h.Reserved != 0 {
		line += fmt.Sprintf(" version %d flag %d reserved %d", h.Version, h.Flag, h.Reserved)
	}
	return line + " " + dumpBody(h.Command, body)
}

func dumpBody(command pdu.CommandID, body []byte) string {
	if t := message.Type(command); t != nil {
		m := t.New().Interface()
		if proto.Unmarshal(body, m) == nil {
			return "{" + prototext.MarshalOptions{EmitUnknown: true}.Format(m) + "}"
		}
	}
	return fmt.Sprintf("%d bytes %s", len(body), hex(body))
}

// hex shows the beginning of b.
func hex(b []byte) string {
	const most = 48
	if len(b) > most {
		return fmt.Sprintf("%x...", b[:most])
	}
	return fmt.Sprintf("%x", b)
}
