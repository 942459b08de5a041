package hub

import (
	"bytes"
	"errors"
)

var errProbe = errors.New("the PDU read from the log differs from the one written")

// Probe checks that the hub routes: it sends p, one whole PDU, to a temporary seat,
// reads it as a writer does, and returns an error if the bytes differ. No peer
// receives anything, nothing is counted, and no session number is used up. Probe takes
// the hub's locks, so it blocks for as long as a routed PDU would.
func (h *Hub) Probe(p []byte) error {
	h.presenceMu.Lock() // handlers take both locks
	h.mu.Lock()
	s := h.newSeat(nil)
	h.insert(p, 1, s)
	head := Head{h.log.head()}
	h.mu.Unlock()
	h.presenceMu.Unlock()
	got := s.readAll(head)
	s.free()
	if !bytes.Equal(got, p) {
		return errProbe
	}
	return nil
}

// readAll returns what is due up to head.
func (s *Seat) readAll(head Head) (got []byte) {
	vec := make([][]byte, 0, 8)
	for {
		vec = s.Due(vec[:0], head, 1<<20)
		if len(vec) == 0 {
			return got
		}
		n := 0
		for _, piece := range vec {
			got = append(got, piece...)
			n += len(piece)
		}
		s.Sent(n)
	}
}
