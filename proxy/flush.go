package proxy

import (
	"context"
	"sync/atomic"

	"switchyard/proxy/hub"
)

const (
	// turn is how many passes a reader makes for others before it goes back to reading.
	turn = 4
	// flushBytes is how much one connection is sent in one pass.
	flushBytes = 1 << 20
	// flushPieces is how many pieces that may be.
	flushPieces = 256
)

// A flusher writes what is due to the tenant's sessions. Whoever has made something
// due requests a flush; the first does it, for everybody, and goes on as long as
// others add to it. A turn that takes too long is relayed to a goroutine of its own.
type flusher struct {
	tenant *Tenant
	relay  chan struct{} // sent to by the one whose turn ends; received by run; never closed

	// requests counts the requests since the flusher was last idle. Who makes it 1 has
	// the turn, until it is 0 again.
	requests atomic.Int64

	// Owned by whoever has the turn.
	vec  [][]byte
	flat []byte
}

// request has everything written that is due by now, as far as sockets take it.
func (f *flusher) request() {
	if f.requests.Add(1) == 1 && !f.passes(turn) {
		f.relay <- struct{}{}
	}
}

// run takes over turns that last.
func (f *flusher) run(ctx context.Context) {
	for {
		select {
		case <-f.relay:
			for !f.passes(turn) {
			}
		case <-ctx.Done():
			return
		}
	}
}

// passes makes up to n passes, and reports whether all requests are done.
func (f *flusher) passes(n int) bool {
	for range n {
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
		case s.writing.TryLock():
			f.write(s, head, now)
		}
	}
	f.tenant.relieve()
}

// write sends the session what its socket takes at once. If that is not all, the
// right to write goes to a goroutine that waits for the socket.
func (f *flusher) write(s *session, head hub.Head, now int64) {
	if s.broken.Load() {
		s.seat.PassOver(head)
		s.writing.Unlock()
		return
	}
	vec := s.seat.Due(f.vec, head, flushBytes)
	total := size(vec)
	if total == 0 {
		s.writing.Unlock()
		return
	}
	n, err := s.raw.tryWrite(f.flatten(vec, total))
	clear(vec)
	s.seat.Sent(n)
	if n > 0 {
		s.lastWrite.Store(now)
	}
	if err != nil {
		s.broken.Store(true)
	}
	if err == nil && (n < total || total >= flushBytes || len(vec) == flushPieces) {
		s.writers.Add(1)
		go s.catchUp()
		return
	}
	s.writing.Unlock()
}

// flatten joins small pieces, as one write of a copy costs less than a vector.
func (f *flusher) flatten(vec [][]byte, total int) [][]byte {
	const small = 16 << 10 // bytes in a piece, on average, that make the vector worth it
	if len(vec) < 3 || total/len(vec) >= small {
		return vec
	}
	f.flat = f.flat[:0]
	for _, piece := range vec {
		f.flat = append(f.flat, piece...)
	}
	return append(vec[:0], f.flat)
}

func size(vec [][]byte) (total int) {
	for _, piece := range vec {
		total += len(piece)
	}
	return total
}
