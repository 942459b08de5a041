package dialogue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"switchyard/pdu"
)

const (
	// silence is how long nothing may be received before the server counts as
	// having handled what it does not answer. It is the only time that a
	// dialogue has to wait for.
	silence = 100 * time.Millisecond
	// settlePatience bounds the wait for silence, and for answers.
	settlePatience = 10 * time.Second
)

// settle waits until the server has handled all that was sent, and until all has
// arrived that it sent in consequence. A server handles a connection's PDUs in
// their order, so the answer to a request behind them says that they are done.
// After a first round of requests on all connections everything has been
// handled; the answers of the second come behind what that made the server send.
func (s *stage) settle(ctx context.Context, quiet bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settlePatience, fmt.Errorf("not settled within %v", settlePatience))
	defer cancel()
	if s.owesSilence() || quiet {
		if err := s.awaitSilence(ctx); err != nil {
			return err
		}
	}
	if quiet {
		return nil
	}
	for range 2 {
		if err := s.askAll(ctx); err != nil {
			return err
		}
	}
	return nil
}

// owesSilence tells whether there is something that no answer can follow: a
// connection's end, or a part of a PDU.
func (s *stage) owesSilence() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	owes := s.parting
	for _, p := range s.peers {
		owes = owes || p.unsettled && !p.answers()
		p.unsettled = false
	}
	s.parting = false
	return owes
}

func (s *stage) awaitSilence(ctx context.Context) error {
	timer := time.NewTimer(silence)
	defer timer.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-timer.C:
			return nil
		case <-changed:
			timer.Reset(silence)
		case <-ctx.Done():
			return fmt.Errorf("wait for %v of silence: %w", silence, context.Cause(ctx))
		}
	}
}

// askAll sends a request on every connection that can take one and waits for the
// answers.
func (s *stage) askAll(ctx context.Context) error {
	var asked []*peer
	for _, p := range s.peers {
		if request := s.ask(p); request != nil {
			p.send(request)
			asked = append(asked, p)
		}
	}
	for _, p := range asked {
		err := s.await(ctx, func() bool { return p.awaited == nil || !p.ended.IsZero() || p.incoming.broken })
		if err != nil {
			return errors.Join(fmt.Errorf("connection %s got no answer to a users status request", p.name), context.Cause(ctx))
		}
	}
	return nil
}

// ask has p await an answer and returns the request for it, or nil if p cannot
// take one.
func (s *stage) ask(p *peer) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.answers() {
		return nil
	}
	s.requests++
	request, answer := settlingRequest(s.requests)
	p.awaited = answer
	return request
}

// settlingRequest is a users status request that asks for nobody and is marked by
// its sequence number and attached data, and the one right answer to it. Both
// bodies are user_id, field 1, and attach_data, field 20.
func settlingRequest(n int) (request, answer []byte) {
	mark := binary.BigEndian.AppendUint32([]byte("settled?"), uint32(n))
	body := []byte{0x08, 0xfe, 0xff, 0xff, 0xff, 0x07, 0xa2, 0x01, byte(len(mark))}
	body = append(body, mark...)
	request = pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, uint16(n), body)
	answer = pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, uint16(n), body)
	return request, answer
}
