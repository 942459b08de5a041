package message

import "fmt"

// A Protocol is the protocol of a hub.
type Protocol uint8

const (
	PDU  Protocol = iota // messages are sent as they are, and the hub relays them
	NATS                 // nats-server's text protocol: all clients subscribe to one subject and publish to it
)

func (p Protocol) String() string {
	switch p {
	case PDU:
		return "pdu"
	case NATS:
		return "nats"
	}
	return fmt.Sprintf("protocol(%d)", uint8(p))
}

// ParseProtocol returns the protocol of that name.
func ParseProtocol(name string) (Protocol, error) {
	for _, p := range []Protocol{PDU, NATS} {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("unknown protocol %q; write pdu or nats", name)
}

// Greeting returns what a client sends first.
func (p Protocol) Greeting() []byte {
	if p == NATS {
		return []byte(natsGreeting)
	}
	return nil
}

// KeepAlive returns what a client has to send regularly to stay connected, or nil.
func (p Protocol) KeepAlive() []byte {
	if p == PDU {
		return Heartbeat
	}
	return nil
}

// A Wire encodes messages of one format in a protocol. It is immutable.
type Wire struct {
	Format
	Protocol Protocol
	before   []byte // of each message
}

// NewWire returns the wire for messages of size bytes.
func NewWire(p Protocol, size int) (Wire, error) {
	f, err := NewFormat(size)
	w := Wire{Format: f, Protocol: p}
	if p == NATS {
		w.before = fmt.Appendf(nil, "PUB %s %d\r\n", natsSubject, size)
	}
	return w, err
}

// Append appends m to b as a client sends it.
func (w *Wire) Append(b []byte, m Message) []byte {
	if w.Protocol == PDU {
		return w.Format.Append(b, m)
	}
	b = append(b, w.before...)
	b = w.Format.Append(b, m)
	return append(b, '\r', '\n')
}
