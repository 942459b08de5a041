package order

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The exported state, all integers big-endian:
//
//	at: epoch 8, sequence 8; founded: the same    positions
//	slots 2, then for each of them:
//	    hub 2, incarnation 4, flags 1             1: member, 2: ready, 4: said
//	    next 8, since: epoch 8, sequence 8
//	    facts                                     as in records
//	    past 1, incarnation 4 and next 8 for each
//	    left 4, bytes 4, …                        of a batch in parts

const (
	maxHub  = 4095
	slotLen = 2 + 4 + 1 + 8 + positionLen // up to the facts
	pastLen = 4 + 8

	flagMember = 1
	flagReady  = 2
	flagSaid   = 4
	flagsAll   = flagMember | flagReady | flagSaid
)

// Export appends the state of the members, as of the record that was read last, to dst, for Import.
func (m *Members) Export(dst []byte) []byte {
	dst = appendPosition(appendPosition(dst, m.at), m.founded)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(m.slots)))
	for _, hub := range slices.Sorted(maps.Keys(m.slots)) {
		dst = m.slots[hub].append(binary.BigEndian.AppendUint16(dst, hub))
	}
	return dst
}

func (s *slot) append(b []byte) []byte {
	b = append(binary.BigEndian.AppendUint32(b, s.incarnation), Flags(s.member, s.ready, s.said))
	b = appendPosition(binary.BigEndian.AppendUint64(b, s.next), s.since)
	b = append(s.facts.append(b), byte(len(s.past)))
	for _, p := range s.past {
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, p.incarnation), p.next)
	}
	b = binary.BigEndian.AppendUint32(b, s.long.left)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.long.bytes)))
	return append(b, s.long.bytes...)
}

// Import makes this hub continue from the state that the donor has exported at this hub's Enter. The
// records that were read since are to be given to Next afterwards; those before are Early. After an
// error nothing has changed.
func (m *Members) Import(now time.Time, b []byte) error {
	in := Members{self: m.self, timeout: m.timeout, slots: make(map[uint16]*slot), ownAt: m.ownAt, steadyAt: now,
		check: check{mismatches: m.check.mismatches}}
	if err := in.parse(b, now); err != nil {
		return fmt.Errorf("the state of the members: %w", err)
	}
	if s := in.slots[m.self.Hub]; s == nil || !s.member || s.incarnation != m.self.Incarnation {
		return errors.New("the state of the members is without this hub")
	}
	in.in, in.agreed = true, in.agreement(0)
	*m = in
	return nil
}

// parse reads what Export has written, into Members without slots. All members count as heard now.
func (m *Members) parse(b []byte, now time.Time) (err error) {
	if len(b) < 2*positionLen+2 {
		return errCut
	}
	m.at, m.founded = parsePosition(b), parsePosition(b[positionLen:])
	n := binary.BigEndian.Uint16(b[2*positionLen:])
	b = b[2*positionLen+2:]
	for ; n > 0; n-- {
		if len(b) < slotLen {
			return errCut
		}
		hub, s := binary.BigEndian.Uint16(b), &slot{heard: now}
		if hub == 0 || hub > maxHub || m.slots[hub] != nil {
			return fmt.Errorf("the hub number %d is not one, or is there twice", hub)
		}
		m.slots[hub] = s
		if b, err = s.parse(b[2:]); err != nil {
			return fmt.Errorf("hub %d: %w", hub, err)
		}
	}
	if len(b) > 0 {
		return errMore
	}
	return nil
}

// parse parses a slot at the start of b, and returns the rest.
func (s *slot) parse(b []byte) ([]byte, error) {
	s.incarnation, s.next, s.since = binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[5:]), parsePosition(b[13:])
	if b[4]&^flagsAll != 0 {
		return nil, errFlag
	}
	s.member, s.ready, s.said = b[4]&flagMember != 0, b[4]&flagReady != 0, b[4]&flagSaid != 0
	b = b[slotLen-2:]
	if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b))+1 {
		return nil, errCut
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if err := s.facts.parse(b[:n]); err != nil {
		return nil, err
	}
	earlier := int(b[n])
	if b = b[n+1:]; earlier > maxPast || len(b) < earlier*pastLen+8 {
		return nil, errCut
	}
	for ; earlier > 0; earlier-- {
		s.past = append(s.past, past{binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:])})
		b = b[pastLen:]
	}
	s.long.left = binary.BigEndian.Uint32(b)
	size := binary.BigEndian.Uint32(b[4:])
	if b = b[8:]; uint64(size) > uint64(len(b)) || (size == 0) != (s.long.left == 0) {
		return nil, errCut
	}
	s.long.bytes = slices.Clone(b[:size])
	return b[size:], nil
}
