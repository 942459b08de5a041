package proxy

import (
	"context"
	"sync/atomic"

	"switchyard/proxy/hub"
)

const (
	// passesPerTurn is how many passes a reader makes for others before it goes back to
	// reading.
	passesPerTurn = 4
	// flushBytes is how much is written to one connection in one pass.
	flushBytes = 1 << 20
	// flushPieces is how many pieces that may be.
	flushPieces = 256
)

// A flusher writes what is due to the tenant's sessions. Every goroutine that has made
// something due requests a flush. The first one gets the turn: it makes passes over all
// sessions until no further request has come meanwhile. A turn of more than
// passesPerTurn passes is relayed to a goroutine of its own:
//
//	reader A   request ─ pass ─ pass ─ (no request since: done)
//	reader B        request (A has the turn, so B returns at once)
//
//	reader C   request ─ pass ×4 ─ relay ▶ run ─ pass ─ ... ─ done
//
// The flusher never waits for a socket. If a socket takes only a part, the right to
// write to it goes to session.catchUp, and passes leave that session out meanwhile.
type flusher struct {
	tenant *Tenant
	relay  chan struct{} // sent to by the goroutine that gives up its turn; received by run; never closed

	// requests counts the requests since the flusher was last idle. The goroutine that
	// makes it 1 has the turn, until it is 0 again.
	requests atomic.Int64

	// Owned by the goroutine that has the turn.
	vec  [][]byte
	flat []byte
}

// request ensures that everything is written that is due by now, as far as the sockets
// take it at once. It may return before that is done.
func (f *flusher) request() {
	if f.requests.Add(1) == 1 && !f.takeTurn() {
		f.relay <- struct{}{}
	}
}

// run takes over the turns that are relayed, until ctx is done.
func (f *flusher) run(ctx context.Context) {
	for {
		select {
		case <-f.relay:
			f.tenant.gate.enter()
			for !f.takeTurn() {
			}
			f.tenant.gate.leave(tenantWork)
		case <-ctx.Done():
			return
		}
	}
}

// takeTurn makes up to passesPerTurn passes, and reports whether all requests are done.
// They are if no request has come since before the last pass began: that pass has seen
// all that was due.
func (f *flusher) takeTurn() (done bool) {
	for range passesPerTurn {
		seen := f.requests.Load()
		f.pass()
		if f.requests.CompareAndSwap(seen, 0) {
			return true
		}
	}
	return false
}

// pass writes to every session what is due to it now.
func (f *flusher) pass() {
	if f.vec == nil {
		f.vec = make([][]byte, 0, flushPieces)
	}
	head := f.tenant.hub.Head()
	now := clock()
	for _, s := range *f.tenant.sessions.Load() {
		switch {
		case !s.seat.Behind(head):
		case s.raw == nil:
			s.wakeWriter()
		case s.output.right.TryLock():
			f.write(s, head, now)
		}
	}
	f.tenant.wakeWaiters()
}

// write writes to the session what its socket takes at once. The caller has the right
// to write. If there may be more, the right passes to a goroutine that waits for the
// socket; otherwise write gives it back.
func (f *flusher) write(s *session, head hub.Head, now int64) {
	if s.output.broken.Load() {
		s.seat.PassOver(head)
		s.output.right.Unlock()
		return
	}
	limit := flushBytes
	if p := s.output.pacer; p != nil {
		if limit, _ = p.allows(now); limit == 0 {
			s.startCatchUp()
			return
		}
	}
	s.output.marks.arm()
	vec := cut(s.seat.Due(f.vec, head, limit), limit)
	total := size(vec)
	if total == 0 {
		s.settleMarks()
		s.output.right.Unlock()
		return
	}
	n, err := s.raw.tryWrite(f.flatten(vec, total))
	clear(vec)
	s.sent(n, now)
	if err != nil {
		s.writeFailed(err)
	}
	if err == nil && (n < total || total >= limit || len(vec) == flushPieces) {
		s.startCatchUp()
		return
	}
	s.output.right.Unlock()
}

// flatten joins small pieces into one, because copying them costs less than a longer
// vector.
func (f *flusher) flatten(vec [][]byte, total int) [][]byte {
	const small = 16 << 10 // bytes in a piece, on average, from which on the vector costs less
	if len(vec) < 3 || total/len(vec) >= small {
		return vec
	}
	f.flat = f.flat[:0]
	for _, piece := range vec {
		f.flat = append(f.flat, piece...)
	}
	return append(vec[:0], f.flat)
}

// cut shortens vec to limit bytes.
func cut(vec [][]byte, limit int) [][]byte {
	for i, piece := range vec {
		if len(piece) >= limit {
			vec[i] = piece[:limit]
			return vec[:i+1]
		}
		limit -= len(piece)
	}
	return vec
}

func size(vec [][]byte) (total int) {
	for _, piece := range vec {
		total += len(piece)
	}
	return total
}
