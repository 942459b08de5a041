package proxy

import (
	"bytes"
	"maps"
	"net"
	"os"
	"sync"
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
// the log or because the tenant stops, is detached: it goes on in a goroutine of its
// own and is added again when it can be. So is one whose batch takes long to handle. TLS
// connections are never in the loop.
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
	events []unix.EpollEvent
	ready  int                   // how many of events the last poll returned
	poll   func(fd uintptr) bool // pollOnce; made once, so that a poll allocates nothing
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
	if l.raw, err = l.epoll.SyscallConn(); err != nil || l.epoll.SetReadDeadline(time.Time{}) != nil {
		l.epoll.Close()
		return nil
	}
	l.buf, l.events, l.poll = make([]byte, loopBuffer), make([]unix.EpollEvent, loopEvents), l.pollOnce
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
	if l.over || s.reason.Load() != nil {
		return false
	}
	for l.last++; l.last == 0 || l.members[l.last] != nil; {
		l.last++
	}
	if s.socket.watch(l.fd, l.last) != nil {
		return false
	}
	s.input.pdus.Compact() // its buffer is not needed: the loop reads into l.buf
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

// stop ends the loop. Its sessions go on in goroutines of their own.
func (l *loop) stop() {
	if l != nil {
		l.epoll.SetReadDeadline(time.Now())
	}
}

// run serves the sessions that have input, until stop is called. It requests a flush after every
// round, and within a round after each loopBuffer of input.
func (l *loop) run() {
	defer l.epoll.Close()
	for l.raw.Read(l.poll) == nil {
		unwritten := 0
		for _, e := range l.events[:l.ready] {
			s := l.member(e.Fd)
			if s == nil {
				continue // removed by an earlier event of this round
			}
			if unwritten += l.serve(s); unwritten >= loopBuffer {
				l.tenant.flush.request()
				unwritten = 0
			}
		}
		if unwritten > 0 {
			l.tenant.flush.request()
		}
	}
	for _, s := range l.close() {
		l.detach(s, nil)
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

// serve reads once and hands over what came, and returns how many bytes that were.
func (l *loop) serve(s *session) int {
	if s.reason.Load() != nil { // Close was called
		l.finish(s)
		return 0
	}
	in, h := &s.input, s.tenant.hub
	batch, err := in.pdus.ReadOnce(l.buf)
	switch {
	case err != nil:
		s.readFailed(err)
		l.finish(s)
	case len(batch) == 0:
	case !s.tenant.throttle.Load().passes(h), h.Lengthy(batch, in.pdus.Longest()):
		l.detach(s, bytes.Clone(batch))
	default:
		s.noteFirstPDU()
		if h.Handle(s.seat, batch) != nil {
			in.ending = hub.ClosedBy
			l.finish(s)
		} else if err := in.pdus.Err(); err != nil { // found behind the batch
			s.readFailed(err)
			l.finish(s)
		}
		return len(batch)
	}
	return 0
}

// detach takes the session out of the loop. It goes on in a goroutine of its own, with
// a batch that was read and not handed over.
func (l *loop) detach(s *session, batch []byte) {
	l.remove(s)
	if s.reason.Load() != nil {
		s.abort() // Close may have left this to the loop, see end
	}
	l.tenant.serving.Go(func() { s.serve(batch) })
}

// finish takes the session out of the loop and ends it.
func (l *loop) finish(s *session) {
	l.remove(s)
	l.tenant.serving.Go(s.finish)
}
