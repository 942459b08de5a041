package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"switchyard/pdu"
	"switchyard/proxy/hub"
	"switchyard/proxy/tenant"
)

const (
	// When the server stops, a reader goes on until nothing has arrived for quietTime,
	// so that PDUs sent before the stop are not lost, but no longer than stopTime.
	quietTime = 50 * time.Millisecond
	stopTime  = time.Second
	// lingerTime is how long a connection is read from after its last byte was written.
	// Closing a connection with unread input resets it, which could destroy that byte.
	lingerTime = time.Second
	// flushTime bounds how long a session that ends goes on writing what is due.
	flushTime = 5 * time.Second
)

// A session serves one connection. Functions are in the order of its life.
type session struct {
	// Static after Serve.
	tenant *Tenant
	loop   *loop // that may read from the connection; nil if none can
	conn   net.Conn
	raw    *rawConn   // writes without waiting; nil if conn cannot
	socket *rawReader // reads without waiting; nil if conn cannot
	seat   *hub.Seat
	opened int64                // see clock
	done   chan struct{}        // closed when the session has ended
	ended  func(abandoned bool) // called then

	input  input
	output output

	lagsSince time.Time                  // since when the lag exceeds the soft limit, or zero; owned by the tick
	reason    atomic.Pointer[hub.Reason] // why the session ends; nil until then
	closing   chan struct{}              // closed by the Close that gave the reason
}

// An input is the part of a session that its reader owns: the tenant's loop, or a
// goroutine of the session's own.
type input struct {
	pdus    *pdu.Reader
	looped  bool  // the loop reads, so Read must not wait
	member  int32 // the session's number in the loop; guarded by the loop's lock
	sniffer sniffer
	stopsAt time.Time // when reading ends at the latest, once the server stops

	throttle *throttle         // that meter is for
	meter    *tenant.PeerMeter // nil until there is a quota

	ending hub.Reason // why reading ended; "" if it ended because the loop found that Close was called
	cause  error      // of ending

	// Written by the reader, read by any goroutine.
	lastRead atomic.Int64 // when something last arrived, see clock
	gotPDU   atomic.Bool  // a PDU has arrived
	paused   atomic.Bool  // the reader pauses, so nothing can arrive
}

// An output is what the goroutines share that write to a session's connection.
type output struct {
	// right is the right to write to conn and to move the seat's cursor. Only the reader
	// waits for it, when it ends the session; all others try. The goroutine that has it
	// may pass it on to another one.
	right   sync.Mutex
	writers sync.WaitGroup // writeLoop, or the goroutine that catches up, if there is one
	wake    chan struct{}  // has room for one; sent to by flushers, received by writeLoop; never closed
	trims   atomic.Bool    // writeLoop is to trim the seat
	leaving chan struct{}  // closed by the reader; from then on only the reader begins to write

	broken    atomic.Bool  // writing has failed; what is due is passed over
	lastWrite atomic.Int64 // when something was last written, see clock
}

var epoch = time.Now()

// clock returns the monotonic time, in nanoseconds since the process began.
func clock() int64 { return int64(time.Since(epoch)) }

func newSession(t *Tenant, conn net.Conn, ended func(abandoned bool)) *session {
	s := &session{tenant: t, conn: conn, raw: newRawConn(conn), socket: newRawReader(conn), opened: clock(), ended: ended,
		done: make(chan struct{}), closing: make(chan struct{})}
	s.output.leaving = make(chan struct{})
	if s.raw == nil {
		s.output.wake = make(chan struct{}, 1)
	}
	s.input.pdus = pdu.NewReader(s, t.limits.Load().MaxPDU)
	s.input.lastRead.Store(s.opened)
	s.output.lastWrite.Store(s.opened)
	return s
}

// serve hands over batch, which was read already, and reads on until the session ends
// or moves to the tenant's loop.
func (s *session) serve(batch []byte) {
	for s.readLoop(batch) {
		if s.loop.add(s) {
			return // the loop owns the reader's part now
		}
		batch = nil
	}
	s.finish()
}

// readLoop hands over batch and what arrives. It returns true when the loop could read
// on, and false when reading has ended.
func (s *session) readLoop(batch []byte) (goesOn bool) {
	for {
		if len(batch) == 0 {
			var err error
			if batch, err = s.input.pdus.ReadBatch(); err != nil {
				s.readFailed(err)
				return false
			}
		}
		s.noteFirstPDU()
		var err error
		t := s.tenant.throttle.Load()
		if t == nil {
			err = s.handle(batch)
		} else {
			err = s.handleThrottled(t, batch)
		}
		if err != nil {
			s.input.ending = hub.ClosedBy
			return false
		}
		if batch = nil; s.loop != nil && t.passes(s.tenant.hub) && s.input.pdus.Err() == nil && !s.stopping() {
			return true
		}
	}
}

// noteFirstPDU records that a PDU has arrived. It writes only once, so that the cache
// line stays shared.
func (s *session) noteFirstPDU() {
	if !s.input.gotPDU.Load() {
		s.input.gotPDU.Store(true)
	}
}

// readFailed records why reading ended.
func (s *session) readFailed(err error) { s.input.ending, s.input.cause = reasonOf(err), err }

// handle hands batch to the hub, and has written what became due by it.
func (s *session) handle(batch []byte) error {
	err := s.tenant.hub.Handle(s.seat, batch)
	s.tenant.flush.request()
	return err
}

// Read reads from the connection, for the input's pdu.Reader. In the loop it does not
// wait.
func (s *session) Read(p []byte) (int, error) {
	if s.input.looped {
		n, err := s.socket.tryRead(p)
		if n > 0 {
			return s.arrived(p[:n])
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil // the tenant stops, so the loop is about to end as well
		}
		return 0, err
	}
	for {
		if s.stopping() && !s.mayReadOn() {
			return 0, errStopped
		}
		n, err := s.conn.Read(p)
		if n > 0 {
			return s.arrived(p[:n])
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if s.stopping() && s.input.pdus.Buffered() == 0 && !s.input.stopsAt.IsZero() {
			return 0, errStopped
		}
	}
}

// arrived records that bytes were read, and sniffs the first ones.
func (s *session) arrived(p []byte) (int, error) {
	s.input.lastRead.Store(clock())
	if !s.input.sniffer.done() {
		s.begin()
		if foreign := s.input.sniffer.add(p); foreign != nil {
			return 0, foreign
		}
	}
	return len(p), nil
}

var (
	errStopped     = errors.New("the server stops")
	errWriteFailed = errors.New("the connection broke before everything was written")
)

// begin makes the connection a session, if it is none yet: its peer has sent something, it
// lasts, or it ends in a way that is worth a line.
func (s *session) begin() {
	if s.seat.Session() == 0 {
		s.seat.Begin()
	}
}

// abandoned reports whether the connection has ended without having become a session.
func (s *session) abandoned() bool { return s.seat.Session() == 0 }

func (s *session) stopping() bool {
	select {
	case <-s.tenant.stopping:
		return true
	default:
		return false
	}
}

// stopReading wakes the reader, which then notices that the tenant stops.
func (s *session) stopReading() { s.conn.SetReadDeadline(time.Now()) }

// mayReadOn reports whether a reader that is to stop may read once more, and sets the
// deadline for it: until the connection is quiet, or for the rest of a PDU that has
// begun to arrive.
func (s *session) mayReadOn() bool {
	in, now := &s.input, time.Now()
	if in.stopsAt.IsZero() {
		in.stopsAt = now.Add(stopTime)
	}
	if !now.Before(in.stopsAt) {
		return false
	}
	s.conn.SetReadDeadline(now.Add(min(quietTime, in.stopsAt.Sub(now))))
	return true
}

// reasonOf returns the reason for a session whose reading failed.
func reasonOf(err error) hub.Reason {
	var length *pdu.LengthError
	var foreign *foreignError
	switch {
	case errors.As(err, &foreign):
		return foreign.reason
	case errors.As(err, &length):
		return hub.BadLength
	case errors.Is(err, errStopped):
		return hub.Drained
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return hub.PeerClosed
	default:
		return hub.PeerReset
	}
}

// Close ends the session at once, for that reason unless it has one already. If the
// session is ending gracefully, only reasons to write nothing further cut that short, and
// take the place of the reason: what is discarded is discarded for them.
func (s *session) Close(why hub.Reason) {
	first := s.reason.CompareAndSwap(nil, &why)
	if first {
		close(s.closing)
	}
	final := why == hub.Forced || why == hub.SlowConsumer || why == hub.WriteTimeout
	if before := *s.reason.Load(); !first && final && (why == hub.Forced || before == hub.Drained || before == hub.PeerClosed) {
		s.reason.Store(&why)
	}
	if first || final {
		s.abort()
	}
}

// abort closes the connection without TLS's closing message, which would have to wait
// for a peer that takes nothing. If the loop reads from the connection, abort lets the
// loop do it.
func (s *session) abort() {
	if s.loop.end(s) {
		return
	}
	if secured, ok := s.conn.(interface{ NetConn() net.Conn }); ok {
		secured.NetConn().Close()
		return
	}
	s.conn.Close()
}

// Noted logs PDUs that the hub found worth a line.
func (s *session) Noted(n hub.Note) { s.tenant.notes.write(s.seat.Session(), n) }

// finish ends the session, whose reading has ended.
func (s *session) finish() {
	s.tenant.reading.Done()
	s.end()
	s.tenant.remove(s)
	close(s.done)
	s.ended(s.abandoned())
}

// end leaves the hub, writes what is due if the peer may still take it, and closes the
// connection.
func (s *session) end() {
	ending, out := s.input.ending, &s.output
	first := s.reason.CompareAndSwap(nil, &ending) // false if Close was called before
	if ending == hub.Drained {
		s.tenant.reading.Wait() // other readers may still send to this peer
	}
	if !first || ending != hub.PeerClosed && ending != hub.PeerReset {
		s.begin()
	}
	s.tenant.hub.Leave(s.seat)
	close(out.leaving)
	graceful := first && ending != hub.PeerReset
	if !graceful {
		s.abort() // which ends a write that is under way
	} else if ending != hub.Drained { // the time of a drain is limited by its caller
		timer := time.AfterFunc(flushTime, s.abort)
		defer timer.Stop()
	}
	if s.raw == nil {
		out.writers.Wait() // writeLoop does not pass the right to write on
	}
	out.right.Lock() // for good
	if graceful {
		s.writeDue()
	}
	out.writers.Wait()
	if reset := hub.PeerReset; ending == hub.Drained && out.broken.Load() && s.reason.CompareAndSwap(&ending, &reset) {
		s.input.cause = errWriteFailed
	}
	why := *s.reason.Load()
	s.seat.Release(why)
	s.tenant.wakeWaiters()
	if out.broken.Load() {
		s.abort()
	} else if graceful {
		s.closeWriteAndLinger(why)
	}
	s.conn.Close()
	if !s.abandoned() {
		s.logEnd(why)
	}
}

// closeWriteAndLinger closes the connection's sending side, and reads until the peer
// has closed its own, for lingerTime at most.
func (s *session) closeWriteAndLinger(why hub.Reason) {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || why == hub.PeerClosed {
		return
	}
	s.conn.SetReadDeadline(time.Now().Add(lingerTime))
	io.Copy(io.Discard, s.conn)
}

// logEnd writes the one line about the end of a session.
func (s *session) logEnd(why hub.Reason) {
	level := slog.LevelInfo
	switch why {
	case hub.SlowConsumer, hub.WriteTimeout, hub.BadLength, hub.IdleTimeout, hub.UrgentData, hub.NoPDU,
		hub.TLSOnPlainPort, hub.ProxyHeader, hub.HTTP:
		level = slog.LevelWarn
	}
	attrs := []any{"session", s.seat.Session(), "peer", s.conn.RemoteAddr().String(), "reason", why,
		"open", time.Duration(clock() - s.opened).Round(time.Millisecond).String()}
	cause := s.input.cause
	var foreign *foreignError
	switch {
	case why == hub.BadLength || why == hub.PeerReset:
		attrs = append(attrs, "error", cause)
	case errors.As(cause, &foreign) && why == foreign.reason:
		attrs = append(attrs, "error", cause, "hint", foreign.hint)
	}
	s.tenant.log.Log(context.Background(), level, "session closed", attrs...)
}
