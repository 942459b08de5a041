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
	// When the server stops, a reader goes on until nothing arrived for quietTime, so
	// that what was sent before the stop is not lost, but no longer than stopTime.
	quietTime = 50 * time.Millisecond
	stopTime  = time.Second
	// lingerTime is how long a connection is read from after its last byte was
	// written: closing it with input unread would reset it and could destroy that byte.
	lingerTime = time.Second
	// flushTime bounds how long a session that ends goes on writing what is due.
	flushTime = 5 * time.Second
)

// A session serves one connection. Functions stand in the order of its life.
type session struct {
	// Static after Serve.
	tenant *Tenant
	loop   *loop // that may read from the connection; nil if none can
	conn   net.Conn
	raw    *rawConn   // writes without waiting; nil if conn cannot
	socket *rawReader // reads without waiting; nil if conn cannot
	seat   *hub.Seat
	opened int64         // see clock
	done   chan struct{} // closed when the session has ended
	ended  func()        // called then

	// Owned by the reader.
	in      *pdu.Reader
	looped  bool  // the tenant's loop reads, so Read must not wait
	member  int32 // by which the loop knows the session; guarded by its lock
	opening opening
	cause   error             // why reading ended
	stopsAt time.Time         // when reading ends at the latest, once the server stops
	gate    *gate             // that meter is for
	meter   *tenant.PeerMeter // nil until there is a quota

	// writing is the right to write to conn and to move the seat's cursor: not a lock
	// that anybody waits for but the reader, when it ends. It may be given away to
	// another goroutine.
	writing sync.Mutex
	writers sync.WaitGroup // writeLoop, or the goroutine that catches up, if there is one
	broken  atomic.Bool    // writing has failed; what is due is passed over
	wake    chan struct{}  // holds one; sent to by flushers, received by writeLoop; never closed
	trims   atomic.Bool    // writeLoop is to trim the seat
	leaving chan struct{}  // closed by the reader, once nobody but it is to write

	// Owned by the tenant's beat.
	lagsSince time.Time // when the soft limit of the lag was first seen exceeded, or zero

	lastRead  atomic.Int64 // when something last arrived, see clock
	lastWrite atomic.Int64 // when something was last written
	spoke     atomic.Bool  // a PDU has arrived
	paused    atomic.Bool  // the reader pauses, so nothing can arrive
	reason    atomic.Pointer[hub.Reason]
	closing   chan struct{} // closed by the Close that gave the reason
}

var epoch = time.Now()

// clock returns the monotonic time, in nanoseconds since the process began.
func clock() int64 { return int64(time.Since(epoch)) }

func newSession(t *Tenant, conn net.Conn, ended func()) *session {
	s := &session{tenant: t, conn: conn, raw: newRawConn(conn), socket: newRawReader(conn), opened: clock(), ended: ended,
		done: make(chan struct{}), leaving: make(chan struct{}), closing: make(chan struct{})}
	if s.raw == nil {
		s.wake = make(chan struct{}, 1)
	}
	s.in = pdu.NewReader(s, t.limits.Load().MaxPDU)
	s.lastRead.Store(s.opened)
	s.lastWrite.Store(s.opened)
	return s
}

// serve hands over batch, which was read already, and reads on until the session ends,
// for whatever reason, or goes to the tenant's loop.
func (s *session) serve(batch []byte) {
	for {
		why, over := s.readLoop(batch)
		if over {
			s.finish(why)
			return
		}
		if s.loop.add(s) {
			return // and it is the loop's
		}
		batch = nil
	}
}

// finish ends the session, which nobody reads from any more.
func (s *session) finish(why hub.Reason) {
	s.tenant.reading.Done()
	s.end(why)
	s.tenant.remove(s)
	close(s.done)
	s.ended()
}

// readLoop hands over batch and what arrives, until it is over, for a reason, or the
// loop could do it.
func (s *session) readLoop(batch []byte) (why hub.Reason, over bool) {
	for {
		if len(batch) == 0 {
			var err error
			if batch, err = s.in.ReadBatch(); err != nil {
				s.cause = err
				return reasonOf(err), true
			}
		}
		s.speaks()
		var err error
		g := s.tenant.gate.Load()
		if g == nil {
			err = s.handle(batch)
		} else {
			err = s.handleAt(g, batch)
		}
		if err != nil {
			return hub.ClosedBy, true
		}
		if batch = nil; s.loop != nil && g.open(s.tenant.hub) && s.in.Err() == nil && !s.stopping() {
			return "", false
		}
	}
}

// speaks notes that a PDU has arrived.
func (s *session) speaks() {
	if !s.spoke.Load() {
		s.spoke.Store(true)
	}
}

// handle hands batch over, and has written what became due by it.
func (s *session) handle(batch []byte) error {
	err := s.tenant.hub.Handle(s.seat, batch)
	s.tenant.flush.request()
	return err
}

// Read reads from the connection, for s.in; in the loop without waiting.
func (s *session) Read(p []byte) (int, error) {
	if s.looped {
		n, err := s.socket.tryRead(p)
		if n > 0 {
			return s.arrived(p[:n])
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil // the loop is about to end as well
		}
		return 0, err
	}
	for {
		if s.stopping() && !s.readOn() {
			return 0, errStopped
		}
		n, err := s.conn.Read(p)
		if n > 0 {
			return s.arrived(p[:n])
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if s.stopping() && s.in.Buffered() == 0 && !s.stopsAt.IsZero() {
			return 0, errStopped
		}
	}
}

// arrived takes note of bytes that were read.
func (s *session) arrived(p []byte) (int, error) {
	s.lastRead.Store(clock())
	if !s.opening.over() {
		if foreign := s.opening.pass(p); foreign != nil {
			return 0, foreign
		}
	}
	return len(p), nil
}

var errStopped = errors.New("the server stops")

func (s *session) stopping() bool {
	select {
	case <-s.tenant.stopping:
		return true
	default:
		return false
	}
}

// stopReading wakes the reader up, to see that the server stops.
func (s *session) stopReading() { s.conn.SetReadDeadline(time.Now()) }

// readOn reports whether a reader that is to stop may read once more, and for how
// long: until it is quiet, or for the rest of a PDU that has begun to arrive.
func (s *session) readOn() bool {
	now := time.Now()
	if s.stopsAt.IsZero() {
		s.stopsAt = now.Add(stopTime)
	}
	if !now.Before(s.stopsAt) {
		return false
	}
	s.conn.SetReadDeadline(now.Add(min(quietTime, s.stopsAt.Sub(now))))
	return true
}

// reasonOf says why reading ended, unless somebody ended it.
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

// Close ends the session at once, for that reason unless there is one already. A
// session that is ending goes on taking its time, unless the server cannot wait for it
// or it holds too much of the log meanwhile.
func (s *session) Close(why hub.Reason) {
	first := s.reason.CompareAndSwap(nil, &why)
	if first {
		close(s.closing)
	}
	if why == hub.Forced {
		s.reason.Store(&why)
	}
	if first || why == hub.Forced || why == hub.SlowConsumer {
		s.hangUp()
	}
}

// hangUp closes the connection without a word: what TLS says at the end would have to
// wait for a peer that takes nothing.
func (s *session) hangUp() {
	if s.loop.end(s) {
		return
	}
	if secured, ok := s.conn.(interface{ NetConn() net.Conn }); ok {
		secured.NetConn().Close()
		return
	}
	s.conn.Close()
}

// Noted logs what the hub found worth a line.
func (s *session) Noted(n hub.Note) { s.tenant.notes.write(s.seat.Session(), n) }

// end leaves the hub, writes what is due if the peer is still there to take it, and
// closes the connection.
func (s *session) end(why hub.Reason) {
	polite := s.reason.CompareAndSwap(nil, &why)
	if why == hub.Drained {
		s.tenant.reading.Wait() // others may still say something that is due to this peer
	}
	s.tenant.hub.Leave(s.seat)
	close(s.leaving)
	polite = polite && why != hub.PeerReset
	if !polite {
		s.hangUp() // and so end whoever is writing
	} else if why != hub.Drained { // for a drain, whoever asked for it sets the time
		timer := time.AfterFunc(flushTime, s.hangUp)
		defer timer.Stop()
	}
	if s.raw == nil {
		s.writers.Wait() // for writeLoop, which does not give the right to write away
	}
	s.writing.Lock() // for good
	if polite {
		s.writeDue()
	}
	s.writers.Wait()
	why = *s.reason.Load()
	s.seat.Release(why)
	s.tenant.relieve()
	if s.broken.Load() {
		s.hangUp()
	} else if polite {
		s.sayGoodbye(why)
	}
	s.conn.Close()
	s.logEnd(why)
}

// sayGoodbye closes the connection's sending side, and reads until the peer has closed
// its own, or for a while.
func (s *session) sayGoodbye(why hub.Reason) {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || why == hub.PeerClosed {
		return
	}
	s.conn.SetReadDeadline(time.Now().Add(lingerTime))
	io.Copy(io.Discard, s.conn)
}

func (s *session) logEnd(why hub.Reason) {
	level := slog.LevelInfo
	switch why {
	case hub.SlowConsumer, hub.WriteTimeout, hub.BadLength, hub.IdleTimeout, hub.UrgentData, hub.NoPDU,
		hub.TLSOnPlainPort, hub.ProxyHeader, hub.HTTP:
		level = slog.LevelWarn
	}
	attrs := []any{"session", s.seat.Session(), "peer", s.conn.RemoteAddr().String(), "reason", why,
		"open", time.Duration(clock() - s.opened).Round(time.Millisecond).String()}
	var foreign *foreignError
	switch {
	case why == hub.BadLength || why == hub.PeerReset:
		attrs = append(attrs, "error", s.cause)
	case errors.As(s.cause, &foreign) && why == foreign.reason:
		attrs = append(attrs, "error", s.cause, "hint", foreign.hint)
	}
	s.tenant.log.Log(context.Background(), level, "session closed", attrs...)
}
