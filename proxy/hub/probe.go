package hub

import (
	"bytes"
	"errors"
)

var errProbe = errors.New("what came out of the log is not what went in")

// Probe puts p, one whole PDU, into the log for a seat that is there for that alone,
// takes it out again as writers do, and returns an error if that is not p. Nobody sees
// the seat, nothing is counted, and no session gets a number less. It takes the hub's
// locks, so it waits for as long as others would.
func (h *Hub) Probe(p []byte) error {
	h.presenceMu.Lock() // those who handle and unicast take both
	h.mu.Lock()
	s := &Seat{hub: h, joined: h.log.head()}
	s.cursor.chunk, s.cursor.off = h.log.last, h.log.last.n
	h.log.last.refs.Add(1)
	s.at.Store(s.joined.at)
	s.sideAt.Store(noEdit)
	h.insert(p, 1, s)
	head := Head{h.log.head()}
	h.mu.Unlock()
	h.presenceMu.Unlock()
	got := s.takeAll(head)
	s.giveUp()
	if !bytes.Equal(got, p) {
		return errProbe
	}
	return nil
}

// takeAll takes what is due up to head.
func (s *Seat) takeAll(head Head) (got []byte) {
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
