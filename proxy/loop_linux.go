package proxy

import (
	"bytes"
	"errors"
	"maps"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"switchyard/proxy/hub"
)

const (
	// loopBuffer is how much one read may bring, and how much is handed over before the
	// results are written. For small PDUs more gains nothing; PDUs of 64 KiB cost half as
	// much as with a buffer of 64 KiB.
	loopBuffer = 256 << 10
	// loopEvents is how many readable sockets one poll may return.
	loopEvents = 1024
	// endReads is how often a connection is read from in one go that its peer has closed.
	// What it still holds is no more than the socket's buffer.
	endReads = 64
	// awaitReadTime bounds how long a connection waits for what arrived before it. If that
	// was too short, connections do not wait for awaitReadPause.
	awaitReadTime  = 250 * time.Millisecond
	awaitReadPause = 5 * time.Second
)

// A loop reads for many sessions of a tenant in one goroutine. What has arrived at many
// sockets is handed over, and written to all peers, in one go, and no reader has to be
// woken for it.
//
//	epoll ──▶ poll ──▶ serve session 1 ──▶ serve session 2 ──▶ ... ──▶ flush ──▶ poll
//	                      │                     │
//	                      │ ReadOnce into buf   └ detach: has to wait, or takes long
//	                      └ Handle                  └▶ goroutine: session.serve ──▶ add
//
// The loop never waits for a session. One that has to wait, for a quota, for room in
// the log or because the tenant stops, is detached: it continues in a goroutine of its
// own and is added again when it can be. So is one whose batch takes longer than a turn, see
// turn.go. TLS connections are never in the loop.
//
// The goroutine sleeps in the runtime's own poller, for which the epoll set is a socket
// like any other, so waking it costs no more than waking any reader.
type loop struct {
	// Static after startLoop.
	tenant *Tenant
	epoll  *os.File
	raw    syscall.RawConn
	fd     int // of epoll, which is open while the loop has sessions

	mu      sync.Mutex // guards what follows; no other lock is taken while it is held
	members map[int32]*session
	last    int32 // the last number given to a member
	over    bool  // set by close: add fails from then on

	// Owned by the goroutine.
	buf    []byte
	turn   *turn
	now    int64 // when the round began, see clock
	slow   bool  // a turn of this round was not enough for a batch
	events []unix.EpollEvent
	ready  int                   // how many of events the last poll returned
	poll   func(fd uintptr) bool // pollOnce; made once, so that a poll allocates nothing

	// Written by the goroutine, read by any. rounds is odd while a round is in progress, and
	// even while the goroutine waits for input. served counts the sessions that were read
	// from.
	rounds, served atomic.Uint64

	awaitTime    atomic.Int64 // awaitReadTime except in tests
	noAwaitUntil atomic.Int64 // see awaitRead and clock
}

// startLoop returns a loop that runs until the tenant stops, or nil if the system
// refuses it. Without a loop every session has a goroutine of its own.
func startLoop(t *Tenant) *loop {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	unix.SetNonblock(fd, true) // which tells os.NewFile that the runtime can poll it
	l := &loop{tenant: t, epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd, members: make(map[int32]*session)}
	l.awaitTime.Store(int64(awaitReadTime))
	if l.raw, err = l.epoll.SyscallConn(); err != nil || l.epoll.SetReadDeadline(time.Time{}) != nil {
		l.epoll.Close()
		return nil
	}
	l.buf, l.turn, l.events, l.poll = make([]byte, loopBuffer), newTurn(), make([]unix.EpollEvent, loopEvents), l.pollOnce
	t.gate.add(loopWork)
	t.serving.Go(l.run)
	return l
}

// add adds the session, from which the loop then reads. It returns false if the loop
// cannot take it.
func (l *loop) add(s *session) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.tenant.gate.isShut() || s.stops.Load() || s.reason.Load() != nil || s.asked.Load() != nil {
		return false
	}
	s.conn.SetReadDeadline(time.Time{}) // a freeze may have set it, see interrupt
	for l.last++; l.last == 0 || l.members[l.last] != nil; {
		l.last++
	}
	if s.socket.watch(l.fd, l.last) != nil {
		return false
	}
	s.input.member, s.input.looped = l.last, true
	l.members[s.input.member] = s
	return true
}

// remove takes the session out of the loop. Only the loop's goroutine calls it.
func (l *loop) remove(s *session) {
	s.input.looped = false
	s.socket.unwatch(l.fd)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.members, s.input.member)
}

// end shuts down the read side of the session's connection, so that the loop notices
// that the session has a reason to end. It returns false if the session is not in the
// loop.
func (l *loop) end(s *session) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.members[s.input.member] != s {
		return false
	}
	s.conn.(*net.TCPConn).CloseRead() // fails only if the connection is broken, which the loop notices as well
	return true
}

// serveWhenWritable makes the loop serve the session as soon as its peer accepts more output, even if
// the session has no input. It returns false if the session is not in the loop.
func (l *loop) serveWhenWritable(s *session) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.members[s.input.member] == s && s.socket.watchOutput(l.fd, s.input.member) == nil
}

// wake makes the loop notice that the tenant stops, or is to be frozen.
func (l *loop) wake() {
	if l != nil {
		l.epoll.SetReadDeadline(time.Now())
	}
}

// interrupt makes the session's own reader stop waiting for input, during a freeze. A session of
// the loop has none, and none gets into the loop meanwhile.
func (l *loop) interrupt(s *session) {
	if l == nil || !l.has(s) {
		s.conn.SetReadDeadline(time.Now())
	}
}

// release removes a session of a frozen tenant from the loop, if it is there.
func (l *loop) release(s *session) {
	if l != nil && l.has(s) {
		l.remove(s)
	}
}

// has reports whether the session is in the loop.
func (l *loop) has(s *session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.members[s.input.member] == s
}

// run serves the sessions that have input, until the tenant stops. Then they continue in goroutines
// of their own. It requests a flush after every round, and within a round after each loopBuffer
// of input.
func (l *loop) run() {
	defer l.epoll.Close()
	defer l.tenant.gate.leave(loopWork)
	for l.await() {
		l.rounds.Add(1)
		l.now, l.slow = clock(), false
		unwritten := 0
		for _, e := range l.events[:l.ready] {
			l.tenant.gate.pass(loopWork)
			s := l.member(e.Fd)
			if s == nil {
				continue // removed by an earlier event of this round
			}
			if unwritten += l.serve(s, e.Events); unwritten >= loopBuffer {
				l.tenant.sampleLatency(l.now)
				l.tenant.flush.request()
				unwritten = 0
			}
		}
		if unwritten > 0 {
			l.tenant.sampleLatency(l.now)
			l.tenant.flush.request()
		}
		l.rounds.Add(1)
	}
	for _, s := range l.close() {
		l.detach(s, nil)
	}
}

// await waits until a socket has input. It returns false when the tenant stops.
func (l *loop) await() bool {
	for {
		l.tenant.gate.pass(loopWork)
		if l.tenant.isStopping() { // looked at after the deadline was cleared
			return false
		}
		if err := l.raw.Read(l.poll); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err == nil
		}
		l.epoll.SetReadDeadline(time.Time{})
	}
}

// pollOnce asks the epoll set which sockets have input, and reports whether any have;
// if not, the runtime waits. The call itself does not wait, so the scheduler is not
// informed, see rawConn.writeOnce.
func (l *loop) pollOnce(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if l.ready = int(n); errno != 0 {
			l.ready = 0
		}
		return l.ready > 0
	}
}

// roundBegan returns when the round began. Only the loop's goroutine calls it.
func (l *loop) roundBegan() int64 { return l.now }

func (l *loop) member(number int32) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.members[number]
}

// close makes add fail from then on, and returns the members.
func (l *loop) close() map[int32]*session {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	return maps.Clone(l.members)
}

// serve reads from the session and hands over what came, and returns how many bytes that
// were. It reads once, or up to the end if the peer has closed the connection: what the
// peer sent there has to be in the log before its next connection gets a seat, see
// awaitRead.
func (l *loop) serve(s *session, events uint32) (n int) {
	reads := 1
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP) != 0 {
		reads = endReads
	}
	for stays := true; stays && reads > 0; reads-- {
		var more int
		more, stays = l.serveOnce(s)
		n += more
	}
	return n
}

// serveOnce reads once. It also reports whether the session stays in the loop; if not,
// another goroutine owns it now.
func (l *loop) serveOnce(s *session) (n int, stays bool) {
	l.served.Add(1)
	if s.reason.Load() != nil { // Close was called
		l.finish(s)
		return 0, false
	}
	in, h := &s.input, s.tenant.hub
	if s.asked.Load() != nil {
		s.readFailed(errAsked)
		l.finish(s)
		return 0, false
	}
	if s.stops.Load() {
		l.detach(s, nil)
		return 0, false
	}
	if s.wasSilent(l.now) {
		in.ending = hub.IdleTimeout
		l.finish(s)
		return 0, false
	}
	batch, err := in.pdus.ReadOnce(l.buf)
	s.shrinkInput()
	s.noteInput(len(batch) > 0, l.now)
	switch {
	case err != nil:
		s.readFailed(err)
		l.finish(s)
		return 0, false
	case len(batch) == 0:
		return 0, true
	case s.tenant.orderIsFull(), !s.tenant.throttle.Load().passes(h), h.Lengthy(batch, in.pdus.Longest()):
		l.detach(s, bytes.Clone(batch))
		return 0, false
	}
	s.noteFirstPDU()
	rest, err := h.HandleTurn(s.seat, batch, l.beginTurn(batch))
	switch broken := in.pdus.Err(); {
	case err != nil:
		in.ending = hub.ClosedBy
		l.finish(s)
	case len(rest) > 0:
		in.slow, l.slow = true, true
		l.detach(s, bytes.Clone(rest))
		return loopBuffer, false // what became due should not wait for the rest of the round
	case broken != nil: // found behind the batch
		s.readFailed(broken)
		l.finish(s)
	default:
		return len(batch), true
	}
	return len(batch), false
}

// beginTurn begins a turn for a batch. If another session's turn was not enough in this
// round, the turn is as short as can be, so that many slow sessions at once do not delay
// the others by a whole turn each.
func (l *loop) beginTurn(batch []byte) *hub.Turn {
	if l.slow {
		l.turn.beginShort(l.now)
	} else {
		l.turn.begin(batch, l.now)
	}
	return &l.turn.Turn
}

// detach takes the session out of the loop. It continues in a goroutine of its own, with
// a batch that was read and not handed over.
func (l *loop) detach(s *session, batch []byte) {
	l.remove(s)
	if s.reason.Load() != nil {
		s.abort() // Close may have left this to the loop, see end
	}
	s.start(func() { s.serve(batch) })
}

// finish takes the session out of the loop and ends it.
func (l *loop) finish(s *session) {
	l.remove(s)
	s.start(s.finish)
}
