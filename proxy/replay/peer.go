package replay

import (
	"bytes"

	"switchyard/pdu"
	"switchyard/policy/abi"
	"switchyard/proxy/hub"
)

// A peer takes all that is due to it, at once, and counts it.
type peer struct {
	simulation *simulation
	session    uint64 // in the capture
	seat       *hub.Seat
	master     bool
	roleUnsure bool // whether it is master cannot be known
	closed     bool // the policy closed it

	// Of the PDU that was taken last.
	copies uint64
	bytes  uint64
}

// Noted takes in why a PDU was dropped, if its verdict does not say it.
func (p *peer) Noted(n hub.Note) {
	if n.Dropped != "" && n.Dropped != hub.ByPolicy {
		p.simulation.last.dropped = n.Dropped
	}
}

// Close has nobody to close: nothing is behind.
func (p *peer) Close(hub.Reason) {}

func (p *peer) attributes() (a uint64) {
	if p.master {
		a |= abi.AttributeMaster
	}
	return a
}

// read takes all that is due until head.
func (p *peer) read(head hub.Head) {
	var split []byte // a PDU that lies in several pieces
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

// countPDUs counts the PDUs that b is made of.
func countPDUs(b []byte) (n uint64) {
	for ; len(b) > 0; n++ {
		b = b[pdu.ParseHeader(b).Length:]
	}
	return n
}
