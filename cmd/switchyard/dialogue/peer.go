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

// writeTimeout limits a write to a server that has stopped reading.
const writeTimeout = 10 * time.Second

// heartbeat is the PDU that a server sends on a connection after some time without sending.
// Because it depends on the clock, it is not part of a dialogue.
var heartbeat = pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil)

// A peer is one scripted connection.
type peer struct {
	name string
	conn *net.TCPConn

	// Owned by the goroutine that plays.
	outgoing  stream // what was sent, to know where a PDU ends
	unsettled bool   // something was sent since the last settling
	shut      bool   // our writing side is closed, or a write ended in an error

	// Guarded by session.mu; written by the session's readLoop, but for awaited and left.
	incoming stream
	pdus     []PDU
	arrivals []arrival
	ended    time.Time // when the server closed the connection
	awaited  []byte    // the answer to a settling request in flight
	left     bool      // we closed the connection
}

// An arrival is the time at which a PDU arrived, and whether it was a heartbeat.
type arrival struct {
	at        time.Time
	heartbeat bool
}

// A stream splits bytes into PDUs of any length.
type stream struct {
	rest   []byte // after the last whole PDU
	broken bool   // rest begins with a length that no PDU can have
}

func (s *stream) add(b []byte) { s.rest = append(s.rest, b...) }

// next removes and returns the next whole PDU, or nil. The slice is valid until the next add.
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

// send writes b. An error only stops further writing: in some dialogues the server closes the
// connection meanwhile.
func (p *peer) send(b []byte) {
	p.outgoing.add(b)
	for p.outgoing.next() != nil {
	}
	if p.shut {
		return
	}
	p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := p.conn.Write(b); err != nil {
		p.shut = true
	}
}

// sendStep sends the data of a step.
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

// receive records bytes that were read. Called under session.mu.
func (p *peer) receive(b []byte, step int) {
	p.incoming.add(b)
	for whole := p.incoming.next(); whole != nil; whole = p.incoming.next() {
		isHeartbeat := bytes.Equal(whole, heartbeat)
		p.arrivals = append(p.arrivals, arrival{time.Now(), isHeartbeat})
		switch {
		case isHeartbeat:
		case p.awaited != nil && bytes.Equal(whole, p.awaited):
			p.awaited = nil
		default:
			p.pdus = append(p.pdus, record(whole, step))
		}
	}
}

// canAsk reports whether a request can be sent now and its answer be recognized. Called under
// session.mu.
func (p *peer) canAsk() bool {
	return !p.left && !p.shut && p.ended.IsZero() && len(p.outgoing.rest) == 0 && !p.incoming.broken
}

// outcome returns what the connection received and its state. Called under session.mu.
func (p *peer) outcome() Connection {
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
