package jetstream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order"
)

// The state of a tenant goes from hub to hub as messages that are acknowledged one by one.
// The subject says everything about a chunk but its bytes, so that the message is no longer
// than the chunk:
//
//	sy.CLUSTER.TENANT.state.TO-HUB.TO-INCARNATION.FROM-HUB.FROM-INCARNATION.INDEX.more
//
// The last one ends with "last". INDEX counts from 0.

// A transfer is the state on its way from one hub to another.
type transfer struct{ from, to order.Origin }

// progress is the chunk that is to come next.
type progress struct {
	transfer
	index int
}

func (s Settings) stateSubject(rest string) string {
	return fmt.Sprintf("%s.%d.%s", s.subject("state"), s.Hub, rest)
}

// SendState sends a chunk of the state to a hub that enters, and returns when that hub has
// acknowledged it. An error ends the transfer; it begins again with the next call.
func (l *Log) SendState(ctx context.Context, from, to order.Origin, chunk []byte, last bool) error {
	t, end := transfer{from, to}, "more"
	if last {
		end = "last"
	}
	l.mu.Lock()
	index := l.sent[t]
	l.sent[t]++
	l.mu.Unlock()
	subject := fmt.Sprintf("%s.%d.%d.%d.%d.%d.%s", l.settings.subject("state"), to.Hub, to.Incarnation, from.Hub, from.Incarnation, index, end)
	_, err := l.connection.Load().conn.RequestWithContext(ctx, subject, chunk)
	if last || err != nil {
		l.mu.Lock()
		delete(l.sent, t)
		l.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("send the state of tenant %s to hub %d: %w", l.settings.Tenant, to.Hub, plain(err))
	}
	return nil
}

// State returns the chunks that SendState of other hubs sends to this one, for whatever
// incarnation, those of a transfer in order and without gaps. A chunk that is not
// acknowledged holds up its sender alone.
func (l *Log) State() <-chan order.StateChunk { return l.states }

// stateLoop hands over what other hubs send, until the connection is closed. A transfer begins with chunk
// 0, and any other chunk has to follow the one before it; what does not is left without an
// acknowledgement, so that its sender gives up and its hub asks for the state again. connect starts it,
// and close waits for it.
func (l *Log) stateLoop(k *connection) {
	defer close(k.done)
	next := map[uint16]progress{} // by the number of the sender
	for {
		m, err := k.states.NextMsgWithContext(l.ctx)
		if errors.Is(err, nats.ErrPermissionViolation) && l.resubscribe(k) == nil {
			continue
		}
		if errors.Is(err, nats.ErrSlowConsumer) {
			continue // the senders get no acknowledgement
		}
		if err != nil { // the log or the connection is closed
			return
		}
		t, index, last, ok := l.parseState(m.Subject)
		if !ok || index != 0 && (progress{t, index}) != next[t.from.Hub] {
			continue
		}
		next[t.from.Hub] = progress{t, index + 1}
		select {
		case l.states <- order.StateChunk{From: t.from, For: t.to, Chunk: m.Data, Last: last, Ack: func() error { return m.Respond(nil) }}:
		case <-l.ctx.Done():
			return
		}
	}
}

// resubscribe subscribes to the state again after a pause, because an operator may permit it
// meanwhile. It fails if the log or the connection is closed.
func (l *Log) resubscribe(k *connection) error {
	pause := time.NewTimer(10 * l.times.retry)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-k.closed:
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
	k.states.Unsubscribe() // fails with subscribe
	again, err := k.subscribe(l.settings.stateSubject(">"))
	if err == nil {
		k.states = again
	}
	return err
}

// parseState reads what the subject of a chunk says.
func (l *Log) parseState(subject string) (t transfer, index int, last, ok bool) {
	rest, ok := strings.CutPrefix(subject, l.settings.stateSubject(""))
	tokens := strings.Split(rest, ".")
	if !ok || len(tokens) != 5 {
		return transfer{}, 0, false, false
	}
	var numbers [4]uint64
	for i := range numbers {
		n, err := strconv.ParseUint(tokens[i], 10, 32)
		if err != nil {
			return transfer{}, 0, false, false
		}
		numbers[i] = n
	}
	if numbers[1] > math.MaxUint16 {
		return transfer{}, 0, false, false
	}
	t.to = order.Origin{Hub: l.settings.Hub, Incarnation: uint32(numbers[0])}
	t.from = order.Origin{Hub: uint16(numbers[1]), Incarnation: uint32(numbers[2])}
	return t, int(numbers[3]), tokens[4] == "last", true
}
