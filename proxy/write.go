package proxy

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"switchyard/proxy/hub"
)

// startCatchUp passes the right to write on to catchUp.
func (s *session) startCatchUp() {
	s.output.writers.Add(1)
	go s.catchUp()
}

// catchUp writes to a session whose socket was full until nothing is due. It waits for
// the socket as long as the peer takes something. The flusher passes the right to write
// to it; catchUp gives it back.
func (s *session) catchUp() {
	defer s.output.writers.Done()
	gate := s.tenant.gate
	for {
		s.writeDue(gate.endsWrites)
		s.output.right.Unlock()
		// A flusher that found the right taken since writeDue's last look has left its work here.
		if s.output.broken.Load() || gate.endsWrites() || !s.seat.Behind(s.tenant.hub.Head()) || !s.output.right.TryLock() {
			return
		}
	}
}

// writeLoop writes whenever it is woken, to a session whose connection cannot be
// written to without waiting. It returns when the session ends.
func (s *session) writeLoop() {
	out := &s.output
	defer s.output.writers.Done()
	for {
		select {
		case <-out.wake:
		case <-out.leaving:
			return
		}
		out.right.Lock() // free, because no other goroutine takes it while this loop runs
		s.writeDue(toTheEnd)
		if out.broken.Load() {
			s.seat.PassOver(s.tenant.hub.Head())
			s.tenant.wakeWaiters()
		}
		if out.trims.Swap(false) {
			s.seat.Trim()
			s.tenant.wakeWaiters()
		}
		out.right.Unlock()
	}
}

// wakeWriter wakes writeLoop. It never waits: if a wake-up is pending already, that one
// covers everything that is due by now.
func (s *session) wakeWriter() {
	select {
	case s.output.wake <- struct{}{}:
	default:
	}
}

// toTheEnd is for a writeDue that writes everything.
func toTheEnd() bool { return false }

// writeDue writes until nothing is due, or stop says that a freeze wants it to stop. The caller
// has the right to write.
func (s *session) writeDue(stop func() bool) {
	out, buffers := &s.output, writeBufferPool.Get().(*writeBuffers)
	defer buffers.release()
	own, timesOut := s.conn.(boundedWriter)
	if !timesOut {
		defer s.conn.SetWriteDeadline(time.Time{}) // the flusher's writes have none
	}
	limit := flushBytes
	if s.raw == nil {
		limit = flatBytes
	}
	var held heldBack
	for !out.broken.Load() && !stop() {
		out.marks.arm()
		due := s.seat.Due(buffers.vec[:0], s.tenant.hub.Head(), limit)
		s.tenant.wakeWaiters() // Due may have passed a part of the log
		if len(due) == 0 {
			s.settleMarks()
			return
		}
		if out.pacer != nil {
			bytes, pause := s.allowed()
			if bytes == 0 {
				s.holdBack(pause, &held)
				continue
			}
			due = cut(due, bytes)
		}
		timeout, waits := s.tenant.limits.Load().WriteTimeout, s.tenant.beginWait()
		if timesOut {
			own.SetWriteTimeout(timeout)
		} else {
			s.setWriteDeadline(timeout)
		}
		n, err := s.write(buffers, due)
		s.sent(n, clock())
		switch {
		case err == nil:
		case !timesOut && errors.Is(err, os.ErrDeadlineExceeded) && (n > 0 || s.raw != nil && waits.endedEarly(timeout) || waits.disturbed(timeout)):
		default:
			s.writeFailed(err)
		}
	}
}

// pace has a session paced that nothing is written to yet, if its socket says so and its kernel
// reports the window. known: the kernel did in another process.
func (s *session) pace(known bool) {
	if s.raw != nil && s.raw.paced() && (known || reportsWindow(s.kernel)) {
		s.output.pacer = newPacer(s.seat.Written, s.kernel, s.raw.unpace)
	}
}

// allowed is pacer.allows. During a freeze it is also what must be written for the session to move.
func (s *session) allowed() (bytes int, pause time.Duration) {
	p := s.output.pacer
	if s.tenant.gate.isShut() {
		if due := s.tooMuchDue(); due > 0 {
			p.extendFlow()
			return int(min(due, flushBytes)), 0
		}
	}
	return p.allows(clock())
}

// A heldBack is a wait of the pacer for a peer to read. It is zero if there is none.
type heldBack struct {
	wait        // since the peer has last read
	edge uint64 // up to which byte the peer's kernel accepted data then
}

// holdBack makes a pause for the pacer. It ends the session if the pacer has waited for the write
// timeout and the peer has read nothing meanwhile. A peer that reads slowly is not ended.
func (s *session) holdBack(pause time.Duration, held *heldBack) {
	timeout := s.tenant.limits.Load().WriteTimeout
	edge, waits := s.output.pacer.waits()
	switch {
	case !waits:
		*held = heldBack{}
	case held.tenant == nil || edge > held.edge:
		*held = heldBack{s.tenant.beginWait(), edge}
	case timeout > 0 && clock()-held.begun > int64(timeout):
		if !held.disturbed(timeout) {
			s.timeOut()
			return
		}
		held.wait = s.tenant.beginWait()
	}
	time.Sleep(pause)
}

// writeFailed is called after a failed write. If the peer takes nothing, by the write timeout or by the
// kernel's, the session ends. Else it continues: what the peer sent before is still read, and its reader
// ends the session.
func (s *session) writeFailed(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		s.timeOut()
		return
	}
	s.output.reset.Store(errors.Is(err, syscall.ECONNRESET))
	s.output.broken.Store(true)
}

// timeOut ends the session because its peer takes nothing.
func (s *session) timeOut() {
	s.output.broken.Store(true)
	s.Close(hub.WriteTimeout)
}

// setWriteDeadline makes a write fail that takes longer than timeout; 0 means no limit.
func (s *session) setWriteDeadline(timeout time.Duration) {
	var until time.Time
	if timeout > 0 {
		until = time.Now().Add(timeout)
	}
	s.conn.SetWriteDeadline(until)
}

// sent records that n bytes were written. The caller has the right to write.
func (s *session) sent(n int, now int64) {
	s.seat.Sent(n)
	s.settleMarks()
	if n == 0 {
		return
	}
	s.output.lastWrite.Store(now)
	if p := s.output.pacer; p != nil {
		p.wrote(n, now)
	}
}

// A boundedWriter is a connection whose Write gives up by itself, with the error
// os.ErrDeadlineExceeded, once its peer has taken nothing for d; 0 means no limit. It gets
// no write deadlines: a TLS connection is unusable after a Write that hit one, so only
// the layer below TLS can tell a peer that takes little from one that takes nothing.
type boundedWriter interface{ SetWriteTimeout(d time.Duration) }

// write writes the pieces, or the first of them.
func (s *session) write(b *writeBuffers, pieces [][]byte) (int, error) {
	if s.raw == nil {
		return s.conn.Write(b.flatten(pieces))
	}
	vec := net.Buffers(pieces)
	n, err := vec.WriteTo(s.conn)
	return int(n), err
}

// flatBytes is how much is written at once to a connection that takes no vectors: four
// of TLS's largest records.
const flatBytes = 64 << 10

// writeBuffers are what writeDue needs. They come from a pool, so that a connection has
// them only while there is something to write.
type writeBuffers struct {
	vec  [][]byte
	flat []byte
}

var writeBufferPool = sync.Pool{New: func() any { return &writeBuffers{vec: make([][]byte, flushPieces)} }}

// release puts the buffers back into the pool.
func (b *writeBuffers) release() {
	clear(b.vec) // so that they do not keep chunks of the log alive
	writeBufferPool.Put(b)
}

// flatten returns the pieces joined, or as much of them as is written at once.
func (b *writeBuffers) flatten(pieces [][]byte) []byte {
	if first := pieces[0]; len(pieces) == 1 || len(first) >= flatBytes {
		return first[:min(len(first), flatBytes)]
	}
	flat := b.room()[:0]
	for _, piece := range pieces {
		flat = append(flat, piece[:min(len(piece), flatBytes-len(flat))]...)
	}
	return flat
}

// room returns flatBytes of memory.
func (b *writeBuffers) room() []byte {
	if b.flat == nil {
		b.flat = make([]byte, flatBytes)
	}
	return b.flat
}
