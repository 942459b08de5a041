package dialogue

import (
	"bytes"
	"context"
	"encoding/hex"
	"math"
	"net"
	"time"

	"switchyard/pdu"
)

// writePatience bounds a write to a server that has stopped reading.
const writePatience = 10 * time.Second

// heartbeat is the PDU that a server sends on a connection where it sent nothing
// else for a while. It comes by the clock, so it is no part of a dialogue.
var heartbeat = pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil)

// A peer is one scripted connection.
type peer struct {
	name string
	conn *net.TCPConn

	// Owned by the goroutine that plays.
	outgoing  stream // what was sent, to know when something can be put between two PDUs
	unsettled bool   // sent something since the last settling
	shut      bool   // our writing side is closed, or a write ended in an error

	// Guarded by stage.mu; written by the stage's readLoop, but for awaited and left.
	incoming stream
	pdus     []PDU
	arrivals []arrival
	ended    time.Time // when the server closed the connection
	awaited  []byte    // the answer to a settling request that is under way
	left     bool      // we closed the connection
}

// An arrival is when a PDU came, and whether it was the server's heartbeat.
type arrival struct {
	at        time.Time
	heartbeat bool
}

// A stream cuts bytes into PDUs by their length, whatever its size.
type stream struct {
	rest   []byte // behind the last whole PDU
	broken bool   // rest begins with a length that no PDU can have
}

func (s *stream) add(b []byte) { s.rest = append(s.rest, b...) }

// next takes the next whole PDU, or nil. The slice is valid until the next add.
func (s *stream) next() []byte {
	if s.broken {
		return nil
	}
	n, err := pdu.Next(s.rest, math.MaxInt)
	s.broken = err != nil
	whole := s.rest[:n]
	s.rest = s.rest[n:]
	if n == 0 {
		return nil
	}
	return whole
}

// send writes b. That a server closes a connection while it is written to is a
// part of dialogues, so an error only ends the writing.
func (p *peer) send(b []byte) {
	p.outgoing.add(b)
	for p.outgoing.next() != nil {
	}
	if p.shut {
		return
	}
	p.conn.SetWriteDeadline(time.Now().Add(writePatience))
	if _, err := p.conn.Write(b); err != nil {
		p.shut = true
	}
}

// sendStep sends what a step says.
func (p *peer) sendStep(ctx context.Context, st step) error {
	p.unsettled = true
	rest := st.data
	for st.chunk > 0 && len(rest) > st.chunk {
		p.send(rest[:st.chunk])
		rest = rest[st.chunk:]
		if err := pause(ctx, st.gap); err != nil {
			return err
		}
	}
	p.send(rest)
	return nil
}

func (p *peer) halfClose() {
	p.shut = true
	p.conn.CloseWrite()
}

// hear takes what was read. stage.mu is held.
func (p *peer) hear(b []byte, step int) {
	p.incoming.add(b)
	for whole := p.incoming.next(); whole != nil; whole = p.incoming.next() {
		beat := bytes.Equal(whole, heartbeat)
		p.arrivals = append(p.arrivals, arrival{time.Now(), beat})
		switch {
		case beat:
		case p.awaited != nil && bytes.Equal(whole, p.awaited):
			p.awaited = nil
		default:
			p.pdus = append(p.pdus, record(whole, step))
		}
	}
}

// answers tells whether a request can be put in now and its answer understood.
// stage.mu is held.
func (p *peer) answers() bool {
	return !p.left && !p.shut && p.ended.IsZero() && len(p.outgoing.rest) == 0 && !p.incoming.broken
}

// account is what the connection came to. stage.mu is held.
func (p *peer) account() Connection {
	c := Connection{Name: p.name, State: StateOpen, PDUs: p.pdus, Tail: hex.EncodeToString(p.incoming.rest)}
	switch {
	case p.left:
		c.State = StateLeft
	case !p.ended.IsZero():
		c.State = StateClosed
	}
	return c
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
