// Package pdu is TeamTalk's wire protocol between a msg_server and the route
// server: header, framing, and the names of services and commands. It defines what
// a PDU is, not what to do with one. docs/protocol.md describes the protocol.
package pdu

import "encoding/binary"

// HeaderLen is the length of every PDU's header in bytes.
const HeaderLen = 16

// DefaultMaxLen is the largest length of a PDU, header included, that is
// accepted unless configured otherwise: 16 MiB. The original has no limit.
const DefaultMaxLen = 16 << 20

// A Header is the first 16 bytes of a PDU, big-endian on the wire:
//
//	offset  size  field
//	     0     4  length, header included
//	     4     2  version, 1
//	     6     2  flag
//	     8     2  service id
//	    10     2  command id
//	    12     2  sequence number
//	    14     2  reserved
//
// The original uses only the length and the command id, and echoes the sequence
// number of a request. It accepts and forwards any value of the other fields.
type Header struct {
	Length   uint32
	Version  uint16
	Flag     uint16
	Service  ServiceID
	Command  CommandID
	Seq      uint16
	Reserved uint16
}

// ParseHeader reads the header at the start of b, which holds at least HeaderLen bytes.
func ParseHeader(b []byte) Header {
	_ = b[HeaderLen-1]
	return Header{
		Length:   binary.BigEndian.Uint32(b),
		Version:  binary.BigEndian.Uint16(b[4:]),
		Flag:     binary.BigEndian.Uint16(b[6:]),
		Service:  ServiceID(binary.BigEndian.Uint16(b[8:])),
		Command:  CommandID(binary.BigEndian.Uint16(b[10:])),
		Seq:      binary.BigEndian.Uint16(b[12:]),
		Reserved: binary.BigEndian.Uint16(b[14:]),
	}
}

// Append appends the 16 bytes of h to b.
func (h Header) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, h.Length)
	b = binary.BigEndian.AppendUint16(b, h.Version)
	b = binary.BigEndian.AppendUint16(b, h.Flag)
	b = binary.BigEndian.AppendUint16(b, uint16(h.Service))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Command))
	b = binary.BigEndian.AppendUint16(b, h.Seq)
	return binary.BigEndian.AppendUint16(b, h.Reserved)
}

// Append appends a PDU with the header of a server's own PDUs (version 1, flag 0,
// reserved 0) and returns the extended slice.
func Append(b []byte, service ServiceID, command CommandID, seq uint16, body []byte) []byte {
	h := Header{Length: uint32(HeaderLen + len(body)), Version: 1, Service: service, Command: command, Seq: seq}
	return append(h.Append(b), body...)
}

// SetLength writes the length of p into its header. p is a whole PDU whose body was
// appended in several steps.
func SetLength(p []byte) { binary.BigEndian.PutUint32(p, uint32(len(p))) }
