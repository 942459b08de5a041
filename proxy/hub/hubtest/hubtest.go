// Package hubtest helps tests to play the peers of a hub.
package hubtest

import (
	"bytes"
	"testing"

	"switchyard/proxy/hub"
)

// A Peer is a fake peer of a hub. It keeps what it is sent and what the hub reports to
// it. It is for one goroutine, except that one may call Send while another one reads.
type Peer struct {
	*hub.Seat
	Hub *hub.Hub

	Got    []byte       // what was read and not yet compared by Expect
	Notes  []hub.Note   // from Noted
	Closed []hub.Reason // from Close
}

// Join gives a new peer a seat in h.
func Join(h *hub.Hub) *Peer {
	p := &Peer{Hub: h}
	p.Seat = h.Join(p)
	return p
}

// Noted implements hub.Peer.
func (p *Peer) Noted(n hub.Note) { p.Notes = append(p.Notes, n) }

// Close implements hub.Peer.
func (p *Peer) Close(r hub.Reason) { p.Closed = append(p.Closed, r) }

// Send hands the hub whole PDUs from the peer.
func (p *Peer) Send(t testing.TB, pdus ...[]byte) {
	t.Helper()
	if err := p.Hub.Handle(p.Seat, bytes.Join(pdus, nil)); err != nil {
		t.Fatalf("Handle: %v", err)
	}
}

// Read reads all that is due, and returns all of Got.
func (p *Peer) Read() []byte {
	for p.ReadSome(1<<30, 1<<30) > 0 {
	}
	return p.Got
}

// ReadSome asks for up to limit bytes that are due, takes only the first take of them,
// and returns how many it took.
func (p *Peer) ReadSome(limit, take int) (n int) {
	vec := p.Due(make([][]byte, 0, 64), p.Hub.Head(), limit)
	for _, piece := range vec {
		piece = piece[:min(len(piece), take-n)]
		p.Got = append(p.Got, piece...)
		n += len(piece)
	}
	p.Sent(n)
	return n
}

// Discard takes all that is due and keeps nothing. vec is scratch, so that Discard
// allocates nothing.
func (p *Peer) Discard(vec [][]byte, head hub.Head) {
	n := 0
	for _, piece := range p.Due(vec[:0], head, 1<<20) {
		n += len(piece)
	}
	p.Sent(n)
}

// Expect reads all that is due, and checks that Got is exactly these PDUs. It empties
// Got.
func (p *Peer) Expect(t testing.TB, name string, want ...[]byte) {
	t.Helper()
	if got, want := p.Read(), bytes.Join(want, nil); !bytes.Equal(got, want) {
		t.Errorf("%s got\n %.100x, want\n %.100x", name, got, want)
	}
	p.Got = nil
}

// Leave takes the peer out of the hub and releases its seat.
func (p *Peer) Leave(why hub.Reason) {
	p.Hub.Leave(p.Seat)
	p.Release(why)
}

// Conserved checks that every PDU received was accepted or dropped, or is under way. It returns the counts.
// Those of copies add up by definition, so a test compares them with what peers read.
func Conserved(t testing.TB, h *hub.Hub) hub.Counts {
	t.Helper()
	c := h.Counts()
	if received := hub.Sum(c.Actions) + hub.Sum(c.Dropped) + c.Underway; c.Received != received {
		t.Errorf("counts do not add up: received %d, accounted for %d: %+v", c.Received, received, c)
	}
	return c
}
