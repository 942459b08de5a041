package proxy

import (
	"runtime"
	"sync"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
)

const (
	// turnTime is for how long PDUs of one peer are handled before other peers have their
	// turn. Batches of PDUs that the memo answers for take less.
	turnTime = 2 * time.Millisecond
	// callsPerLook is how many calls of a quick policy are made between two looks at the
	// clock, which costs a fifth of such a call.
	callsPerLook = 4
)

// A turn bounds for how long a reader handles PDUs of one peer without a break.
//
// A policy may take ten milliseconds for a decision within its fuel, and one read brings
// up to 16,384 PDUs. Handled in one go, they would stop all other peers of the tenant for
// minutes. So the loop handles one turn of a batch, and detaches the session with the
// rest. The detached sessions of a tenant take turns, one at a time:
//
//	loop     ─ A: turn, rest detached ─ B ─ C ─ B ─ D: turn, rest detached ─ B ─ ...
//	slow                               ─ A ─ A ─ A ─ A ──────────────────── ─ A ─ D ─ A ─ D ─
//
// So other peers compete for the processor with one goroutine of the slow ones, and not
// with one for each.
type turn struct {
	hub.Turn
	ends int64 // see clock
	last int64 // when the clock was last looked at
}

func newTurn() *turn {
	t := new(turn)
	t.Over = func() bool {
		now := clock()
		t.Every = callsPerLook
		if now-t.last > int64(turnTime/10) { // the policy is slow, so looking costs nothing
			t.Every = 1
		}
		t.last = now
		return now >= t.ends
	}
	return t
}

// begin begins a turn of turnTime for batch, which was read at the time read. One PDU needs no look
// at the clock.
func (t *turn) begin(batch []byte, read int64) {
	t.Every, t.Now = 1, read
	if int(pdu.ParseHeader(batch).Length) < len(batch) {
		t.last = clock()
		t.ends = t.last + int64(turnTime)
	}
}

// beginShort begins a turn that is over after one call of the policy.
func (t *turn) beginShort(read int64) { t.Every, t.Now, t.ends = 1, read, 0 }

// A slowLane lets one of a tenant's slow sessions at a time handle PDUs. The mutex is fair
// to those that have waited for more than a millisecond.
type slowLane struct{ sync.Mutex }

// handle hands batch to the hub, turn by turn, and writes what became due by each. If a
// turn does not suffice, the session is slow: its further turns, also those of the next
// batches, are in the slow lane, until one turn suffices for a batch.
func (s *session) handle(batch []byte) error {
	for {
		s.pass()
		s.awaitOrder()
		if s.tenant.departed.Load() {
			s.tenant.hub.Refuse(s.seat, batch, hub.SessionEnded)
			return nil // the reader finds that the session is to end
		}
		slow, all := s.input.slow, len(batch)
		rest, err := s.handleTurn(batch, slow)
		s.input.unhandled = s.input.unhandled[all-len(rest):]
		s.tenant.sampleLatency(s.input.lastRead.Load())
		s.tenant.flush.request()
		if err != nil || len(rest) == 0 {
			s.input.slow = slow && len(rest) != 0
			if slow {
				s.heard()
			}
			return err
		}
		if s.forced() {
			s.tenant.hub.Refuse(s.seat, rest, hub.SessionEnded)
			return errStopped
		}
		batch, s.input.slow = rest, true
	}
}

// handleTurn hands one turn of batch to the hub, and returns the rest. A slow session waits for the slow
// lane; if a freeze has begun by then, all of batch is the rest.
func (s *session) handleTurn(batch []byte, slow bool) (rest []byte, err error) {
	if slow {
		s.tenant.slowLane.Lock()
		defer runtime.Gosched() // the loop may have been waiting for a processor
		defer s.tenant.slowLane.Unlock()
		if s.tenant.gate.isShut() { // so a freeze does not have to wait for one turn of each slow session
			return batch, nil
		}
	}
	in := &s.input
	if in.turn == nil {
		in.turn = newTurn()
	}
	in.turn.begin(batch, in.lastRead.Load())
	return s.tenant.hub.HandleTurn(s.seat, batch, &in.turn.Turn)
}

// heard records that the session was not listened to until now, so that its silence
// meanwhile is not the peer's.
func (s *session) heard() { s.input.lastRead.Store(clock()) }

// forced reports whether the session was closed because the server cannot wait.
func (s *session) forced() bool {
	why := s.reason.Load()
	return why != nil && *why == hub.Forced
}
