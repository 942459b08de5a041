package handover

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// A frame on the stream, all integers big-endian:
//
//	kind         1
//	descriptors  1   of those that come with the first byte, as SCM_RIGHTS
//	header       4   length of the header
//	body         4   length of the body
//	header           JSON, or nothing
//	body             bytes
type frame struct {
	kind        kind
	descriptors []int // owned by whoever has the frame
	header      []byte
	body        []byte
}

const (
	headBytes    = 10
	mostHeader   = 4 << 20
	mostBody     = 64 << 20
	mostTogether = 100 // descriptors in a frame; the kernel takes 253 at most
)

// A kind of message. Those of all formats keep their numbers.
type kind byte

const (
	kindHello kind = iota + 1
	kindOffer
	kindRefuse
	kindAbort
	kindListener
	kindProcess
	kindTenant
	kindPresence
	kindSessions
	kindEnd
	kindReady
	kindGo
	kindStop
	kindsEnd // the first number that is not a kind
)

var kindNames = [kindsEnd]string{"", "hello", "offer", "refuse", "abort", "listener", "process", "tenant", "presence", "sessions", "end", "ready", "go", "stop"}

func (k kind) String() string {
	if k == 0 || k >= kindsEnd {
		return fmt.Sprintf("message %d", byte(k))
	}
	return kindNames[k]
}

// newFrame makes a frame with a header, unless that is nil.
func newFrame(k kind, header any) (f frame, err error) {
	f.kind = k
	if header != nil {
		f.header, err = json.Marshal(header)
	}
	return f, err
}

// head returns the first bytes of the frame, or an error if it is larger than a frame may be.
func (f *frame) head() ([]byte, error) {
	if len(f.header) > mostHeader || len(f.body) > mostBody || len(f.descriptors) > mostTogether {
		return nil, fmt.Errorf("%v has %d bytes of header, %d bytes of body and %d descriptors, more than a message may have", f.kind, len(f.header), len(f.body), len(f.descriptors))
	}
	b := append(make([]byte, 0, headBytes), byte(f.kind), byte(len(f.descriptors)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.header)))
	return binary.BigEndian.AppendUint32(b, uint32(len(f.body))), nil
}

// lengths are what a head says of the rest of its frame.
type lengths struct{ descriptors, header, body int }

// parseHead checks everything that a head says, before memory is taken for it.
func parseHead(b []byte) (kind, lengths, error) {
	k := kind(b[0])
	header, body := binary.BigEndian.Uint32(b[2:]), binary.BigEndian.Uint32(b[6:])
	switch {
	case k == 0 || k >= kindsEnd:
		return k, lengths{}, fmt.Errorf("%v is unknown", k)
	case header > mostHeader || body > mostBody || b[1] > mostTogether:
		return k, lengths{}, fmt.Errorf("%v claims %d bytes of header, %d bytes of body and %d descriptors, more than a message may have", k, header, body, b[1])
	}
	return k, lengths{int(b[1]), int(header), int(body)}, nil
}

// readStep is how much memory is taken at once for bytes that have not arrived.
const readStep = 1 << 20

// readExactly reads n bytes. The memory grows with what arrives.
func readExactly(r io.Reader, n int) ([]byte, error) {
	var b []byte
	for len(b) < n {
		b = slices.Grow(b, min(n-len(b), max(len(b), readStep)))
		got, err := io.ReadFull(r, b[len(b):min(cap(b), n)])
		if b = b[:len(b)+got]; err != nil {
			return nil, err
		}
	}
	return b, nil
}

// expect decodes the header of a frame that has to be of that kind.
func (f *frame) expect(k kind, v any) error {
	if f.kind != k {
		return fmt.Errorf("the other process says %v, want %v", f.kind, k)
	}
	return f.decode(v)
}

// decode decodes the header of a frame.
func (f *frame) decode(v any) error {
	if err := json.Unmarshal(f.header, v); err != nil {
		return fmt.Errorf("%v: %w", f.kind, err)
	}
	return nil
}

// A reason is the header of refuse and of abort.
type reason struct{ Why string }
