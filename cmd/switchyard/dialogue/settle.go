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
	// silence is how long nothing must arrive until the server is assumed to have handled
	// what it does not answer. No other fixed time is waited for.
	silence = 100 * time.Millisecond
	// quietSilence is silence in a dialogue that settles by silence alone. No answer shows there that
	// a busy server has not yet accepted a connection.
	quietSilence = 3 * silence
	// settleTimeout limits the wait for silence and for answers.
	settleTimeout = 30 * time.Second
)

// settle waits until the server has handled all that was sent, and until everything has
// arrived that it sent in response. A server handles the PDUs of a connection in order, so the
// answer to a request after them shows that they have been handled:
//
//	round 1   every connection has its answer: all PDUs have been handled, by the server of
//	          their connection
//	level     by all servers
//	round 2   every connection has its answer: all that round 1 waited for has arrived
//	          before it
func (s *session) settle(ctx context.Context, quiet bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.over.Patience, fmt.Errorf("not settled within %v", s.over.Patience))
	defer cancel()
	if quiet {
		return s.settleQuietly(ctx)
	}
	if s.needsSilence() {
		if err := s.awaitSilence(ctx, silence); err != nil {
			return err
		}
	}
	if err := s.askAll(ctx); err != nil {
		return err
	}
	if err := s.over.Level(ctx); err != nil {
		return fmt.Errorf("servers that act as one: %w", err)
	}
	return s.askAll(ctx)
}

// settleQuietly is settle by silence alone.
func (s *session) settleQuietly(ctx context.Context) error {
	if err := s.awaitSilence(ctx, quietSilence); err != nil || len(s.over.Addresses) == 1 {
		return err
	}
	if err := s.over.Level(ctx); err != nil {
		return fmt.Errorf("servers that act as one: %w", err)
	}
	return s.awaitSilence(ctx, quietSilence)
}

// needsSilence reports whether something was sent after which no request can follow: the end
// of a connection, or a part of a PDU.
func (s *session) needsSilence() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	needs := s.closing
	for _, p := range s.peers {
		needs = needs || p.unsettled && !p.canAsk()
		p.unsettled = false
	}
	s.closing = false
	return needs
}

// awaitSilence waits until nothing has arrived for that time. A busy machine delays
// the server as it delays this goroutine, so a part of that time in which the timer was late
// does not count, unless nothing arrives for much longer.
func (s *session) awaitSilence(ctx context.Context, silence time.Duration) error {
	part := silence / 5
	timer := time.NewTimer(part)
	defer timer.Stop()
	for quiet, since := time.Duration(0), time.Now(); quiet < silence && time.Since(since) < 20*silence; {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		start := time.Now()
		timer.Reset(part)
		select {
		case <-timer.C:
			if time.Since(start) < 2*part {
				quiet += part
			}
		case <-changed:
			quiet, since = 0, time.Now()
		case <-ctx.Done():
			return fmt.Errorf("wait for %v of silence: %w", silence, context.Cause(ctx))
		}
	}
	return nil
}

// askAll sends a request on every connection that can carry one and waits for the answers.
func (s *session) askAll(ctx context.Context) error {
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

// ask makes p expect an answer and returns the request for it, or nil if p cannot carry one.
func (s *session) ask(p *peer) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.canAsk() {
		return nil
	}
	s.requests++
	request, answer := settlingRequest(s.requests)
	p.awaited = answer
	return request
}

// settlingRequest returns a users status request for no users, marked by its sequence number
// and attached data, and the only right answer to it. Both bodies are user_id, field 1, and
// attach_data, field 20.
func settlingRequest(n int) (request, answer []byte) {
	mark := binary.BigEndian.AppendUint32([]byte("settled?"), uint32(n))
	body := []byte{0x08, 0xfe, 0xff, 0xff, 0xff, 0x07, 0xa2, 0x01, byte(len(mark))}
	body = append(body, mark...)
	request = pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, uint16(n), body)
	answer = pdu.Append(nil, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, uint16(n), body)
	return request, answer
}
