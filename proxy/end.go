package proxy

import (
	"errors"
	"math"
	"net"
	"os"
	"syscall"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
)

const (
	// flushTime bounds how long a session that ends keeps writing what is due.
	flushTime = 5 * time.Second
	// lingerTime bounds how long a session waits, once that is written, for a peer that
	// takes nothing of it and does not close.
	lingerTime = time.Second
)

// Close ends the session at once, for that reason unless it has one already. If the
// session is ending gracefully, only reasons to write nothing further cut that short, and
// take the place of the reason: what is discarded is discarded for them.
func (s *session) Close(why hub.Reason) {
	first := s.reason.CompareAndSwap(nil, &why)
	if first {
		s.endPause()
	}
	final := why == hub.Forced || why == hub.SlowConsumer || why == hub.WriteTimeout
	if before := *s.reason.Load(); !first && final && (why == hub.Forced || before == hub.Drained || before == hub.PeerClosed) {
		s.reason.Store(&why)
	}
	if first || final {
		s.abort()
	}
}

// askToEnd makes the reader end the session gracefully for the given reason, once the
// reader has handled what it has read.
func (s *session) askToEnd(why hub.Reason) {
	if s.asked.CompareAndSwap(nil, &why) {
		s.endPause()
		s.wakeReader()
	}
}

// wakeReader makes the reader notice that it must stop. While a peer in the loop accepts no
// output, its reader notices only when the peer accepts some or the tenant stops.
func (s *session) wakeReader() {
	if !s.loop.serveWhenWritable(s) {
		s.conn.SetReadDeadline(time.Now())
	}
}

// endPause ends a pause of the reader and prevents further pauses.
func (s *session) endPause() { s.closeOnce.Do(func() { close(s.closing) }) }

// abort closes the connection without TLS's closing message, which would have to wait
// for a peer that takes nothing. A peer that has everything is reset, see linger. What
// another one has not yet taken of the kernel's buffer would be lost by that. If the loop
// reads from the connection, abort lets the loop do it.
func (s *session) abort() {
	s.aborted.Store(true)
	s.aborting.wake()
	if s.loop.end(s) {
		return
	}
	if secured, ok := s.conn.(interface{ NetConn() net.Conn }); ok {
		secured.NetConn().Close()
		return
	}
	if left, known := unacknowledged(s.conn); known && left == 0 {
		s.resetOnClose()
	}
	s.conn.Close()
}

// Noted logs PDUs that the hub found worth a line.
func (s *session) Noted(n hub.Note) { s.tenant.notes.write(s.seat.Session(), n) }

// finish ends the session, whose reading has ended.
func (s *session) finish() {
	s.pass()
	s.settle()
	s.tenant.reading.Done()
	s.dropInput()
	s.end()
	s.input.pdus.Discard()
	s.countInput()
	s.tenant.remove(func(x *session) bool { return x == s })
	close(s.done)
	s.ended(s.abandoned())
}

// end leaves the hub, writes what is due if the peer may still take it, and closes the
// connection.
func (s *session) end() {
	ending, out := s.input.ending, &s.output
	if ending == hub.PeerClosed && out.reset.Load() {
		ending, s.input.cause = hub.PeerReset, syscall.ECONNRESET
	}
	first := s.reason.CompareAndSwap(nil, &ending) // false if Close was called before
	if ending == hub.Drained && s.tenant.isStopping() {
		s.tenant.reading.Wait() // other readers may still send to this peer
	}
	if !first || ending != hub.PeerClosed && ending != hub.PeerReset {
		s.begin()
	}
	graceful := first && ending != hub.PeerReset
	if graceful {
		s.leaveOrder()
	}
	s.tenant.hub.Leave(s.seat)
	close(out.leaving)
	s.tenant.gate.leave(sessionWork) // the rest concerns no other session
	if !graceful {
		s.abort() // which ends a write that is under way
	} else if ending != hub.Drained { // the time of a drain is limited by its caller
		defer s.abortAfterFlush().Stop()
	}
	if s.raw == nil {
		out.writers.Wait() // writeLoop does not pass the right to write on
	}
	out.right.Lock() // for good
	if graceful {
		s.writeDue(toTheEnd)
	}
	out.writers.Wait()
	if reset := hub.PeerReset; ending == hub.Drained && out.broken.Load() && s.reason.CompareAndSwap(&ending, &reset) {
		s.input.cause = errWriteFailed
	}
	why := *s.reason.Load()
	last := s.seat.Observe()
	s.seat.Release(why)
	s.tenant.wakeWaiters()
	if out.broken.Load() {
		s.abort()
	} else if graceful {
		s.linger(why)
	}
	s.conn.Close()
	if !s.abandoned() {
		ended := s.endOf(last, why)
		s.tenant.ended.add(ended)
		if o := s.tenant.observer; o != nil {
			o.Closed(s.tenant.Name, Session{last, s}, ended)
		}
		s.tenant.sessionLog.closed(s, why) // last, so that whoever waits for the line finds the rest
	}
}

// abortAfterFlush aborts the session after flushTime. If the hub stalled meanwhile, the
// peer gets that time once more.
func (s *session) abortAfterFlush() *time.Timer {
	waits := s.tenant.beginWait()
	return time.AfterFunc(flushTime, func() {
		if waits.disturbed(flushTime) {
			time.AfterFunc(flushTime, s.abort)
		} else {
			s.abort()
		}
	})
}

// linger keeps reading until the peer's kernel has everything that was written to it,
// and makes sure that the peer notices the end. What it reads is counted and not routed,
// since the session has left the hub.
//
// A plain socket ends by a reset. A msg_server watches its sockets edge-triggered and
// overlooks a FIN that comes together with data; it would keep sending to a session
// that has ended. It never overlooks a reset, and on Linux what a socket received before
// the reset can still be read:
//
//	last byte written ──▶ acknowledged by the peer's kernel ──▶ reset
//
// Other connections end by FIN, after TLS's own message: the proxy or TLS client at the
// other end notices it, and could discard what it has not yet passed on if it were
// reset. So does a connection whose peer has closed it.
//
// A peer that takes nothing is waited for during lingerTime. So is one that has
// everything and is silent, if it is to notice a FIN; one that talks on has had its
// chance after quietTime.
func (s *session) linger(why hub.Reason) {
	reset := s.socket != nil && why != hub.PeerClosed
	if !reset && (s.closeWrite() != nil || why == hub.PeerClosed) {
		return
	}
	s.input.lingering = true
	s.conn.SetReadDeadline(time.Time{})
	least, since := math.MaxInt, time.Now() // of unacknowledged bytes, and since when
	for pause := time.Millisecond; ; pause = min(2*pause, quietTime/2) {
		left, known := unacknowledged(s.conn)
		if left < least {
			least, since = left, time.Now()
		}
		has, waited := known && left == 0, time.Since(since)
		switch {
		case reset && has:
			s.readOn(0)
			s.resetOnClose()
			return
		case waited >= lingerTime:
			if reset {
				s.closeWrite() // so that the peer's kernel keeps taking what is written
			}
			return
		}
		if talks, ended := s.readOn(min(pause, lingerTime-waited)); ended || talks && has && waited >= quietTime {
			return
		}
	}
}

// closeWrite ends the sending direction. It fails if the connection has none, or is
// broken.
func (s *session) closeWrite() error {
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// resetOnClose makes the next Close reset the connection, if it is a plain socket.
func (s *session) resetOnClose() {
	if s.socket != nil {
		s.conn.(*net.TCPConn).SetLinger(0)
	}
}

// readOn reads for that long, and counts the PDUs that come as dropped. It reports
// whether bytes came, and whether the input has ended.
func (s *session) readOn(pause time.Duration) (talks, ended bool) {
	in := &s.input
	if s.socket == nil {
		s.conn.SetReadDeadline(time.Now().Add(pause))
	} else {
		time.Sleep(pause) // readLate does not wait
	}
	before := in.lateBytes
	for err := error(nil); err == nil; {
		err = s.discardBatch()
		ended = err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	}
	return in.lateBytes > before, ended
}

// discardBatch reads a batch, and counts its PDUs as dropped. The bytes of a connection
// that lost its framing are read and nothing else.
func (s *session) discardBatch() error {
	in := &s.input
	if !s.framed() || !in.pdus.Retry() {
		scratch := writeBufferPool.Get().(*writeBuffers)
		defer scratch.release()
		_, err := s.Read(scratch.room())
		return err
	}
	batch, err := in.pdus.ReadBatch()
	if lost := (*pdu.LengthError)(nil); errors.As(err, &lost) {
		return nil
	} else if err != nil {
		return err
	}
	in.latePDUs += s.tenant.hub.Refuse(s.seat, batch, hub.SessionEnded)
	return nil
}

// framed reports whether an ended session still counts its input in PDUs.
func (s *session) framed() bool {
	return s.input.ending == hub.Drained || s.input.ending == hub.ClosedBy || errors.Is(s.input.cause, errAsked)
}

// readLate is Read while the session lingers. It does not wait at a plain socket, and
// has a deadline elsewhere.
func (s *session) readLate(p []byte) (n int, err error) {
	if s.socket == nil {
		n, err = s.conn.Read(p)
	} else if n, err = s.socket.tryRead(p); n == 0 && err == nil {
		err = os.ErrDeadlineExceeded
	}
	s.input.lateBytes += n
	return n, err
}
