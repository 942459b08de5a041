package proxy

import (
	"errors"
	"io"
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
	// When the server stops, a reader continues for at least quietTime, so that PDUs that
	// were sent before the stop are not lost, but no longer than stopTime; see mayReadOn.
	quietTime = 50 * time.Millisecond
	stopTime  = time.Second
)

// A session serves one connection. Functions are in the order of its life.
type session struct {
	// Static after Serve.
	tenant *Tenant
	loop   *loop // that may read from the connection; nil if none can
	conn   net.Conn
	raw    *rawConn   // writes without waiting; nil if conn cannot
	socket *rawReader // reads without waiting; nil if conn cannot
	kernel kernel
	seat   *hub.Seat
	opened int64                // see clock
	done   chan struct{}        // closed when the session has ended
	ended  func(abandoned bool) // called then

	input  input
	output output

	lagsSince time.Time                  // since when the lag exceeds the soft limit, or zero; owned by the tick
	reason    atomic.Pointer[hub.Reason] // why the session ends; nil until then
	asked     atomic.Pointer[hub.Reason] // why the reader must end the session; nil until then
	aborted   atomic.Bool                // abort was called
	aborting  waiters                    // for aborted
	stops     atomic.Bool                // the reader must stop, even if the tenant continues
	moved     bool                       // the session is in another process; written during a freeze
	outdated  atomic.Bool                // see MarkOutdated
	closing   chan struct{}              // closed when reason, asked or stops is set, so that a pause of the reader ends
	closeOnce sync.Once                  // closes closing
}

// An input is the part of a session that its reader owns: the tenant's loop, or a
// goroutine of the session's own.
type input struct {
	pdus      *pdu.Reader
	unhandled []byte // of the last batch, what has not been handed over; used outside the loop
	looped    bool   // the loop reads, so Read must not wait
	member    int32  // the session's number in the loop; guarded by the loop's lock
	sniffer   sniffer

	// Once the server stops:
	stopsAt  time.Time // when reading ends at the latest; zero before
	stops    wait      // until stopsAt; zero if the time was given once more
	emptied  bool      // a read has emptied the socket, see noteEmptied
	caughtUp bool      // and its PDUs have been handled, but for the part of one
	settled  bool      // see settle

	// Once the session has ended, see linger:
	lingering bool
	lateBytes int // that were read
	latePDUs  int // of them, which were not routed

	counted inputMemory // in Tenant.inputs

	turn *turn // bounds handle; nil before the first one
	slow bool  // the last turn did not suffice for a batch, see handle

	throttle *throttle         // that meter is for
	meter    *tenant.PeerMeter // nil until there is a quota
	charged  uint64            // what meter was charged of Seat.Out; used with an order

	ending hub.Reason // why reading ended; "" if it ended because the loop found that Close was called
	cause  error      // of ending

	// Written by the reader, read by any goroutine.
	unfinished unfinished
	lastRead   atomic.Int64 // when something last arrived, see clock
	gotPDU     atomic.Bool  // a PDU has arrived
	paused     atomic.Bool  // the reader pauses, so nothing can arrive
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

	pacer *pacer // nil if the connection is not paced; used with the right to write

	marks     marks        // samples of the latency, until they have been written
	broken    atomic.Bool  // writing has failed; what is due is passed over
	reset     atomic.Bool  // because the peer has reset the connection; the kernel says so only once
	lastWrite atomic.Int64 // when something was last written, see clock
}

var epoch = time.Now()

// clock returns the monotonic time, in nanoseconds since the process began.
func clock() int64 { return int64(time.Since(epoch)) }

func newSession(t *Tenant, conn net.Conn, ended func(abandoned bool)) *session {
	s := &session{tenant: t, conn: conn, raw: newRawConn(conn), socket: newRawReader(conn), kernel: newKernel(conn), opened: clock(), ended: ended,
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

// start starts a goroutine that reads from the connection, or ends the session. It leaves the
// tenant's gate by itself.
func (s *session) start(f func()) {
	s.tenant.gate.add(sessionWork)
	s.tenant.serving.Go(f)
}

// serve hands over batch, which was read already, and reads on until the session ends
// or moves to the tenant's loop.
func (s *session) serve(batch []byte) {
	for s.readLoop(batch) {
		s.input.pdus.Compact() // the loop reads into its own buffer
		s.countInput()
		if s.loop.add(s) { // the loop owns the reader's part now
			s.tenant.gate.leave(sessionWork)
			return
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
			s.shrinkInput()
			var err error
			if batch, err = s.input.pdus.ReadBatch(); err != nil {
				s.readFailed(err)
				return false
			}
		}
		s.input.unhandled = batch
		s.noteFirstPDU()
		s.noteBatch()
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
		s.input.unhandled = nil
		s.noteCaughtUp()
		if batch = nil; s.loop != nil && !s.input.slow && t.passes(s.tenant.hub) && s.input.pdus.Err() == nil && !s.stopping() {
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
func (s *session) readFailed(err error) {
	s.input.ending, s.input.cause = reasonOf(err), err
	if errors.Is(err, errAsked) {
		s.input.ending = *s.asked.Load()
	}
}

// Read reads from the connection, for the input's pdu.Reader. In the loop it does not
// wait.
func (s *session) Read(p []byte) (int, error) {
	if s.input.looped {
		n, err := s.socket.tryRead(p)
		if n > 0 {
			return s.arrived(p[:n], s.loop.roundBegan())
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil // the tenant stops, so the loop is about to end as well
		}
		return 0, err
	}
	if s.input.lingering {
		return s.readLate(p)
	}
	s.noteInput(false, clock())
	for {
		s.pass()
		if s.asked.Load() != nil {
			return 0, errAsked
		}
		if s.stopping() && !s.mayReadOn() {
			return 0, errStopped
		}
		p = p[:s.readAtMost(len(p))]
		n, err := s.conn.Read(p)
		if n > 0 {
			s.noteEmptied(n < len(p))
			now := clock()
			if s.wasSilent(now) {
				return 0, errSilent
			}
			return s.arrived(p[:n], now)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		switch {
		case !s.stopping():
			s.conn.SetReadDeadline(time.Time{}) // a freeze may have set it
		case s.input.pdus.Buffered() == 0 && !s.input.stopsAt.IsZero() && !s.hasUnread():
			s.settle() // the peer is quiet
		}
	}
}

// arrived records that bytes were read now, and sniffs the first ones.
func (s *session) arrived(p []byte, now int64) (int, error) {
	s.input.lastRead.Store(now)
	if !s.input.sniffer.done() {
		s.begin()
		if foreign := s.input.sniffer.add(p); foreign != nil {
			return 0, foreign
		}
	}
	return len(p), nil
}

var (
	errAsked       = errors.New("the session is to end")
	errStopped     = errors.New("the server stops")
	errSilent      = errors.New("nothing arrived for longer than peer.timeout")
	errWriteFailed = errors.New("the connection broke before everything was written")
)

// begin makes the connection a session, if it is none yet: its peer has sent something, it
// lasts, or it ends in a way that is worth a line.
func (s *session) begin() {
	if s.seat.Session() == 0 && s.seat.Begin() {
		s.tenant.sessionLog.opened(s)
		if o := s.tenant.observer; o != nil {
			o.Opened(s.tenant.Name, Session{s.seat.Observe(), s})
		}
	}
}

// abandoned reports whether the connection has ended without having become a session.
func (s *session) abandoned() bool { return s.seat.Session() == 0 }

func (s *session) stopping() bool { return s.stops.Load() || s.tenant.isStopping() }

// stop makes the reader handle what has arrived and then stop, although the tenant
// continues. The reader no longer waits for a quota, as when the tenant stops.
func (s *session) stop() {
	s.stops.Store(true)
	s.endPause()
	s.wakeReader()
}

// mayReadOn reports whether the reader of a tenant that stops may read once more, and
// sets the deadline for that read.
//
// All readers of a tenant continue until each has handled what its peer sent before the
// stop, so that no peer is left unread while others still are. A session is settled, not
// within a PDU, when
//
//	nothing arrives for quietTime            the peer is quiet, or
//	its socket was emptied after quietTime   the peer talks all the time, so waiting is of no use
//
// stopTime is the limit for a peer that does not finish a PDU, or sends faster than the
// hub reads. If the hub stood still meanwhile, the peer has that time once more.
func (s *session) mayReadOn() bool {
	in, now := &s.input, time.Now()
	if in.stopsAt.IsZero() {
		in.stopsAt, in.stops = now.Add(stopTime), s.tenant.beginWait()
	}
	if !now.Before(in.stopsAt) && in.stops.tenant != nil && in.stops.disturbed(stopTime) {
		in.stopsAt, in.stops = now.Add(stopTime), wait{}
	}
	if !now.Before(in.stopsAt) {
		return false
	}
	if in.settled && s.stops.Load() {
		return false // even if other sessions still read
	}
	s.conn.SetReadDeadline(now.Add(min(quietTime, in.stopsAt.Sub(now))))
	select {
	case <-s.tenant.settled: // which is checked last, because wakeReaders comes after it
		return false
	default:
		return true
	}
}

// hasUnread reports whether bytes have arrived that were not read. On a busy machine the reader may
// be so late that its deadline is over before it has looked.
func (s *session) hasUnread() bool {
	n, _ := unread(s.conn)
	return n > 0
}

// noteEmptied notes that a read has emptied the socket, if all is in it that the peer
// sent before the tenant's stop. A short read shows that, but not of a TLS connection,
// which returns one record at a time, nor if the read has made room for what the peer's kernel
// still had.
func (s *session) noteEmptied(short bool) {
	in := &s.input
	if short && s.raw != nil && !in.stopsAt.IsZero() && time.Until(in.stopsAt) <= stopTime-quietTime && !s.hasUnread() {
		in.emptied = true
	}
}

// noteCaughtUp settles a session whose socket was emptied, at the end of a PDU or after
// the batch that brought the rest of one.
func (s *session) noteCaughtUp() {
	in := &s.input
	if in.caughtUp || in.emptied && in.pdus.Buffered() == 0 {
		s.settle()
	}
	in.caughtUp = in.emptied
}

// settle notes that what the peer sent before the tenant's stop has been handled, or
// that reading has ended.
func (s *session) settle() {
	if !s.input.settled {
		s.input.settled = true
		s.tenant.settle()
	}
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
	case errors.Is(err, errSilent):
		return hub.IdleTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return hub.PeerClosed
	default:
		return hub.PeerReset
	}
}
