// Package message makes the messages of a load, and checks that one arrived unchanged. It
// encodes them in the protocols of the hubs and decodes them. It does no I/O.
package message

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"switchyard/pdu"
)

// The limits of the size of a message in bytes, including the header of its PDU.
const (
	MinSize = 52
	MaxSize = 1 << 20
)

// KeyOffset is where in a message its key begins.
const KeyOffset = 28

// Users is how many users the messages are from: 1 to Users, in turn. A hub that tries a policy for a
// share of the users finds them in the bodies.
const Users = 10_000

// Numbers of senders. Those of a run's connections begin at 0.
const (
	FirstShort uint32 = 1 << 24   // the first number of short connections
	Probe      uint32 = 1<<32 - 1 // a message that shows that a connection receives
	Nobody     uint32 = 1<<32 - 2 // sends nothing
)

// A Message identifies a message.
type Message struct {
	Sender uint32
	Seq    uint32 // counts a sender's messages, from 0
	Due    int64  // when it was to be sent, in nanoseconds of the run's clock
}

// Key identifies a message by sender and number.
func (m Message) Key() uint64 { return uint64(m.Sender)<<32 | uint64(m.Seq) }

// A Format is the layout of all messages of a run. Each is one PDU, whose body is an IMMsgData without
// the fields that no policy asks for:
//
//	offset  size  field
//	     0    16  header of a CID_MSG_DATA, its sequence number the low half of Seq
//	    16     4  from_user_id: 0x08, and a varint of 3 bytes, a user who depends on the key
//	    20     4  to_session_id: 0x10, and a varint of 3 bytes, a user whom no peer holds
//	    24     4  msg_data: 0x32, and a varint of 3 bytes, the length of the rest
//	    28     8  key: sender, then Seq, big-endian
//	    36     8  due, big-endian
//	    44     8  checksum of key and due
//	    52     …  filler, which differs from one message to the next
type Format struct {
	size       int
	head, kind uint64 // the header's halves, with sequence number 0
}

// The tags of the fields, each before a varint of 3 bytes.
const (
	fromTag = 0x08
	toTag   = 0x10
	dataTag = 0x32
)

// users returns the body's first two fields.
func users(key uint64) uint64 {
	from := uint32(1 + (key+key>>32*37)%Users)
	return uint64(field(fromTag, from))<<32 | uint64(field(toTag, Users+1))
}

// field returns a field whose value is below 1<<21, as big-endian bytes.
func field(tag byte, value uint32) uint32 {
	return uint32(tag)<<24 | (value&0x7f|0x80)<<16 | (value>>7&0x7f|0x80)<<8 | value>>14
}

// data returns the beginning of the body's third field.
func (f *Format) data() uint32 { return field(dataTag, uint32(f.size-KeyOffset)) }

// NewFormat returns the format of messages of size bytes.
func NewFormat(size int) (Format, error) {
	if size < MinSize || size > MaxSize {
		return Format{}, fmt.Errorf("messages of %d bytes cannot be made; write %d to %d", size, MinSize, MaxSize)
	}
	h := pdu.Header{Length: uint32(size), Version: 1, Service: pdu.SID_MSG, Command: pdu.CID_MSG_DATA}.Append(nil)
	return Format{size: size, head: binary.BigEndian.Uint64(h), kind: binary.BigEndian.Uint64(h[8:])}, nil
}

// Size returns the length of each message in bytes.
func (f *Format) Size() int { return f.size }

// Append appends m to b.
func (f *Format) Append(b []byte, m Message) []byte {
	b = binary.BigEndian.AppendUint64(b, f.head)
	b = binary.BigEndian.AppendUint64(b, f.kind|uint64(uint16(m.Seq))<<16)
	b = binary.BigEndian.AppendUint64(b, users(m.Key()))
	b = binary.BigEndian.AppendUint32(b, f.data())
	b = binary.BigEndian.AppendUint64(b, m.Key())
	b = binary.BigEndian.AppendUint64(b, uint64(m.Due))
	b = binary.BigEndian.AppendUint64(b, sum(m.Key(), uint64(m.Due)))
	return append(b, filler(m.Key(), f.size-MinSize)...)
}

// A State says whether a message arrived unchanged.
type State uint8

const (
	Sound   State = iota // every byte is as it was sent
	Damaged              // it is known which message it is, but bytes are changed
	Foreign              // it is not a message of this run, or cannot be recognised
)

// Read reads p, a whole PDU. The message is valid unless the state is Foreign.
func (f *Format) Read(p []byte) (Message, State) {
	if len(p) != f.size || len(p) < MinSize {
		return Message{}, Foreign
	}
	key, due := binary.BigEndian.Uint64(p[KeyOffset:]), binary.BigEndian.Uint64(p[KeyOffset+8:])
	if binary.BigEndian.Uint64(p[KeyOffset+16:]) != sum(key, due) {
		return Message{}, Foreign
	}
	m := Message{Sender: uint32(key >> 32), Seq: uint32(key), Due: int64(due)}
	if binary.BigEndian.Uint64(p) != f.head ||
		binary.BigEndian.Uint64(p[8:]) != f.kind|uint64(uint16(key))<<16 ||
		binary.BigEndian.Uint64(p[16:]) != users(key) || binary.BigEndian.Uint32(p[24:]) != f.data() ||
		!bytes.Equal(p[MinSize:], filler(key, len(p)-MinSize)) {
		return m, Damaged
	}
	return m, Sound
}

// Heartbeat is the heartbeat PDU of a peer.
var Heartbeat = pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil)

// IsHeartbeat reports whether p, a whole PDU, is a heartbeat.
func IsHeartbeat(p []byte) bool {
	return pdu.ParseHeader(p).Command == pdu.CID_OTHER_HEARTBEAT
}

// sum changes if either argument changes: multiplication by an odd number modulo 2^64 is
// one-to-one.
func sum(key, due uint64) uint64 {
	return key*0xd6e8feb86659fd93 + due*0x9fb21c651e98df25
}

// variants is how many fillers there are, each beginning one cache line after the one
// before. They are few enough to stay in the first-level cache, where comparing is cheap.
const variants = 64

// filler returns n bytes that depend on the message.
func filler(key uint64, n int) []byte {
	at := (key + key>>32*37) % variants * 64
	return noise[at : at+uint64(n)]
}

var noise = makeNoise(variants*64 + MaxSize)

// makeNoise returns pseudo-random bytes, the same in every run.
func makeNoise(n int) []byte {
	b := make([]byte, 0, n+8)
	for x := uint64(1); len(b) < n; x++ {
		z := x * 0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		b = binary.LittleEndian.AppendUint64(b, z^z>>31)
	}
	return b
}
