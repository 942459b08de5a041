package replay

import (
	"bytes"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/proxy/hub"
)

// A peer takes all that is due to it at once, and counts it.
type peer struct {
	simulation  *simulation
	session     uint64 // in the capture
	seat        *hub.Seat
	groups      []policy.Group
	master      bool
	roleUnknown bool // master may be wrong
	closed      bool // by the policy

	// What the PDU that was handled last brought to this peer.
	copies uint64
	bytes  uint64
}

// Noted records why a PDU was dropped, unless its verdict says so already.
func (p *peer) Noted(n hub.Note) {
	if n.Dropped != "" && n.Dropped != hub.ByPolicy {
		p.simulation.last.dropped = n.Dropped
	}
}

// Close is a no-op: the hub closes only peers that lag, and no peer lags.
func (p *peer) Close(hub.Reason) {}

// group puts the peer into other groups. The hub ignores it for a seat that the policy closed.
func (p *peer) group(m *hub.Membership) {
	p.groups = nil
	if m != nil {
		p.groups = m.Groups
	}
	p.seat.SetMembership(m)
}

// read takes all that is due until head.
func (p *peer) read(head hub.Head) {
	var split []byte // the beginning of a PDU that lies in several pieces
	for {
		pieces := p.seat.Due(p.simulation.vec[:0], head, pdu.DefaultMaxLen)
		n := 0
		for _, piece := range pieces {
			n += len(piece)
		}
		if n == 0 {
			return
		}
		p.bytes += uint64(n)
		for _, piece := range pieces {
			if len(split) > 0 {
				piece = append(split, piece...)
			}
			whole, _ := pdu.Whole(piece, len(piece))
			p.copies += countPDUs(piece[:whole])
			split = bytes.Clone(piece[whole:])
		}
		p.seat.Sent(n)
	}
}

// countPDUs counts the PDUs in b, which holds whole ones only.
func countPDUs(b []byte) (n uint64) {
	for ; len(b) > 0; n++ {
		b = b[pdu.ParseHeader(b).Length:]
	}
	return n
}
