package order

// maxLong bounds a batch in parts: the largest peer.max_pdu, and what was read together with such a
// PDU. A lower limit of its hub does not count here, as it changes while PDUs are under way.
const maxLong = 1<<30 + MaxRecord

// An assembly is a batch of which not all parts have been read. Other records of the hub that are
// not about sessions may be between the parts.
type assembly struct {
	bytes []byte // from the session on
	left  uint32
}

// assemble returns the record itself; nil for a part that is not the last; and for the last part the
// batch. The slot is unchanged if the record is ignored.
func (s *slot) assemble(r *Record) (*Record, Ignored) {
	if r.Kind != Part {
		if s.long.left > 0 && r.Kind.ofSession() {
			return nil, Broken
		}
		return r, ""
	}
	n := uint64(len(r.Piece)) + uint64(r.Left)
	switch {
	case s.long.left > 0 && n != uint64(s.long.left),
		s.long.left == 0 && n > maxLong:
		return nil, Broken
	case r.Left > 0:
		s.long = assembly{append(s.long.bytes, r.Piece...), r.Left}
		return nil, ""
	}
	batch := Record{Kind: Batch, Origin: r.Origin, Number: r.Number}
	bytes := append(s.long.bytes, r.Piece...)
	if batch.parseSession(bytes) != nil {
		return nil, Broken
	}
	s.long = assembly{}
	return &batch, ""
}
